"""Keras's lists of weights as arrays of slots, and back.

Keras lists the weights layer by layer, kernels as (input, unit). Here they are trees by name, with
the slot as first axis and kernels as (slot, unit, input); see `network`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.engines.fused.key import FusionKey

Array = npt.NDArray[Any]
Layers = Mapping[str, list[Array]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an array of Keras's list goes: among the trained or the moving ones, and its name."""

    is_trained: bool
    name: str


def places(key: FusionKey) -> tuple[Place, ...]:
    """The arrays of Keras's list in its order."""
    batch_norm = [Place(True, "gamma"), Place(True, "beta"), Place(False, "mean")]
    batch_norm.append(Place(False, "variance"))
    hidden = [Place(True, "kernel"), Place(True, "bias")]
    if key.batch_norm == "before":
        hidden += batch_norm
    if key.activation == "prelu":
        hidden.append(Place(True, "alpha"))
    if key.batch_norm == "after":
        hidden += batch_norm
    return (*hidden * key.depth, Place(True, "kernel"), Place(True, "bias"))


def from_keras(
    key: FusionKey, weights: Sequence[Array], dtype: str
) -> tuple[dict[str, list[Array]], dict[str, list[Array]]]:
    """Trained and moving arrays of one slot, (1, unit, ...) each, from what `get_weights` gave."""
    trained: dict[str, list[Array]] = {}
    moving: dict[str, list[Array]] = {}
    for place, array in zip(places(key), weights, strict=True):
        # Kernels are transposed; vectors become columns.
        matrix = array.T if array.ndim == 2 else array[:, None]
        tree = trained if place.is_trained else moving
        tree.setdefault(place.name, []).append(np.ascontiguousarray(matrix[None], dtype))
    return trained, moving


def to_keras(key: FusionKey, trained: Layers, moving: Layers) -> list[npt.NDArray[np.float32]]:
    """The list for `set_weights`, from the arrays of one slot."""
    taken = {name: iter(arrays) for name, arrays in (*trained.items(), *moving.items())}
    weights = []
    for place in places(key):
        matrix = next(taken[place.name])[0]
        array = matrix.T if place.name == "kernel" else matrix[:, 0]
        weights.append(np.ascontiguousarray(array, np.float32))
    return weights
