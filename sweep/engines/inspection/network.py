"""A trained network in numpy: outputs of all layers, and the way back to their kernels.

Notation:
    x   (image, input) what a layer's kernel multiplies: scaled pixels, then outputs
    z   (image, unit) inputs of a hidden layer's activation; dz is the gradient of the product
    a   (image, unit) outputs of the activation
    h   (image, unit) outputs of the layer as the next one takes them, without dropout
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.engines.inspection.activations import ACTIVATIONS, Activation, Slope
from sweep.trial import TrialConfig

Array = npt.NDArray[Any]

# Keras's default.
_BATCH_NORM_EPSILON = 1e-3


@dataclass(frozen=True, slots=True)
class HiddenLayer:
    """A hidden layer.

    Attributes:
        kernel: (input, unit).
        bias: (unit,).
        slope: Of the activation below zero, a number or (unit,).
        factor: (unit,) of batch normalisation at inference; None without.
        offset: Likewise.
    """

    kernel: Array
    bias: Array
    slope: Slope
    factor: Array | None
    offset: Array | None


@dataclass(frozen=True, slots=True)
class Step:
    """What a hidden layer computed.

    Attributes:
        z: Inputs of its activation.
        a: Outputs of its activation.
        h: Outputs of the layer: `a`, unless batch normalisation follows.
    """

    z: Array
    a: Array
    h: Array


@dataclass(frozen=True, slots=True)
class Trace:
    """What a forward pass computed.

    Attributes:
        steps: Of the hidden layers.
        probabilities: (image, class) outputs of the output layer.
    """

    steps: list[Step]
    probabilities: Array


@dataclass(frozen=True, slots=True)
class Gradients:
    """What a backward pass computed.

    Attributes:
        norms: Of the gradients with respect to `TrainedNetwork.kernels`.
        slopes: (unit,) of each hidden layer: largest size of the activation's derivative.
    """

    norms: list[float]
    slopes: list[Array]


class TrainedNetwork:
    """The network of a trial as it predicts: moving statistics, no dropout.

    Attributes:
        kernels: (input, unit) of each hidden layer, then of the output layer.
    """

    def __init__(self, config: TrialConfig, weights: Sequence[Array]) -> None:
        """Take weights over.

        Args:
            config: The trial's configuration.
            weights: Its weights in Keras's order.
        """
        self._activation: Activation = ACTIVATIONS[config.activation]
        self._has_norm_before = config.batch_norm == "before"
        rest = iter(weights)
        self._hidden = [_hidden_layer(config, rest) for _ in range(config.depth)]
        self._output, self._output_bias = rest
        self.kernels = [*(layer.kernel for layer in self._hidden), self._output]

    def forward(self, x: Array) -> Trace:
        """Pass images through all layers."""
        steps = []
        for layer in self._hidden:
            z = x @ layer.kernel
            z += layer.bias
            if layer.factor is not None and self._has_norm_before:
                z *= layer.factor
                z += layer.offset
            a = h = self._activation.value(z, layer.slope)
            if layer.factor is not None and not self._has_norm_before:
                h = a * layer.factor
                h += layer.offset
            steps.append(Step(z, a, h))
            x = h
        logits = x @ self._output + self._output_bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return Trace(steps, odds / odds.sum(axis=1, keepdims=True))

    def backward(self, trace: Trace, targets: Array, products: Array) -> Gradients:
        """Pass the gradient of the mean cross-entropy back through all layers.

        Args:
            trace: A forward pass.
            targets: (image, class) wanted probabilities.
            products: (image, image) of the inputs of that pass with one another, in double
                precision. With them the norm of the first gradient, x' dz, is known without it:
                its square is the sum of x x' times dz dz'.
        """
        norms, slopes = [], []
        above = self._output
        dz = (trace.probabilities - targets) / len(targets)
        for layer, step in zip(reversed(self._hidden), reversed(trace.steps), strict=True):
            # In double precision: squares of small gradients would vanish.
            norms.append(float(np.linalg.norm((step.h.T @ dz).astype(np.float64))))
            slope = self._activation.slope(step.z, layer.slope, step.a)
            slopes.append(np.abs(slope).max(axis=0))
            dz = dz @ above.T
            dz *= slope
            if layer.factor is not None:
                dz *= layer.factor
            above = layer.kernel
        exact = dz.astype(np.float64)
        square = np.vdot(products, exact @ exact.T)
        norms.append(float(np.sqrt(np.maximum(square, 0.0))))
        return Gradients(norms[::-1], slopes[::-1])


def _hidden_layer(config: TrialConfig, weights: Iterator[Array]) -> HiddenLayer:
    kernel, bias = next(weights), next(weights)
    slope: Slope = config.leaky_relu_slope if config.activation == "leaky_relu" else 0.0
    factor = offset = None
    if config.batch_norm == "before":
        factor, offset = _norm(weights)
    if config.activation == "prelu":
        slope = next(weights)
    if config.batch_norm == "after":
        factor, offset = _norm(weights)
    return HiddenLayer(kernel, bias, slope, factor, offset)


def _norm(weights: Iterator[Array]) -> tuple[Array, Array]:
    """Batch normalisation at inference as a factor and an offset."""
    gamma, beta, mean, variance = (next(weights) for _ in range(4))
    factor = gamma / np.sqrt(variance + _BATCH_NORM_EPSILON)
    return factor, beta - mean * factor
