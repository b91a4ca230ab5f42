"""The families of hidden activations, one function each.

Notation:
    z   (slot, unit, batch) inputs of the activation
    c   (slot, 1, 1) each: a family's numbers, one per slot
    p   (slot, unit, 1) a learned slope, of `prelu` alone

Where a function has a corner, the gradient at the corner is the one that Keras takes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras import ops

from sweep.engines.fused.precision import single
from sweep.trial import TrialConfig

Tensor = Any
SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717

_ROOT_OF_HALF = single(math.sqrt(0.5))

MOST_NUMBERS = 2


def numbers(config: TrialConfig) -> tuple[float, ...]:
    """What tells a trial's activation from others of its family; `MOST_NUMBERS` of them.

    `rectifier`: slope below zero. `exponential`: scale, and alpha times scale.
    """
    match config.activation:
        case "leaky_relu":
            return single(config.leaky_relu_slope), 0.0
        case "elu":
            return 1.0, 1.0
        case "selu":
            return SELU_SCALE, SELU_SCALE * SELU_ALPHA
        case _:
            return 0.0, 0.0


def _rectifier(z: Tensor, c: Sequence[Tensor], p: Tensor) -> Tensor:
    return ops.where(z > 0, z, c[0] * z)


def _exponential(z: Tensor, c: Sequence[Tensor], p: Tensor) -> Tensor:
    # The exponent is kept from overflowing in the branch that is not taken.
    return ops.where(z >= 0, c[0] * z, c[1] * (ops.exp(ops.minimum(z, 0)) - 1))


def _prelu(z: Tensor, c: Sequence[Tensor], p: Tensor) -> Tensor:
    return ops.relu(z) - p * ops.relu(-z)


def _gelu(z: Tensor, c: Sequence[Tensor], p: Tensor) -> Tensor:
    return 0.5 * z * (1 + ops.erf(z * _ROOT_OF_HALF))


FAMILIES: Mapping[str, Callable[[Tensor, Sequence[Tensor], Tensor], Tensor]] = {
    "rectifier": _rectifier,
    "exponential": _exponential,
    "prelu": _prelu,
    "swish": lambda z, c, p: z * ops.sigmoid(z),
    "gelu": _gelu,
    "mish": lambda z, c, p: z * ops.tanh(ops.softplus(z)),
    "softplus": lambda z, c, p: ops.softplus(z),
    "tanh": lambda z, c, p: ops.tanh(z),
    "sigmoid": lambda z, c, p: ops.sigmoid(z),
}
