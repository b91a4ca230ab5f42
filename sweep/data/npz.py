"""Images from a user's own `.npz` file."""

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.data.arrays import IMAGE_SHAPE, Arrays, Images, Labels
from sweep.errors import DataError

UNREADABLE = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_npz(path: Path, classes: int | None = None) -> Arrays:
    """Read x_train and y_train and, where they are there, x_test and y_test.

    Args:
        path: The file. Images are (n, 32, 32, 3), whole numbers from 0 to 255 or floats from 0 to
            1 or 0 to 255; labels (n,) or (n, 1), whole numbers from 0.
        classes: The number of classes, or None to find it from the labels.

    Raises:
        DataError: The file is damaged, needs pickle, or has other arrays in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name for name in archive.namelist() if name.endswith(".npy")}
            train = _pair(archive, members, path, "train")
            if {"x_test.npy", "y_test.npy"} & members:
                test = _pair(archive, members, path, "test")
            else:
                test = None
    except UNREADABLE as error:
        raise DataError(
            "the .npz file cannot be read",
            where=str(path),
            expected="what numpy.savez wrote from arrays of numbers",
            received=f"{type(error).__name__}: {error}",
        ) from error
    parts = [train] if test is None else [train, test]
    highest = max(int(labels.max()) for _, labels in parts)
    if classes is not None and highest >= classes:
        raise DataError(
            "a label is out of range",
            where=str(path),
            expected=f"0 to {classes - 1}",
            received=str(highest),
        )
    if classes is None and highest == 0:
        raise DataError(
            "all labels are 0", where=f"{path}: y_train", expected="two classes at least"
        )
    return Arrays(train, test, classes or highest + 1)


def _pair(
    archive: zipfile.ZipFile, members: set[str], path: Path, part: str
) -> tuple[Images, Labels]:
    images = _images(_member(archive, members, path, f"x_{part}"), f"{path}: x_{part}")
    labels = _labels(_member(archive, members, path, f"y_{part}"), f"{path}: y_{part}")
    if len(images) != len(labels):
        raise DataError(
            "images and labels differ in number",
            where=f"{path}: x_{part}, y_{part}",
            expected=f"{len(images)} labels",
            received=f"{len(labels)} labels",
        )
    return images, labels


def _member(
    archive: zipfile.ZipFile, members: set[str], path: Path, name: str
) -> NDArray[np.generic]:
    if f"{name}.npy" not in members:
        raise DataError(
            f"the .npz file has no array {name}",
            where=str(path),
            expected="x_train and y_train, and both or neither of x_test and y_test",
            received=", ".join(sorted(member[:-4] for member in members))[:200] or "no arrays",
        )
    with archive.open(f"{name}.npy") as file:
        array: NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):
            raise ValueError(f"{name} is longer than its header says")
    return array


def _images(array: NDArray[np.generic], where: str) -> Images:
    if array.shape[1:] != IMAGE_SHAPE or len(array) == 0:
        raise DataError(
            "the images have the wrong shape",
            where=where,
            expected="(n, 32, 32, 3), n at least 1",
            received=str(array.shape),
        )
    if array.dtype.kind not in "uif":
        raise DataError(
            "the images have the wrong type",
            where=where,
            expected="uint8, another whole number type, or float",
            received=str(array.dtype),
        )
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high) and low >= 0 and high <= 255):
        raise DataError(
            "pixels are out of range",
            where=where,
            expected="0 to 255, or 0 to 1 for floats",
            received=f"{low:g} to {high:g}",
        )
    if array.dtype.kind == "f":
        numbers = array.astype(np.float32)
        array = np.rint(numbers * 255 if high <= 1 else numbers)
    return np.ascontiguousarray(array, np.uint8)


def _labels(array: NDArray[np.generic], where: str) -> Labels:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or len(array) == 0:
        raise DataError(
            "the labels have the wrong shape",
            where=where,
            expected="(n,) or (n, 1)",
            received=str(array.shape),
        )
    if array.dtype.kind not in "ui":
        raise DataError(
            "the labels have the wrong type",
            where=where,
            expected="whole numbers",
            received=str(array.dtype),
        )
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > 255:
        raise DataError(
            "labels are out of range",
            where=where,
            expected="0 to 255",
            received=f"{low} to {high}",
        )
    return np.ascontiguousarray(array, np.uint8)
