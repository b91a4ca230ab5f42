"""What differs from slot to slot and from epoch to epoch, as arrays for the program."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.engines.draws import draw_augmentation, dropout_keys, epoch_order
from sweep.engines.fused import activations, noise, optimizers
from sweep.engines.fused.images import FEATURES
from sweep.engines.fused.key import FusionKey
from sweep.engines.fused.precision import single
from sweep.engines.stopping import loss_limit
from sweep.network.build import Statistics
from sweep.trial import TrialConfig

Array = npt.NDArray[Any]
_UNIT = single(1.0 / 255.0)
_ALPHA_DROPOUT_FILL = -activations.SELU_SCALE * activations.SELU_ALPHA


def slot_settings(
    config: TrialConfig, statistics: Statistics | None, penalty: float, dtype: str
) -> dict[str, Array]:
    """The numbers of a trial that hold for all its steps, by name; see `program`.

    Args:
        config: The trial's configuration.
        statistics: Mean and deviation of the training split, if the images are standardised.
        penalty: L1 and L2 penalties before the first step.
        dtype: Precision of the numbers that are not whole.
    """
    factor, offset = _scaling(statistics)
    numbers = {
        "factor": factor,
        "offset": offset,
        "activation": activations.numbers(config),
        "batch_norm": (config.batch_norm_momentum, 1.0 - config.batch_norm_momentum),
        "dropout": _dropout(config),
        "penalty": (single(config.l1), single(config.l2)),
        "clip_norm": config.clip_norm,
        "max_norm": config.max_norm,
        "label_smoothing": config.label_smoothing,
        "optimizer": optimizers.trial_numbers(config),
        "loss_limit": loss_limit(penalty),
    }
    arrays: dict[str, Array] = {name: np.asarray(v, dtype) for name, v in numbers.items()}
    arrays["dropout_threshold"] = np.asarray(noise.threshold(config.dropout_rate), np.uint32)
    return arrays


def epoch_inputs(
    config: TrialConfig,
    key: FusionKey,
    seed: int,
    epoch: int,
    images: int,
    rates: optimizers.Floats,
    dtype: str,
) -> dict[str, Array]:
    """What a trial's steps of one epoch take in, by name, the step as first axis.

    Args:
        config: The trial's configuration.
        key: Its structure.
        seed: Its seed.
        epoch: Number of the epoch, from 1.
        images: Images of the training split.
        rates: (step,) learning rates of the epoch.
        dtype: Precision of the numbers that are not whole.
    """
    steps, batch = len(rates), key.batch_size
    before = (epoch - 1) * steps
    inputs: dict[str, Array] = {
        "index": _in_steps(epoch_order(seed, epoch, images).astype(np.int32), steps, batch),
        "update": optimizers.step_numbers(config, rates, before).astype(dtype),
    }
    if key.is_augmented:
        flips, shifts = draw_augmentation(config, seed, epoch, images)
        inputs["flips"] = _in_steps(flips, steps, batch)
        inputs["shifts"] = _in_steps(shifts, steps, batch)
    if key.dropout_layers:
        inputs["dropout_keys"] = dropout_keys(seed, epoch, steps, key.dropout_layers)
    return inputs


def _in_steps(values: Array, steps: int, batch: int) -> Array:
    """Cut an epoch into steps; what the last step lacks is filled with zeros."""
    padding = [(0, steps * batch - len(values)), *[(0, 0)] * (values.ndim - 1)]
    return np.pad(values, padding).reshape(steps, batch, *values.shape[1:])


def _scaling(statistics: Statistics | None) -> tuple[Array, Array]:
    """Factor and offset, (feature,) each, that turn a pixel of 0 to 255 into an input."""
    if statistics is None:
        return np.full(FEATURES, _UNIT), np.zeros(FEATURES)
    mean, deviation = statistics
    # Keras is given the variance, which it keeps in single precision.
    variance = np.square(np.where(deviation > 0.0, deviation, np.float32(1.0)))
    mean, deviation = mean.astype(np.float64), np.sqrt(variance.astype(np.float64))
    shape = (32, 32, 3)
    factor = np.broadcast_to(_UNIT / deviation, shape).reshape(-1)
    offset = np.broadcast_to(-mean / deviation, shape).reshape(-1)
    return factor, offset


def _dropout(config: TrialConfig) -> tuple[float, float, float]:
    """What a dropped unit becomes, then factor and offset that restore the moments.

    Alpha dropout as in G. Klambauer et al., "Self-Normalizing Neural Networks" (2017), section 2.
    """
    rate = config.dropout_rate
    if config.dropout != "alpha_dropout":
        return 0.0, 1.0 / (1.0 - rate), 0.0
    fill = _ALPHA_DROPOUT_FILL
    factor = ((1.0 - rate) * (1.0 + rate * fill**2)) ** -0.5
    return fill, factor, -factor * fill * rate
