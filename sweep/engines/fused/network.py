"""The network of many slots at once: its forward pass, and the way back for gradients.

The images of a batch are columns: weights stand left of signals, so that both the products and
the gradients of the weights are taken along rows that lie side by side in memory. The hidden
layers after the first run in a loop, whose body is compiled once; on the way back it computes
what lies between two products anew from the product's result.

Notation:
    x       (slot, batch, feature) inputs
    z, h    (slot, unit, batch) results of a layer's product, and its outputs
    mask    (batch,) 1 for an image, 0 for what fills up the last batch; None where all are images
    weights, moving     see `layout`
    keys    (dropout layer, slot, 2) uint32; None without dropout
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras import ops

from sweep.engines.fused import noise
from sweep.engines.fused.activations import FAMILIES
from sweep.engines.fused.adapters import Adapter
from sweep.engines.fused.key import FusionKey

Tensor = Any
Arrays = Mapping[str, Tensor]

_BATCH_NORM_EPSILON = 1e-3
_BETWEEN = ("gamma", "beta", "alpha")


@dataclass(frozen=True, slots=True)
class Trace:
    """What the way back needs of the forward pass.

    Attributes:
        first: (slot, unit, batch) product of the first layer.
        products: (layer - 1, slot, unit, batch) of the others; None if there are none.
        inputs: Likewise, what they multiplied.
        moving: Moving statistics after the step.
    """

    first: Tensor
    products: Tensor
    inputs: Tensor
    moving: dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Network:
    """The hidden layers of a cohort for one batch.

    Attributes:
        key: The structure.
        weights: Trained arrays.
        moving: Moving statistics before the step.
        settings: Numbers of the slots.
        mask: Which columns are images.
        keys: Of dropout's masks; None for inference, which takes the moving statistics.
        is_training: Whether the batch's own statistics normalise it, and units are dropped.
    """

    key: FusionKey
    weights: Arrays
    moving: Arrays
    settings: Arrays
    mask: Tensor | None
    keys: Tensor | None
    is_training: bool

    def forward(self, x: Tensor) -> tuple[Tensor, Trace]:
        """Outputs of the last hidden layer, and what the way back needs.

        Dropout that is only before the output comes with `logits`.
        """
        first = ops.matmul(self.weights["first"], ops.swapaxes(x, 1, 2))
        first = first + self.weights["bias"][0]
        h, moving = self._between(first, self._vectors(0), 0)
        if self.key.depth == 1:
            new = {name: array[None] for name, array in moving.items()}
            return h, Trace(first, None, None, new)
        shape = (self.key.depth - 1, *first.shape)
        room = ops.zeros(shape if self.is_training else (1,), first.dtype)
        stacks = {
            name: _with_row(ops.zeros_like(self.moving[name]), 0, row)
            for name, row in moving.items()
        }

        def layer(
            i: Tensor, h: Tensor, products: Tensor, inputs: Tensor, stacks: Arrays
        ) -> tuple[Tensor, Tensor, Tensor, Tensor, Arrays]:
            z = ops.matmul(_row(self.weights["hidden"], i), h)
            z = z + _row(self.weights["bias"], i + 1)
            if self.is_training:
                products, inputs = _with_row(products, i, z), _with_row(inputs, i, h)
            h, moving = self._between(z, self._vectors(i + 1), i + 1)
            stacks = {name: _with_row(a, i + 1, moving[name]) for name, a in stacks.items()}
            return i + 1, h, products, inputs, stacks

        _, h, products, inputs, stacks = ops.while_loop(
            lambda i, *_: i < self.key.depth - 1,
            layer,
            (ops.convert_to_tensor(0, "int32"), h, room, room, stacks),
        )
        return h, Trace(first, products, inputs, stacks)

    def logits(self, h: Tensor, weights: Arrays) -> Tensor:
        """Outputs before softmax, (slot, class, batch).

        Args:
            h: Outputs of the last hidden layer.
            weights: Those of the output layer.
        """
        if self.keys is not None and self.key.dropout_layers == 1:
            h = self._dropped(h, self.keys[0])
        return ops.matmul(weights["output"], h) + weights["output_bias"]

    def gradient(self, adapter: Adapter, x: Tensor, trace: Trace, dh: Tensor) -> dict[str, Tensor]:
        """The gradient of the hidden layers' weights.

        Args:
            adapter: Of the backend.
            x: Inputs of the forward pass.
            trace: Of that pass.
            dh: Gradient of the outputs of the last hidden layer.
        """
        names = [name for name in ("bias", *_BETWEEN) if name in self.weights]
        stacks = {name: ops.zeros_like(self.weights[name]) for name in names}
        gradient: dict[str, Tensor] = {}
        if self.key.depth > 1:
            kernels = ops.zeros_like(self.weights["hidden"])

            def layer(
                i: Tensor, dh: Tensor, kernels: Tensor, stacks: Arrays
            ) -> tuple[Tensor, Tensor, Tensor, Arrays]:
                dz, rows = self._back_between(adapter, _row(trace.products, i), i + 1, dh)
                product = ops.matmul(dz, ops.swapaxes(_row(trace.inputs, i), 1, 2))
                dh = ops.matmul(ops.swapaxes(_row(self.weights["hidden"], i), 1, 2), dz)
                stacks = {name: _with_row(a, i + 1, rows[name]) for name, a in stacks.items()}
                return i - 1, dh, _with_row(kernels, i, product), stacks

            last = ops.convert_to_tensor(self.key.depth - 2, "int32")
            _, dh, gradient["hidden"], stacks = ops.while_loop(
                lambda i, *_: i >= 0, layer, (last, dh, kernels, stacks)
            )
        dz, rows = self._back_between(adapter, trace.first, 0, dh)
        gradient["first"] = ops.matmul(dz, x)
        return gradient | {name: _with_row(a, 0, rows[name]) for name, a in stacks.items()}

    def _between(
        self, z: Tensor, vectors: Arrays, layer: Tensor | int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What a layer does to its product, and its moving statistics after the step."""
        moving: dict[str, Tensor] = {}

        def normalised(z: Tensor) -> Tensor:
            mean, variance = (_row(self.moving[name], layer) for name in ("mean", "variance"))
            if self.is_training:
                kept, new = columns(self.settings["batch_norm"])
                batch = _moments(z, self.mask)
                moving["mean"] = mean * kept + batch[0] * new
                moving["variance"] = variance * kept + batch[1] * new
                mean, variance = batch
            factor = vectors["gamma"] * ops.rsqrt(variance + _BATCH_NORM_EPSILON)
            return z * factor + (vectors["beta"] - mean * factor)

        if self.key.batch_norm == "before":
            z = normalised(z)
        numbers = columns(self.settings["activation"])
        h = FAMILIES[self.key.activation](z, numbers, vectors.get("alpha"))
        if self.key.batch_norm == "after":
            h = normalised(h)
        if self.keys is not None and self.key.dropout_layers > 1:
            h = self._dropped(h, _row(self.keys, layer))
        return h, moving

    def _back_between(
        self, adapter: Adapter, z: Tensor, layer: Tensor | int, dh: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The gradients of a layer's product and of its vectors."""

        def outputs(at: Arrays) -> Tensor:
            return self._between(at["z"], at, layer)[0]

        gradient = adapter.pull_back(outputs, {"z": z, **self._vectors(layer)}, dh)
        dz = gradient.pop("z")
        return dz, {"bias": ops.sum(dz, axis=-1, keepdims=True), **gradient}

    def _vectors(self, layer: Tensor | int) -> dict[str, Tensor]:
        return {n: _row(self.weights[n], layer) for n in _BETWEEN if n in self.weights}

    def _dropped(self, h: Tensor, keys: Tensor) -> Tensor:
        words = noise.uniform_words(keys, *h.shape[1:])
        is_kept = words >= self.settings["dropout_threshold"][:, None, None]
        fill, factor, offset = columns(self.settings["dropout"])
        return ops.where(is_kept, h, fill) * factor + offset


def _moments(z: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    if mask is None:
        mean = ops.mean(z, axis=-1, keepdims=True)
        return mean, ops.mean(ops.square(z - mean), axis=-1, keepdims=True)
    images = ops.sum(mask)
    mean = ops.sum(z * mask, axis=-1, keepdims=True) / images
    return mean, ops.sum(ops.square(z - mean) * mask, axis=-1, keepdims=True) / images


def columns(numbers: Tensor) -> tuple[Tensor, ...]:
    """(slot, n) numbers as n arrays of shape (slot, 1, 1)."""
    return tuple(numbers[:, i][:, None, None] for i in range(numbers.shape[1]))


def _row(stack: Tensor, i: Tensor | int) -> Tensor:
    return stack[i] if isinstance(i, int) else ops.take(stack, i, axis=0)


def _with_row(stack: Tensor, i: Tensor | int, row: Tensor) -> Tensor:
    # All indices of one type, which JAX wants; in double precision it takes a plain 0 for 64 bits.
    return ops.slice_update(stack, (i, *[i * 0] * len(row.shape)), row[None])
