"""What workers are told about the data, and how they open it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sweep.errors import DataError

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class DataRef:
    """Prepared data on this machine's disk, split; small enough to send to every worker.

    Attributes:
        directory: Holds `train_images.npy` (image, row, column, channel) uint8,
            `train_labels.npy` (image,) uint8 and, where there is a test set, `test_images.npy`
            and `test_labels.npy`.
        name: What it is, for people: `cifar10`, `synthetic` or a file's name.
        is_fallback: Whether it stands in for the data that the study asked for.
        fingerprint: Hexadecimal digest of all images, labels and splits: equal only for equal
            data.
        train: First and one past the last index of the training split.
        validation: First and one past the last index of the validation split.
        classes: Number of classes.
    """

    directory: Path
    name: str
    is_fallback: bool
    fingerprint: str
    train: tuple[int, int]
    validation: tuple[int, int]
    classes: int


@dataclass(frozen=True, slots=True)
class Split:
    """One split, mapped from disk: pages are read when used and shared between processes.

    The mapping is copy-on-write, so that libraries which refuse read-only memory take it without
    a copy; a write stays in this process.

    Attributes:
        images: (image, row, column, channel) uint8, 0 to 255.
        labels: (image,) uint8.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)


def open_split(ref: DataRef, name: SplitName) -> Split:
    """Map one split into memory.

    Args:
        ref: Prepared data.
        name: `train`, `validation` or `test`.

    Raises:
        DataError: There is no test set, or the prepared files were damaged or removed.
    """
    if name == "test":
        if not (ref.directory / "test_images.npy").exists():
            raise DataError(
                f"{ref.name} has no test split",
                where=str(ref.directory),
                next_step="add x_test and y_test to the .npz file",
            )
        return Split(
            _map(ref.directory / "test_images.npy"), _map(ref.directory / "test_labels.npy")
        )
    start, stop = ref.train if name == "train" else ref.validation
    images = _map(ref.directory / "train_images.npy")
    labels = _map(ref.directory / "train_labels.npy")
    if not 0 <= start < stop <= len(images):
        raise DataError(
            "the prepared data has fewer images than the split needs",
            where=str(ref.directory),
            expected=f"images {start} to {stop}",
            received=f"{len(images)} images",
        )
    return Split(images[start:stop], labels[start:stop])


def _map(path: Path) -> NDArray[np.uint8]:
    try:
        array: NDArray[np.uint8] = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            "a prepared data file cannot be opened",
            where=str(path),
            received=str(error),
            next_step=f"remove {path.parent} and start again: it is made anew",
        ) from error
    return array
