"""From pixels in the device's memory to the inputs of a step.

Notation:
    images  (image, feature) uint8: a split, each image flattened from (row, column, channel)
    index   (slot, batch) int32: which images a step uses
"""

from typing import Any

import numpy as np
from keras import ops

Tensor = Any
SIDE = 32
CHANNELS = 3
FEATURES = SIDE * SIDE * CHANNELS


def take(images: Tensor, index: Tensor) -> Tensor:
    """The images of a step, (slot, batch, feature) uint8."""
    return ops.take(images, index, axis=0)


def take_augmented(images: Tensor, index: Tensor, flips: Tensor, shifts: Tensor) -> Tensor:
    """The images of a step, mirrored, then moved; what moves in from outside is black.

    Args:
        images: (image, feature) uint8.
        index: (slot, batch) int32.
        flips: (slot, batch) bool.
        shifts: (slot, batch, 2) int32: rows down, columns right.

    Returns:
        (slot, batch, feature) uint8.
    """
    line = ops.convert_to_tensor(np.arange(SIDE, dtype=np.int32))
    row = line - shifts[..., :1]
    column = line - shifts[..., 1:]
    is_inside = ((row >= 0) & (row < SIDE))[..., :, None] & ((column >= 0) & (column < SIDE))[
        ..., None, :
    ]
    column = ops.where(flips[..., None], SIDE - 1 - column, column)
    row, column = ops.clip(row, 0, SIDE - 1), ops.clip(column, 0, SIDE - 1)
    place = (index[..., None] * SIDE + row)[..., :, None] * SIDE + column[..., None, :]
    pixels = ops.take(ops.reshape(images, (-1, CHANNELS)), place, axis=0)
    pixels = ops.where(is_inside[..., None], pixels, ops.zeros_like(pixels))
    return ops.reshape(pixels, (*index.shape, FEATURES))


def scale(pixels: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
    """Inputs of the network, (slot, batch, feature), from pixels of the same shape.

    Args:
        pixels: 0 to 255.
        factor: (slot, feature).
        offset: (slot, feature).
    """
    return ops.cast(pixels, factor.dtype) * factor[:, None, :] + offset[:, None, :]
