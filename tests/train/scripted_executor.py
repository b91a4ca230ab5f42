"""An executor that plays a trial from a script, and data that nobody trains on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sweep.data import DataRef
from sweep.executors.base import (
    CohortReported,
    Directive,
    Event,
    Executor,
    TrialFailed,
    TrialRetired,
    WorkerLost,
    WorkerReady,
)
from sweep.trial import EpochReport, StopReason, TrialResult, TrialTask


class ScriptedExecutor(Executor):
    """One worker that reports `reports`, then dies of `death` if that is given.

    Attributes:
        directives: All that it was told.
        closed: Whether it was closed.
    """

    def __init__(
        self, reports: Sequence[EpochReport], death: Event | BaseException | None = None
    ) -> None:
        self.directives: list[Directive] = []
        self.closed = False
        self.task: TrialTask | None = None
        self._reports = list(reports)
        self._death = death
        self._events: list[Event] = [WorkerReady("cpu0", 1, "here", "cpu:0", "reference", 1)]

    @property
    def workers(self) -> tuple[str, ...]:
        return ("cpu0",)

    def start(self) -> None:
        pass

    def poll(self, timeout_seconds: float) -> Sequence[Event]:
        events, self._events = self._events, []
        if not events and isinstance(self._death, BaseException):
            raise self._death
        return events

    def direct(self, worker: str, directive: Directive) -> None:
        self.directives.append(directive)
        for retirement in directive.retire:
            epochs = sum(not d.retire for d in self.directives)
            if retirement.save_to is not None:
                retirement.save_to.write_bytes(b"network")
            path = None if retirement.save_to is None else str(retirement.save_to)
            result = TrialResult(
                retirement.number, retirement.reason, epochs, epochs, 9, 1.0, "reference", "cpu:0",
                path,
            )  # fmt: skip
            self._events.append(TrialRetired("cpu0", result))
            return
        for task in directive.admit:
            self.task = task
        if self._reports:
            self._events.append(CohortReported("cpu0", (self._reports.pop(0),)))
        elif isinstance(self._death, WorkerLost | TrialFailed):
            self._events.append(self._death)

    def close(self) -> None:
        self.closed = True


def reports(*curve: float, finished: StopReason | None) -> list[EpochReport]:
    """Epochs of trial 4, the last one with `finished`."""
    return [
        EpochReport(
            4, epoch, 2.0, 0.1, 3.0 - value, value, 0.1, 1.0,
            finished if epoch == len(curve) else None,
        )
        for epoch, value in enumerate(curve, start=1)
    ]  # fmt: skip


def untested_data(directory: Path) -> DataRef:
    """Two images, and no test split."""
    np.save(directory / "train_images.npy", np.zeros((2, 32, 32, 3), np.uint8))
    np.save(directory / "train_labels.npy", np.zeros(2, np.uint8))
    return DataRef(directory, "small", True, "f00d", (0, 1), (1, 2), 10)
