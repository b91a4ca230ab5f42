"""Mean and standard deviation of the training split, for standardised input.

Sums of bytes and of their squares are whole numbers, so the result is exact and the same on every
machine, whatever the order of summation:

    mean = s / n        variance = (n q - s^2) / n^2

    symbol  meaning
    n       number of values summed
    s, q    sum of the values, sum of their squares
"""

import logging
import math
import os
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sweep.data.reference import DataRef, open_split

StatisticsKind = Literal["feature", "channel"]
Moments = tuple[NDArray[np.float32], NDArray[np.float32]]

CHUNK_IMAGES = 1024

logger = logging.getLogger(__name__)


def statistics(ref: DataRef, kind: StatisticsKind) -> Moments:
    """Mean and standard deviation of the training split alone, pixels in [0, 1].

    They are computed once and kept beside the data.

    Args:
        ref: Prepared data.
        kind: `feature` for one value per row, column and channel, `channel` for one per channel.

    Returns:
        Mean and standard deviation, shapes (row, column, channel) or (channel,). Where all images
        agree the deviation is 1, so that dividing by it is harmless.

    Raises:
        DataError: The prepared files were damaged or removed.
    """
    start, stop = ref.train
    path = ref.directory / f"statistics-{kind}-{start}-{stop}.npy"
    try:
        stored = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        stored = None
    shape = (2, 32, 32, 3) if kind == "feature" else (2, 3)
    if stored is not None and stored.shape == shape and stored.dtype == np.float32:
        return stored[0], stored[1]
    mean, deviation = _moments(open_split(ref, "train").images, kind)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.save(file, np.stack([mean, deviation]), allow_pickle=False)
        temporary.replace(path)
    except OSError as error:
        logger.warning("statistics of the training split were not kept in %s: %s", path, error)
    return mean, deviation


def _moments(images: NDArray[np.uint8], kind: StatisticsKind) -> Moments:
    sums = np.zeros(images.shape[1:], np.int64)
    squares = np.zeros(images.shape[1:], np.int64)
    for start in range(0, len(images), CHUNK_IMAGES):
        chunk = images[start : start + CHUNK_IMAGES].astype(np.uint32)
        sums += chunk.sum(axis=0, dtype=np.int64)
        squares += np.einsum("i...,i...->...", chunk, chunk, dtype=np.int64)
    count = len(images)
    if kind == "channel":
        count *= math.prod(images.shape[1:3])
        sums, squares = sums.sum(axis=(0, 1)), squares.sum(axis=(0, 1))
    # Python's integers do not overflow: n q passes 2^63 for the channels of all of CIFAR-10.
    exact_sums, exact_squares = sums.astype(object), squares.astype(object)
    variance = (count * exact_squares - exact_sums**2) / (count * 255) ** 2
    deviation = np.sqrt(variance.astype(np.float64))
    deviation[deviation == 0] = 1.0
    mean = (exact_sums / (count * 255)).astype(np.float64)
    return mean.astype(np.float32), deviation.astype(np.float32)
