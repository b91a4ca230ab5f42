"""When a worker writes checkpoints, and how its trials go on from them."""

import logging
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sweep.engines.base import Engine
from sweep.engines.checkpoint import Checkpoint
from sweep.errors import CheckpointError, SweepError, UsageError
from sweep.executors.artifacts import Checkpoints, next_name
from sweep.executors.base import Retirement
from sweep.executors.upload import saved_to
from sweep.trial import EpochReport, StopReason, TrialResult, TrialTask

_log = logging.getLogger(__name__)

# Of a trial's training: what a kill costs it at most, and one epoch.
LEAST_SECONDS: Final = 20.0
# Of the time: what the checkpoints of all trials of a worker may cost. They become rarer else.
MOST_SHARE: Final = 0.02
# Of the time: what tries that fail may cost, as where a store answers nobody.
_MOST_FAILING_SHARE: Final = 0.1
_QUICK_FAILURE_SECONDS: Final = 1.0
_REASON_CHARACTERS = 300


@dataclass(slots=True)
class _Course:
    """A trial in a slot.

    Attributes:
        task: The trial.
        last: Name of its last checkpoint.
        epoch: Its last epoch.
        seconds: Training since its last checkpoint was written or tried.
        is_saved: Whether nothing was trained since its last checkpoint.
        remark: How it began, if that was unusual.
        failure: Why its last checkpoint is missing; empty if it is not.
    """

    task: TrialTask
    last: str | None
    epoch: int = 0
    seconds: float = 0.0
    is_saved: bool = True
    remark: str = ""
    failure: str = ""


class TrialCheckpoints:
    """Admits a worker's trials with their checkpoints, writes new ones, and retires them.

    A checkpoint is a help, no condition: a trial whose checkpoint cannot be used begins with its
    first epoch, one whose checkpoint cannot be written trains on. Its remark says so.
    """

    def __init__(self, engine: Engine) -> None:
        """Watch over the trials of `engine`."""
        self._engine = engine
        self._courses: dict[int, _Course] = {}
        self._cost_seconds = 0.0
        self._places: dict[str, Checkpoints] = {}
        self._failure = ""
        self._retry_at = 0.0

    def admit(self, task: TrialTask) -> None:
        """Place a trial in a slot; see `Engine.admit`."""
        # Those that failed were not retired.
        self._courses = {n: c for n, c in self._courses.items() if n in self._engine.active}
        course = _Course(task, task.checkpoint)
        if task.checkpoint is None or not self._resume(course):
            self._engine.admit(task)
        self._courses[task.number] = course

    def after_epoch(self, reports: Sequence[EpochReport]) -> tuple[EpochReport, ...]:
        """Write the checkpoints that are due after an epoch; the reports then name them."""
        interval = max(LEAST_SECONDS, self._cost_seconds * len(reports) / MOST_SHARE)
        marked = []
        for report in reports:
            course = self._courses[report.number]
            course.epoch, course.is_saved = report.epoch, False
            course.seconds += report.seconds
            is_due = report.finished is None and course.seconds >= interval
            name = self._write(course) if is_due else None
            marked.append(replace(report, checkpoint=name))
        return tuple(marked)

    def retire(self, retirement: Retirement) -> TrialResult:
        """Take a trial out of its slot; see `Engine.retire`. An interrupted one can go on."""
        number, reason = retirement.number, retirement.reason
        course = self._courses.pop(number, None)
        name = None
        if reason is StopReason.INTERRUPTED and course is not None and not course.is_saved:
            name = self._write(course)
        result = saved_to(
            retirement.save_to, lambda path: self._engine.retire(number, reason, path)
        )
        if course is None:
            return result
        remark = _joined(result.remark, course.remark, course.failure)
        return replace(result, checkpoint=name, remark=remark)

    def _resume(self, course: _Course) -> bool:
        """Let a trial go on from its checkpoint, if that is possible; else note why not."""
        task = course.task
        try:
            checkpoint = self._read(task)
            self._engine.admit(task, checkpoint)
        except CheckpointError as error:
            _log.warning("trial %d begins anew", task.number, exc_info=error)
            epoch = task.checkpoint_epoch
            course.remark = f"begun anew instead of after epoch {epoch}: {_brief(error)}"
            return False
        course.epoch = checkpoint.epoch
        before, now = (
            device.partition(":")[0] for device in (checkpoint.device, self._engine.device)
        )
        if before != now:
            course.remark = (
                f"trained on a {before} up to epoch {checkpoint.epoch}, then on a {now}"
            )
        return True

    def _write(self, course: _Course) -> str | None:
        """Write a trial's checkpoint; its name, or None if there is nowhere to or it failed."""
        task = course.task
        if task.artifacts is None:
            return None
        started = time.monotonic()
        if started < self._retry_at:
            course.failure = f"no checkpoint after epoch {course.epoch}: {self._failure}"
            return None
        name = next_name(task.number, course.last)
        course.seconds = 0.0
        try:
            checkpoint = self._engine.checkpoint(task.number)
            remark = _joined(checkpoint.remark, course.remark)
            content = replace(checkpoint, remark=remark).to_bytes()
            self._place(task.artifacts).write(name, content)
        except Exception as error:  # noqa: BLE001 - the trial trains on without
            _log.warning("trial %d has no checkpoint", task.number, exc_info=error)
            self._failure = _brief(error)
            course.failure = f"no checkpoint after epoch {course.epoch}: {self._failure}"
            now = time.monotonic()
            if now - started > _QUICK_FAILURE_SECONDS:
                self._retry_at = now + (now - started) / _MOST_FAILING_SHARE
            return None
        course.last, course.is_saved, course.failure = name, True, ""
        self._cost_seconds = time.monotonic() - started
        return name

    def _read(self, task: TrialTask) -> Checkpoint:
        """The checkpoint of a trial, of the epoch that its study knows of, or an earlier one."""
        if task.artifacts is None or task.checkpoint is None:
            raise CheckpointError("there is no place of checkpoints to read from")
        try:
            content = self._place(task.artifacts).read(task.checkpoint)
        except UsageError as error:
            raise CheckpointError(error.what, received=error.received) from error
        checkpoint = Checkpoint.from_bytes(content)
        if checkpoint.epoch > task.checkpoint_epoch:
            raise CheckpointError(
                "the checkpoint is later than its study knows of",
                expected=f"epoch {task.checkpoint_epoch}",
                received=f"epoch {checkpoint.epoch}",
            )
        return checkpoint

    def _place(self, artifacts: str) -> Checkpoints:
        """The place of checkpoints, whose client is made once."""
        if artifacts not in self._places:
            self._places[artifacts] = Checkpoints.at(artifacts)
        return self._places[artifacts]


def _brief(error: Exception) -> str:
    """What is wrong, on one line."""
    parts = [str(error)]
    if isinstance(error, SweepError):
        parts = [error.what, error.received or ""]
    return textwrap.shorten(_joined(*parts), _REASON_CHARACTERS, placeholder=" ...")


def _joined(*sentences: str) -> str:
    return "; ".join(sentence for sentence in sentences if sentence)
