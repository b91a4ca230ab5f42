"""What a watcher of a running study is told."""

from dataclasses import dataclass
from typing import Protocol

from sweep.budget import Ending
from sweep.store.records import TimeSplit
from sweep.trial import TrialConfig


@dataclass(frozen=True, slots=True)
class SlotView:
    """A running trial.

    Attributes:
        number: Trial number.
        config: What it trains.
        epoch: Epochs finished.
        val_accuracy: Validation accuracy after each finished epoch, finite values only.
    """

    number: int
    config: TrialConfig
    epoch: int
    val_accuracy: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker and what it trains.

    Attributes:
        name: Name of the worker.
        device: Its device; empty while it starts.
        state: `starting`, `training` or `idle`.
        slots: Its running trials.
    """

    name: str
    device: str
    state: str
    slots: tuple[SlotView, ...]


@dataclass(frozen=True, slots=True)
class BestTrial:
    """The incumbent: number, objective values and configuration."""

    number: int
    values: tuple[float, ...]
    config: TrialConfig


@dataclass(frozen=True, slots=True)
class Progress:
    """A study at one moment.

    Attributes:
        study: Name of the study.
        data: Name of the data, with a loud remark if it is a fallback.
        asked: Trials in the budget.
        complete: Trials that ran to their end (diverged ones included).
        diverged: How many of those diverged.
        pruned: Trials pruned.
        failed: Trials failed, those that were retried left out.
        running: Trials in slots.
        best: The best trial so far.
        workers: Every worker.
        trial_epochs: Epochs trained by this run, over all trials.
        seconds: Wall time of this run.
        eta_seconds: Estimated wall time that is left, or None before anything is known.
        ending: Why the run is about to end, or has ended; None while it goes on.
        time: How the time of this run was spent.
    """

    study: str
    data: str
    asked: int
    complete: int
    diverged: int
    pruned: int
    failed: int
    running: int
    best: BestTrial | None
    workers: tuple[WorkerView, ...]
    trial_epochs: int
    seconds: float
    eta_seconds: float | None
    ending: Ending | None
    time: TimeSplit

    @property
    def finished(self) -> int:
        """Trials that count against the budget."""
        return self.complete + self.pruned + self.failed


class Watcher(Protocol):
    """Receives progress; the terminal's live view is one."""

    def update(self, progress: Progress) -> None:
        """The study moved on; called after every event, at least twice a second."""

    def message(self, text: str) -> None:
        """Something happened that a person would want to read, in one line."""
