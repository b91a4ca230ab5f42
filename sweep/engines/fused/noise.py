"""Dropout's random numbers, made from a counter so that they cost next to nothing.

A uniform number of 32 bits is made for each unit and image by hashing its place with the two key
words of its slot, step and layer: three multiplications, all of it vectorised and fused with the
activation, where a library's generator takes as long as the network itself. The mixing steps and
constants are those of C. Wellons, "Prospecting for Hash Functions" (2018), whose bias of 0.17 over
all input and output bits is the lowest known for two rounds; the second key word enters between
the rounds, so that no two keys run through the same sequence. The keys come from the trial's own
generator on the host.

Notation:
    keys    (slot, 2) uint32
    place   (unit, batch) uint32: number of a unit and image within a layer
"""

from typing import Any

import numpy as np
from keras import ops

Tensor = Any
_WORD = 1 << 32


def threshold(rate: float) -> int:
    """The 32-bit number below which a share of `rate` of all numbers lies."""
    return min(round(rate * _WORD), _WORD - 1)


def uniform_words(keys: Tensor, units: int, batch: int) -> Tensor:
    """Uniform 32-bit numbers, (slot, unit, batch) uint32, independent for all different keys."""
    place = ops.cast(ops.arange(units * batch, dtype="int32"), "uint32")
    place = ops.reshape(place, (1, units, batch))
    first, second = keys[:, 0][:, None, None], keys[:, 1][:, None, None]
    word = place * _constant(0x9E3779B1) ^ first
    word = _mix(word, 16, 0x21F0AAAD)
    word = _mix(word ^ second, 15, 0x735A2D97)
    return word ^ _shift(word, 15)


def _mix(word: Tensor, bits: int, factor: int) -> Tensor:
    return (word ^ _shift(word, bits)) * _constant(factor)


def _shift(word: Tensor, bits: int) -> Tensor:
    return ops.right_shift(word, _constant(bits))


def _constant(value: Any) -> Tensor:
    return ops.convert_to_tensor(np.asarray(value, np.uint32))
