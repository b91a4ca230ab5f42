"""The network of many slots at once: its forward pass, in training and in validation.

The images of a batch are columns: weights stand left of signals, so that both the products and
the gradients of the weights are taken along rows that lie side by side in memory.

Notation:
    x       (slot, batch, feature) inputs
    h, z    (slot, unit, batch) signals
    mask    (batch,) 1 for an image, 0 for what fills up the last batch; None where all are images
    weights by name, a list over the layers each: `kernel` (slot, unit, input), `bias`, and
            `gamma`, `beta`, `alpha` (slot, unit, 1)
    moving  likewise: `mean` and `variance` (slot, unit, 1) of batch normalisation
"""

from collections.abc import Mapping
from typing import Any

from keras import ops

from sweep.engines.fused import noise
from sweep.engines.fused.activations import FAMILIES
from sweep.engines.fused.key import FusionKey

Tensor = Any
Layers = Mapping[str, list[Tensor]]
Settings = Mapping[str, Tensor]

_BATCH_NORM_EPSILON = 1e-3


def forward_training(
    key: FusionKey,
    weights: Layers,
    moving: Layers,
    settings: Settings,
    x: Tensor,
    mask: Tensor | None,
    dropout_keys: Tensor | None,
) -> tuple[Tensor, Layers]:
    """Outputs before softmax, (slot, class, batch), and the moving statistics after the step.

    Args:
        key: The structure.
        weights: Trainable weights.
        moving: Moving statistics before the step; empty without batch normalisation.
        settings: Numbers of the slots.
        x: Inputs.
        mask: Which columns are images.
        dropout_keys: (dropout layer, slot, 2) uint32; None without dropout.
    """
    statistics: dict[str, list[Tensor]] = {name: [] for name in moving}

    def normalise(layer: int, z: Tensor) -> Tensor:
        mean, variance = _moments(z, mask)
        kept, new = _column(settings["batch_norm"])
        statistics["mean"].append(moving["mean"][layer] * kept + mean * new)
        statistics["variance"].append(moving["variance"][layer] * kept + variance * new)
        return _normalised(weights, layer, z, mean, variance)

    first_dropout = key.depth - key.dropout_layers

    def drop(layer: int, h: Tensor) -> Tensor:
        if dropout_keys is None or layer < first_dropout:
            return h
        words = noise.uniform_words(dropout_keys[layer - first_dropout], *h.shape[1:])
        is_kept = words >= settings["dropout_threshold"][:, None, None]
        fill, factor, offset = _column(settings["dropout"])
        return ops.where(is_kept, h, fill) * factor + offset

    return _forward(key, weights, settings, x, normalise, drop), statistics


def forward_inference(
    key: FusionKey, weights: Layers, moving: Layers, settings: Settings, x: Tensor
) -> Tensor:
    """Outputs before softmax, (slot, class, batch), without noise, from the moving statistics."""

    def normalise(layer: int, z: Tensor) -> Tensor:
        mean, variance = moving["mean"][layer], moving["variance"][layer]
        return _normalised(weights, layer, z, mean, variance)

    return _forward(key, weights, settings, x, normalise, lambda layer, h: h)


def _forward(
    key: FusionKey, weights: Layers, settings: Settings, x: Tensor, normalise: Any, drop: Any
) -> Tensor:
    activation = FAMILIES[key.activation]
    numbers = _column(settings["activation"])
    h = ops.swapaxes(x, 1, 2)
    for layer in range(key.depth):
        z = ops.matmul(weights["kernel"][layer], h) + weights["bias"][layer]
        if key.batch_norm == "before":
            z = normalise(layer, z)
        slope = weights["alpha"][layer] if "alpha" in weights else None
        h = activation(z, numbers, slope)
        if key.batch_norm == "after":
            h = normalise(layer, h)
        h = drop(layer, h)
    return ops.matmul(weights["kernel"][-1], h) + weights["bias"][-1]


def _moments(z: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    if mask is None:
        mean = ops.mean(z, axis=-1, keepdims=True)
        return mean, ops.mean(ops.square(z - mean), axis=-1, keepdims=True)
    images = ops.sum(mask)
    mean = ops.sum(z * mask, axis=-1, keepdims=True) / images
    return mean, ops.sum(ops.square(z - mean) * mask, axis=-1, keepdims=True) / images


def _normalised(weights: Layers, layer: int, z: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    factor = weights["gamma"][layer] * ops.rsqrt(variance + _BATCH_NORM_EPSILON)
    return z * factor + (weights["beta"][layer] - mean * factor)


def _column(numbers: Tensor) -> tuple[Tensor, ...]:
    """(slot, n) numbers as n arrays of shape (slot, 1, 1)."""
    return tuple(numbers[:, i][:, None, None] for i in range(numbers.shape[1]))
