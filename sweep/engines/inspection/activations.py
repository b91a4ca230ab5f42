"""The hidden activations and their derivatives in numpy.

Notation:
    z   (image, unit) inputs of the activation
    p   slope below zero: a number, or (unit,) learned ones; of the rectifiers alone
    a   (image, unit) its outputs

Where a function has a corner, the derivative there is the one that Keras takes. Calls may
overflow where the result does not; callers silence numpy's warnings.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Slope = float | Array

_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717
_ROOT_OF_HALF = math.sqrt(0.5)
# Beyond it, mish is z in single and in double precision, and exp(z)^2 would overflow.
_MISH_LINEAR = 40.0
# M. Abramowitz and I. Stegun, "Handbook of Mathematical Functions" (1964), formula 7.1.26.
_ERF_P = 0.3275911
_ERF_A = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation.

    Attributes:
        value: (z, p) -> a.
        slope: (z, p, a) -> derivative of a with respect to z.
    """

    value: Callable[[Array, Slope], Array]
    slope: Callable[[Array, Slope, Array], Array]


# np.where is the slowest of all operations here, so most of these do without.


def _rectified(z: Array, p: Slope) -> Array:
    return np.maximum(z, 0) + p * np.minimum(z, 0)


def _rectified_slope(z: Array, p: Slope, a: Array) -> Array:
    return (z > 0) * (1 - p) + p


def _prelu_slope(z: Array, p: Slope, a: Array) -> Array:
    # relu(z) - p relu(-z), whose two parts both have the derivative 0 at 0.
    return (z > 0) + (z < 0) * p


def _exponential(scale: float, alpha: float) -> Activation:
    def value(z: Array, p: Slope) -> Array:
        return scale * np.maximum(z, 0) + scale * alpha * (np.exp(np.minimum(z, 0)) - 1)

    def slope(z: Array, p: Slope, a: Array) -> Array:
        below = np.minimum(a, 0) + scale * alpha
        return below if alpha == 1.0 else np.where(z >= 0, z.dtype.type(scale), below)

    return Activation(value, slope)


def _sigmoid(z: Array) -> Array:
    share: Array = 1 / (1 + np.exp(-z))
    return share


def _swish_slope(z: Array, p: Slope, a: Array) -> Array:
    s = _sigmoid(z)
    slope: Array = s + a * (1 - s)
    return slope


def _normal_share(z: Array) -> Array:
    """The share of a normal distribution below z; to 1e-7, which is single precision."""
    x = np.abs(z) * _ROOT_OF_HALF
    t = 1 / (1 + _ERF_P * x)
    tail = np.zeros_like(t)
    for factor in reversed(_ERF_A):
        tail = (tail + factor) * t
    tail *= 0.5 * np.exp(-x * x)
    return np.sign(z) * (0.5 - tail) + 0.5


def _gelu_slope(z: Array, p: Slope, a: Array) -> Array:
    return _normal_share(z) + z * np.exp(-0.5 * z * z) * (_ROOT_OF_HALF / math.sqrt(math.pi))


def _mish_factor(z: Array) -> tuple[Array, Array]:
    """tanh(softplus(z)) and exp(z), which is cut where it does not matter."""
    e = np.exp(np.minimum(z, _MISH_LINEAR))
    n = e * (e + 2)
    return n / (n + 2), e


def _mish_slope(z: Array, p: Slope, a: Array) -> Array:
    t, e = _mish_factor(z)
    slope: Array = t + z * (1 - t * t) * (e / (1 + e))
    return slope


def _softplus(z: Array, p: Slope) -> Array:
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


ACTIVATIONS: Mapping[str, Activation] = {
    "relu": Activation(lambda z, p: np.maximum(z, 0), lambda z, p, a: z > 0),
    "leaky_relu": Activation(_rectified, _rectified_slope),
    "prelu": Activation(_rectified, _prelu_slope),
    "elu": _exponential(1.0, 1.0),
    "selu": _exponential(_SELU_SCALE, _SELU_ALPHA),
    "swish": Activation(lambda z, p: z * _sigmoid(z), _swish_slope),
    "gelu": Activation(lambda z, p: z * _normal_share(z), _gelu_slope),
    "mish": Activation(lambda z, p: z * _mish_factor(z)[0], _mish_slope),
    "softplus": Activation(_softplus, lambda z, p, a: _sigmoid(z)),
    "tanh": Activation(lambda z, p: np.tanh(z), lambda z, p, a: 1 - a * a),
    "sigmoid": Activation(lambda z, p: _sigmoid(z), lambda z, p, a: a * (1 - a)),
}
