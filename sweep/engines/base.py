"""The contract of an engine: it trains a cohort of trials epoch by epoch."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from sweep.engines.checkpoint import Checkpoint
from sweep.errors import TrialError
from sweep.trial import EpochReport, StopReason, TrialResult, TrialTask


class Engine(ABC):
    """Trains up to `capacity` trials at once, each in a slot of its own.

    The worker calls `admit` for new trials, then `run_epoch` as long as any trial is active, and
    between epochs `retire` for those that stop. A trial's figures depend on its task alone: not on
    its slot, its neighbours or the order of arrival. An engine is used from one thread.

    Attributes:
        name: The engine's name in study files and in the database.
        device: The device it trains on, for example `cpu:0` or `gpu:1`.
        capacity: The most trials it trains at once, at least 1.
        progress: A count that grows while the engine works, after every batch if it can: the
            worker's heartbeat reads it from another thread, and a count that stands still for
            minutes means that the engine hangs.
        compile_seconds: Wall time spent so far, inside `admit` and `run_epoch`, on building and
            compiling programs; it only grows.
    """

    name: ClassVar[str]
    device: str
    capacity: int
    progress: int = 0
    compile_seconds: float = 0.0

    @abstractmethod
    def admit(self, task: TrialTask, checkpoint: Checkpoint | None = None) -> None:
        """Place a trial in a free slot.

        Args:
            task: The trial.
            checkpoint: What it goes on from; None to begin with its first epoch. On a device of
                the same kind it computes exactly what it would have without the break.

        Raises:
            CheckpointError: The checkpoint is of another trial, engine, precision or data.
            TrialError: The trial cannot be built, no slot is free, or its number is active
                already.
                After any error the trial has no slot, and the other slots are unharmed.
        """

    @property
    @abstractmethod
    def active(self) -> tuple[int, ...]:
        """Numbers of the trials that occupy a slot, in order of admission."""

    @abstractmethod
    def run_epoch(self) -> tuple[EpochReport, ...]:
        """Train every active trial that is not finished for one epoch and validate it.

        A trial whose report says `finished` stays in its slot, untrained, until it is retired.

        Returns:
            One report for each trial trained, in order of admission; empty if there was none.

        Raises:
            TrialError: Training broke. If the engine took some trials out of their slots, those
                alone are lost, and the others have not trained; otherwise all are lost, and the
                caller abandons them.
        """

    @abstractmethod
    def checkpoint(self, number: int) -> Checkpoint:
        """What an active trial needs to go on after its last epoch; it is not disturbed.

        Args:
            number: Number of a trial that has trained an epoch and is not finished.

        Raises:
            TrialError: No such trial is active.
        """

    @abstractmethod
    def retire(self, number: int, reason: StopReason, save_to: Path | None) -> TrialResult:
        """Take a trial out of its slot.

        Args:
            number: Number of an active trial.
            reason: Why it stops.
            save_to: `.keras` file to write the network with its kept weights to; None for no
                file. The file loads in plain Keras and takes raw pixels, 0 to 255. It is
                complete or absent, never partial.

        Returns:
            The trial's result; `weights` is `save_to` if a file was written, `inspection` what
            the network with the kept weights makes of the first validation images.

        Raises:
            TrialError: No such trial is active.
        """

    @abstractmethod
    def abandon(self) -> None:
        """Empty every slot without results, after a failure. The engine can be used again."""

    def _not_active(self, number: int) -> TrialError:
        """The error of whoever names a trial that has no slot."""
        return TrialError(
            "no such trial is active",
            where=f"trial {number} on {self.device}",
            received=f"active: {self.active}",
        )


def failed(what: str, tasks: Sequence[TrialTask], error: Exception) -> TrialError:
    """The error of trials that something else made fail."""
    return TrialError(
        what,
        where=", ".join(f"trial {task.number}, seed {task.seed}" for task in tasks),
        received=f"{type(error).__name__}: {error}",
    )
