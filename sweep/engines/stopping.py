"""What a trial remembers from epoch to epoch: when to stop, when to lower the rate."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweep.trial import StopReason, TrialConfig

LOSS_LIMIT = 1e4


def loss_limit(penalty: float) -> float:
    """The training loss above which a trial has diverged.

    A network that has learned nothing has a loss of about log(classes), 2.3. One of 10,000 means
    that its outputs have grown ten-thousandfold, from which none comes back. Penalties may be
    large on purpose, so ten times what they were before training is allowed besides.

    Args:
        penalty: L1 and L2 penalties before the first step.
    """
    return LOSS_LIMIT + 10.0 * penalty


def is_diverged(loss: float, penalty: float) -> bool:
    """Whether a training loss is NaN, infinite or exploding.

    Args:
        loss: Mean training loss of the epoch so far, penalties included.
        penalty: L1 and L2 penalties before the first step.
    """
    return not math.isfinite(loss) or loss > loss_limit(penalty)


@dataclass(slots=True)
class EarlyStopping:
    """The rule of Keras's callback: stop after `patience` epochs in a row without a new best.

    Attributes:
        patience: Epochs without improvement that end a trial.
        maximize: Whether larger is better.
        best: The best value so far; None before the first epoch.
        best_epoch: Its epoch, from 1; 0 before the first.
        wait: Epochs since then.
    """

    patience: int
    maximize: bool
    best: float | None = None
    best_epoch: int = 0
    wait: int = 0

    @classmethod
    def from_config(cls, config: TrialConfig) -> "EarlyStopping | None":
        """The rule that a configuration asks for; None if it asks for none."""
        if config.early_stopping == "none":
            return None
        return cls(config.patience, maximize=config.early_stopping == "val_accuracy")

    def is_new_best(self, epoch: int, value: float) -> bool:
        """Take in an epoch's value, and say whether it is the best so far.

        NaN is never better than a number, and nothing is better than a NaN in the first epoch.
        """
        if self.best is None or (value > self.best if self.maximize else value < self.best):
            self.best, self.best_epoch, self.wait = value, epoch, 0
            return True
        self.wait += 1
        return False

    @property
    def is_over(self) -> bool:
        """Whether patience is exhausted."""
        return self.wait >= self.patience


@dataclass(slots=True)
class Plateau:
    """The rule of Keras's ReduceLROnPlateau on the validation loss, without a cooldown.

    Attributes:
        factor: What the rate is multiplied by at a plateau.
        patience: Epochs without a clearly lower loss that make a plateau.
        best: The lowest loss so far; None before the first epoch.
        wait: Epochs since then or since the last plateau.
    """

    MIN_DELTA = 1e-4

    factor: float
    patience: int
    best: float | None = None
    wait: int = 0

    @classmethod
    def from_config(cls, config: TrialConfig) -> "Plateau | None":
        """The rule that a configuration asks for; None if it has another schedule."""
        if config.schedule != "plateau":
            return None
        return cls(config.plateau_factor, config.plateau_patience)

    def next_rate(self, rate: float, val_loss: float) -> float:
        """The rate of the next epoch, after one of `rate` that ended with `val_loss`."""
        if self.best is None or val_loss < self.best - self.MIN_DELTA:
            self.best, self.wait = val_loss, 0
            return rate
        self.wait += 1
        if self.wait < self.patience:
            return rate
        self.wait = 0
        return rate * self.factor


class TrialCourse:
    """The epochs of a trial so far: how many, whether another follows, which one is kept.

    Attributes:
        epochs: Epochs trained.
        finished: Why no further epoch follows, or None.
        rate: Learning rate of the next epoch, where the schedule does not decide it step by step.
    """

    def __init__(self, config: TrialConfig) -> None:
        """Begin before the first epoch."""
        self.epochs = 0
        self.finished: StopReason | None = None
        self.rate = config.learning_rate
        self._config = config
        self._early_stopping = EarlyStopping.from_config(config)
        self._plateau = Plateau.from_config(config)

    def state(self) -> dict[str, Any]:
        """All that `restore` needs, in the types of JSON."""
        stopping, plateau = self._early_stopping, self._plateau
        return {
            "epochs": self.epochs,
            "rate": self.rate,
            "early_stopping": stopping and [stopping.best, stopping.best_epoch, stopping.wait],
            "plateau": plateau and [plateau.best, plateau.wait],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where another course of the same configuration was, between two epochs.

        Args:
            state: What its `state` was.
        """
        self.epochs, self.rate = state["epochs"], state["rate"]
        if (stopping := self._early_stopping) is not None:
            stopping.best, stopping.best_epoch, stopping.wait = state["early_stopping"]
        if (plateau := self._plateau) is not None:
            plateau.best, plateau.wait = state["plateau"]

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights count: the best or the last one, 0 before the first."""
        stopping = self._early_stopping
        if stopping is not None and self._config.restore_best_weights:
            return stopping.best_epoch
        return self.epochs

    def record(self, val_loss: float, val_accuracy: float, *, has_diverged: bool) -> bool:
        """Take in an epoch, and say whether its weights must be put aside as the best ones.

        Args:
            val_loss: Loss on the validation split; not finite for a trial that has diverged.
            val_accuracy: Accuracy on the validation split.
            has_diverged: Whether the training loss left all bounds.
        """
        config, stopping = self._config, self._early_stopping
        self.epochs += 1
        if has_diverged or not math.isfinite(val_loss):
            self.finished = StopReason.DIVERGED
        if self._plateau is not None:
            # Keras keeps the rate in single precision from one reduction to the next.
            rate = float(np.float32(self.rate))
            self.rate = float(np.float32(self._plateau.next_rate(rate, val_loss)))
        is_kept = False
        if stopping is not None:
            value = val_loss if config.early_stopping == "val_loss" else val_accuracy
            is_kept = stopping.is_new_best(self.epochs, value) and config.restore_best_weights
            if self.finished is None and stopping.is_over:
                self.finished = StopReason.EARLY_STOPPING
        if self.finished is None and self.epochs >= config.epochs:
            self.finished = StopReason.COMPLETED
        return is_kept
