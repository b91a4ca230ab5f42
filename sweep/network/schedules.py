"""Learning rates over the steps of a trial.

`plateau` is not here: it depends on the validation loss, so the engine lowers the rate between
epochs.
"""

from collections.abc import Sequence

import keras
import numpy as np

from sweep.trial import TrialConfig


def learning_rate(
    config: TrialConfig, steps_per_epoch: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The rate of a trial: a number, or a function of the step from 0 on.

    - `cosine`: rate x (floor + (1 - floor) x (1 + cos(pi t / T)) / 2) at step t of T.
    - `exponential`: rate x decay^(t / steps per epoch), smoothly.
    - `one_cycle`: see `one_cycle_knots`.

    Args:
        config: The trial's configuration; `learning_rate` is the highest rate of every schedule.
        steps_per_epoch: Training steps of an epoch, the last partial batch counted.
    """
    steps = config.epochs * steps_per_epoch
    # Keras computes a schedule in the precision of its first number.
    highest = np.float64(config.learning_rate)
    match config.schedule:
        case "cosine":
            return keras.optimizers.schedules.CosineDecay(
                highest, decay_steps=steps, alpha=config.cosine_floor
            )
        case "exponential":
            return keras.optimizers.schedules.ExponentialDecay(
                highest,
                decay_steps=steps_per_epoch,
                decay_rate=config.exponential_decay,
            )
        case "one_cycle":
            return PiecewiseLinear(one_cycle_knots(config.learning_rate, steps))
        case _:
            return config.learning_rate


def one_cycle_knots(highest: float, steps: int) -> tuple[tuple[int, float], ...]:
    """The corners of a 1cycle schedule, as (step, rate).

    From a tenth of the highest rate straight up to it in the middle of the cycle, straight back
    in as many steps, and in the last tenth of all steps down to a thousandth of the first rate.
    The lengths in whole steps are those of A. Géron, "Hands-On Machine Learning", chapter 11.

    Args:
        highest: Rate in the middle of the cycle.
        steps: Steps of the whole training.
    """
    first = highest / 10
    half = (steps - (steps // 10 + 1)) // 2
    corners = ((0, first), (half, highest), (2 * half, first), (steps, first / 1000))
    return corners if half > 0 else (corners[0], corners[3])


class PiecewiseLinear(
    keras.optimizers.schedules.LearningRateSchedule  # type: ignore[misc]  # Keras has no types
):
    """A rate that runs straight from corner to corner."""

    def __init__(self, knots: Sequence[tuple[int, float]]) -> None:
        """Keep the corners.

        Args:
            knots: (step, rate) in order of the step; at least two, the first at step 0.
        """
        self.knots = tuple(knots)

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        """The rate at a step; the last corner's from there on."""
        rate = keras.ops.convert_to_tensor(np.float64(self.knots[-1][1]))
        now = keras.ops.cast(step, rate.dtype)
        for (start, low), (end, high) in reversed(
            list(zip(self.knots, self.knots[1:], strict=False))
        ):
            line = low + (high - low) * (now - start) / (end - start)
            rate = keras.ops.where(now < end, line, rate)
        return rate

    def get_config(self) -> dict[str, object]:
        """The corners, for a copy of the optimizer."""
        return {"knots": self.knots}
