"""Keras's lists of weights as arrays of slots, and back.

Keras lists the weights layer by layer, kernels as (input, unit). Here what all layers have alike
is stacked over the layers, and kernels are (unit, input). The slot is the last axis but two of
every array, so numbers of shape (slot, 1, 1) apply to all of them.

Notation:
    first   (slot, unit, feature) kernel of the first hidden layer
    hidden  (layer - 1, slot, unit, input) kernels of the others; missing where there are none
    output  (slot, class, unit) kernel of the output layer, output_bias (slot, class, 1)
    bias, gamma, beta, alpha    (layer, slot, unit, 1) of the hidden layers
    mean, variance              (layer, slot, unit, 1) moving statistics
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.engines.fused.key import FusionKey

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

MOVING = ("mean", "variance")


def kernels_of(weights: Mapping[str, Any]) -> list[str]:
    """The names of the hidden layers' kernels."""
    return [name for name in ("first", "hidden") if name in weights]


def from_keras(
    key: FusionKey, weights: Sequence[Array], dtype: str
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Trained and moving arrays of one slot, from what `get_weights` gave."""
    layers: dict[str, list[Array]] = {}
    for name, array in zip(_keras_names(key), weights, strict=True):
        # Kernels are transposed; vectors become columns.
        matrix = array.T if array.ndim == 2 else array[:, None]
        layers.setdefault(name, []).append(np.ascontiguousarray(matrix[None], dtype))
    single = {"first", "output", "output_bias"}
    arrays = {n: a[0] if n in single else np.stack(a) for n, a in layers.items()}
    trained = {name: array for name, array in arrays.items() if name not in MOVING}
    return trained, {name: array for name, array in arrays.items() if name in MOVING}


def to_keras(key: FusionKey, trained: Arrays, moving: Arrays) -> list[Array]:
    """The list for `set_weights`, from the arrays of one slot and of their precision."""
    taken = {
        name: iter(array if array.ndim == 4 else array[None])
        for name, array in {**trained, **moving}.items()
    }
    weights = []
    for name in _keras_names(key):
        matrix = next(taken[name])[0]
        array = matrix.T if name in ("first", "hidden", "output") else matrix[:, 0]
        weights.append(np.ascontiguousarray(array))
    return weights


def slot_axis(array: Any) -> int:
    """The axis of the slots."""
    return len(array.shape) - 3


def _keras_names(key: FusionKey) -> tuple[str, ...]:
    """The names of the arrays of Keras's list in its order."""
    batch_norm = ["gamma", "beta", *MOVING]
    vectors = ["bias"]
    vectors += batch_norm if key.batch_norm == "before" else []
    vectors += ["alpha"] if key.activation == "prelu" else []
    vectors += batch_norm if key.batch_norm == "after" else []
    others = ["hidden", *vectors] * (key.depth - 1)
    return ("first", *vectors, *others, "output", "output_bias")
