"""CIFAR-10 in its published layout: a directory, or a `.tar.gz` that is never unpacked."""

import struct
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sweep.data import pickles
from sweep.data.arrays import Arrays, Images, Labels
from sweep.errors import DataError

DIRECTORY = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
META = "batches.meta"
TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = "test_batch"
MEMBERS = (META, *TRAIN, TEST)
CLASSES = 10
IMAGES_PER_BATCH = 10_000
PIXELS = 3 * 32 * 32

# The published batches have 31 MB; a larger member of an archive is not one of them.
MAX_MEMBER_BYTES = 128 * 2**20

UNREADABLE = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    TypeError,
    ValueError,
    struct.error,
    tarfile.TarError,
    zlib.error,
)

Part = tuple[Images, Labels]


def read_directory(path: Path) -> Arrays:
    """Read an unpacked `cifar-10-batches-py`.

    Raises:
        DataError: A file is missing, damaged, unsafe or of the wrong shape.
    """
    return _assemble(_directory_members(path), path)


def read_archive(path: Path) -> Arrays:
    """Read a `.tar.gz` of `cifar-10-batches-py`; its known members only, without unpacking it.

    Raises:
        DataError: It is no such archive, or a member is missing, damaged, unsafe or of the
            wrong shape.
    """
    try:
        return _assemble(_archive_members(path), path)
    except UNREADABLE as error:
        raise DataError(
            "the archive cannot be read",
            where=str(path),
            expected=f"a .tar.gz of {DIRECTORY}",
            received=f"{type(error).__name__}: {error}",
            next_step="get the file again from its publisher",
        ) from error


def _directory_members(path: Path) -> Iterator[tuple[str, bytes]]:
    for name in MEMBERS:
        try:
            yield name, (path / name).read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DataError(
                "a data file cannot be read", where=str(path / name), received=str(error)
            ) from error


def _archive_members(path: Path) -> Iterator[tuple[str, bytes]]:
    wanted = {f"{DIRECTORY}/{name}": name for name in MEMBERS}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            name = wanted.get(member.name.removeprefix("./"))
            if name is None or not member.isfile():
                continue
            file = archive.extractfile(member) if member.size <= MAX_MEMBER_BYTES else None
            if file is None:
                raise DataError(
                    "a member of the archive is too large",
                    where=f"{path}: {member.name}",
                    expected=f"at most {MAX_MEMBER_BYTES} bytes",
                    received=f"{member.size} bytes",
                )
            yield name, file.read()


def _assemble(members: Iterator[tuple[str, bytes]], path: Path) -> Arrays:
    parts: dict[str, Part] = {}
    per_batch: int | None = None
    for name, data in members:
        where = f"{path}: {name}"
        if name == META:
            per_batch = _images_per_batch(data, where)
        else:
            parts[name] = _read_batch(data, where)
    missing = [name for name in (*TRAIN, TEST) if name not in parts]
    if missing:
        raise DataError(
            "CIFAR-10 is incomplete",
            where=str(path),
            expected=", ".join(MEMBERS),
            received="without " + ", ".join(missing),
        )
    per_batch = per_batch if per_batch is not None else IMAGES_PER_BATCH
    for name, (images, _) in parts.items():
        if len(images) != per_batch:
            raise DataError(
                "a batch has the wrong number of images",
                where=f"{path}: {name}",
                expected=str(per_batch),
                received=str(len(images)),
            )
    images = np.concatenate([parts[name][0] for name in TRAIN])
    labels = np.concatenate([parts[name][1] for name in TRAIN])
    return Arrays((images, labels), parts[TEST], CLASSES)


def _images_per_batch(data: bytes, where: str) -> int:
    count = _field(_read_dict(data, where), "num_cases_per_batch")
    if type(count) is not int or count < 1:
        raise DataError(
            "batches.meta has no number of images",
            where=f"{where}: num_cases_per_batch",
            expected="a whole number, at least 1",
            received=_brief(count),
        )
    return count


def _read_batch(data: bytes, where: str) -> Part:
    batch = _read_dict(data, where)
    pixels, labels = _field(batch, "data"), _field(batch, "labels")
    if not (
        isinstance(pixels, np.ndarray)
        and pixels.dtype == np.uint8
        and pixels.ndim == 2
        and pixels.shape[0] >= 1
        and pixels.shape[1] == PIXELS
    ):
        raise DataError(
            "the images of a batch have the wrong shape or type",
            where=f"{where}: data",
            expected=f"a uint8 array (n, {PIXELS}), n at least 1",
            received=_brief(pixels),
        )
    if isinstance(labels, np.ndarray) and labels.ndim == 1:
        labels = labels.tolist()
    if not (
        isinstance(labels, list)
        and len(labels) == len(pixels)
        and all(type(label) is int and 0 <= label < CLASSES for label in labels)
    ):
        raise DataError(
            "the labels of a batch are wrong",
            where=f"{where}: labels",
            expected=f"a list of {len(pixels)} whole numbers from 0 to {CLASSES - 1}",
            received=_brief(labels),
        )
    # The files hold (image, channel, row, column).
    images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), np.array(labels, np.uint8)


def _read_dict(data: bytes, where: str) -> dict[object, object]:
    value = pickles.load(data, where)
    if not isinstance(value, dict):
        raise DataError(
            "a data file holds no dict", where=where, expected="a dict", received=_brief(value)
        )
    return value


def _field(values: dict[object, object], name: str) -> object:
    return values.get(name.encode(), values.get(name))


def _brief(value: object) -> str:
    """A value's kind and size, short however large or nested the value is."""
    if isinstance(value, np.ndarray):
        return f"a {value.dtype} array {value.shape}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}" if abs(value) < 1e15 else f"a large {type(value).__name__}"
    return "nothing" if value is None else f"a {type(value).__name__}"
