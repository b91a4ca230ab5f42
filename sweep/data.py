"""The images: load, verify, split, standardise. numpy only."""

from dataclasses import dataclass
from pathlib import Path


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
