"""The optimizers of Keras in two families, whose rules differ from slot to slot by numbers alone.

What depends on the step is computed on the host, in double precision, from the same schedule
objects that Keras calls; the device multiplies and adds. Numbers that Keras rounds to single
precision whatever its own, such as the betas in powers, are rounded here too.

Notation:
    w, g    (slot, ...) weights and their gradient
    m, v    (slot, ...) first and second moment; for `sgd`, m is the velocity
    c       (slot, STEP_NUMBERS) of this step: decay, then the family's own
    k       (slot, TRIAL_NUMBERS) of the trial
    t       number of the step, from 1

`sgd`       w <- w - c0 w;  m <- k0 m - c1 g;  w <- w + k1 (k0 m - c1 g) + (1 - k1) m
`adaptive`  w <- w - c0 w;  m <- m + k0 (g - m);  v <- v + k1 (g^2 - v)
            w <- w - (c1 m + c2 g) / (sqrt(c3 v + k2) + k3)

    optimizer    c1                              c2                     c3             k2   k3
    adam, adamw  r sqrt(1 - b2^t) / (1 - b1^t)   0                      1              0    eps
    nadam        r u(t+1) / (1 - U(t) u(t+1))    r (1-u(t)) / (1-U(t))  1 / (1-b2^t)   0    eps
    rmsprop      0                               r                      1              eps  0

with rate r, u(t) = b1 (1 - 0.96^t / 2), U(t) = u(1) ... u(t), k0 = 1 - b1, k1 = 1 - b2, and
for rmsprop k0 = 0, k1 = 1 - rho.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from sweep.engines.fused.precision import single
from sweep.trial import TrialConfig

Tensor = Any
Floats = npt.NDArray[np.float64]

STEP_NUMBERS = 4
TRIAL_NUMBERS = 4
_BETA_1, _BETA_2, _RHO, _EPSILON = 0.9, 0.999, 0.9, 1e-7
_NADAM_DECAY = 0.96


@dataclass(frozen=True, slots=True)
class Family:
    """A rule of updating weights.

    Attributes:
        moments: Arrays like the weights that it keeps.
        update: (w, g, moments, c, k) -> (w, moments); c and k as tuples of numbers of shape
            (slot, 1, 1).
    """

    moments: int
    update: Callable[..., tuple[Tensor, tuple[Tensor, ...]]]


def _sgd(
    w: Tensor, g: Tensor, moments: Sequence[Tensor], c: Sequence[Tensor], k: Sequence[Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    (m,) = moments
    m = k[0] * m - c[1] * g
    step = ops.where(k[1] > 0, k[0] * m - c[1] * g, m)
    return w - c[0] * w + step, (m,)


def _adaptive(
    w: Tensor, g: Tensor, moments: Sequence[Tensor], c: Sequence[Tensor], k: Sequence[Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    m, v = moments
    m = m + k[0] * (g - m)
    v = v + k[1] * (g * g - v)
    step = (c[1] * m + c[2] * g) / (ops.sqrt(c[3] * v + k[2]) + k[3])
    return w - c[0] * w - step, (m, v)


FAMILIES: Mapping[str, Family] = {"sgd": Family(1, _sgd), "adaptive": Family(2, _adaptive)}


def trial_numbers(config: TrialConfig) -> tuple[float, ...]:
    """The numbers k of a trial, `TRIAL_NUMBERS` of them."""
    match config.optimizer:
        case "sgd":
            nesterov = config.nesterov and config.momentum > 0.0
            return single(config.momentum), float(nesterov), 0.0, 0.0
        case "rmsprop":
            return 0.0, 1 - _RHO, _EPSILON, 0.0
        case "nadam":
            return 1 - single(_BETA_1), 1 - single(_BETA_2), 0.0, _EPSILON
        case _:
            return 1 - _BETA_1, 1 - _BETA_2, 0.0, _EPSILON


def step_numbers(config: TrialConfig, rates: Floats, steps_before: int) -> Floats:
    """The numbers c of the steps of an epoch.

    Args:
        config: The trial's configuration.
        rates: (step,) learning rates of the epoch.
        steps_before: Steps of all epochs before.

    Returns:
        (step, STEP_NUMBERS).
    """
    c = np.zeros((len(rates), STEP_NUMBERS))
    c[:, 0] = rates * single(config.weight_decay)
    t = np.arange(steps_before + 1, steps_before + 1 + len(rates), dtype=np.float64)
    beta_1, beta_2 = single(_BETA_1), single(_BETA_2)
    match config.optimizer:
        case "sgd":
            c[:, 1] = rates
        case "rmsprop":
            c[:, 2], c[:, 3] = rates, 1.0
        case "nadam":
            product, now, following = _nadam_schedule(steps_before + len(rates))
            product, now, following = (a[steps_before:] for a in (product, now, following))
            c[:, 1] = rates * following / (1 - product * following)
            c[:, 2] = rates * (1 - now) / (1 - product)
            c[:, 3] = 1 / (1 - beta_2**t)
        case _:
            c[:, 1] = rates * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
            c[:, 3] = 1.0
    return c


def _nadam_schedule(steps: int) -> tuple[Floats, Floats, Floats]:
    """U(t), u(t) and u(t + 1) for t = 1 ... steps, in Keras's mixture of precisions."""
    t = np.arange(1, steps + 1, dtype=np.float64)
    product = np.cumprod(_BETA_1 * (1 - 0.5 * _NADAM_DECAY**t), dtype=np.float64)
    beta, decay = single(_BETA_1), single(_NADAM_DECAY)
    return product, beta * (1 - 0.5 * decay**t), beta * (1 - 0.5 * decay ** (t + 1))
