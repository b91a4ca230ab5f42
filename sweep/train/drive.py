"""One trial on one worker, from admission to retirement."""

import logging
from collections.abc import Callable
from pathlib import Path

from sweep.errors import ExecutorError, TrialError
from sweep.executors.base import (
    CohortReported,
    Directive,
    Event,
    Executor,
    Retirement,
    TrialFailed,
    TrialRetired,
    WorkerLost,
    WorkerReady,
)
from sweep.trial import EpochReport, StopReason, TrialResult, TrialTask

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5


def train_alone(
    executor: Executor,
    task: TrialTask,
    *,
    save_to: Path,
    on_epoch: Callable[[EpochReport], None],
    stop: Callable[[], bool],
) -> TrialResult:
    """Train a trial on the first worker of an executor that has started.

    Args:
        executor: Its first worker trains, the others are left alone.
        task: What to train.
        save_to: File for the kept weights; none is written if the trial diverged.
        on_epoch: Told of every epoch.
        stop: Asked after every epoch whether to end early, with the weights kept so far.

    Raises:
        TrialError: The trial failed in its worker.
        ExecutorError: The worker was lost.
    """
    while True:
        for event in executor.poll(POLL_SECONDS):
            if isinstance(event, TrialRetired):
                return event.result
            directive = _answer(event, task, save_to, on_epoch, stop)
            executor.direct(event.worker, directive)


def _answer(
    event: Event,
    task: TrialTask,
    save_to: Path,
    on_epoch: Callable[[EpochReport], None],
    stop: Callable[[], bool],
) -> Directive:
    match event:
        case WorkerReady():
            logger.info("training on %s, process %d", event.device, event.pid)
            return Directive(admit=(task,))
        case CohortReported():
            (report,) = event.reports
            on_epoch(report)
            reason = report.finished or (StopReason.INTERRUPTED if stop() else None)
            if reason is None:
                return Directive()
            kept = None if reason is StopReason.DIVERGED else save_to
            return Directive(retire=(Retirement(task.number, reason, kept),))
        case TrialFailed():
            raise TrialError(
                "the training failed", received=f"{event.error}\n{event.traceback}".rstrip()
            )
        case WorkerLost():
            raise ExecutorError(
                f"the worker {event.reason}",
                received=event.log or None,
                next_step="train again; if it was killed for memory, with a smaller batch_size",
            )
    raise AssertionError(f"an event that nothing was done for: {event!r}")
