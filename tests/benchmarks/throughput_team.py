"""`sweep` itself: its worker processes, one on each core, trained through its executor."""

import itertools
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from throughput_process import CORES

from sweep.data import DataRef
from sweep.engines.fused.key import FusionKey, fusion_key
from sweep.executors.base import (
    CohortReported,
    Directive,
    Event,
    Retirement,
    TrialFailed,
    TrialRetired,
    WorkerLost,
    WorkerReady,
)
from sweep.executors.process import ProcessExecutor
from sweep.trial import StopReason, TrialConfig, TrialResult, TrialTask, trial_seed

SLICE_SECONDS = 1.0


@dataclass(slots=True)
class Course:
    """How a trial went by the clock of this process.

    Attributes:
        number: The trial's number.
        config: What it trains.
        counted: Whether it is measured, or only keeps its core busy.
        started: When its worker was told to admit it.
        reported: When each epoch's report came.
        is_first: Whether its worker had no program for its structure yet.
        compile_seconds: Time that its worker spent compiling for it, and placing it in its slot.
        ended: When its result came; 0 before.
        engine: Name of the engine that trained it.
    """

    number: int
    config: TrialConfig
    counted: bool
    started: float
    reported: list[float] = field(default_factory=list)
    is_first: bool = False
    compile_seconds: float = 0.0
    ended: float = 0.0
    engine: str = ""

    @property
    def seconds(self) -> float:
        """From its admission to its result."""
        return self.ended - self.started

    @property
    def later_epochs(self) -> list[float]:
        """Seconds of each epoch but the first, which may have been compiled for."""
        return [end - start for start, end in itertools.pairwise(self.reported)]


class Team:
    """The workers of `sweep`, started once, their compiled programs kept from call to call."""

    def __init__(self, engine: str, data: DataRef, log_dir: Path) -> None:
        """Start the workers and wait until all can train."""
        self._executor = ProcessExecutor(
            engine, data, log_dir=log_dir, workers=len(CORES), stall_seconds=900.0
        )
        self._numbers = itertools.count()
        self._structures: set[tuple[str, FusionKey]] = set()
        self._executor.start()
        ready: set[str] = set()
        while ready != set(self._executor.workers):
            for event in self._executor.poll(SLICE_SECONDS):
                match event:
                    case WorkerReady():
                        ready.add(event.worker)
                    case _:
                        raise RuntimeError(f"a worker did not start: {event}")

    @property
    def size(self) -> int:
        """Number of workers."""
        return len(self._executor.workers)

    def train(self, configs: Sequence[TrialConfig]) -> list[Course]:
        """Train the trials, each worker the next one as soon as it is free.

        A worker that finds none left trains its last one again, uncounted, until the others are
        done: so every counted second has all cores busy.
        """
        shift = _Shift(configs)
        for worker in self._executor.workers:
            self._executor.direct(worker, Directive(admit=(self._admit(worker, shift),)))
        while shift.at_work:
            for event in self._executor.poll(SLICE_SECONDS):
                self._answer(event, shift)
        return shift.counted

    def _admit(self, worker: str, shift: "_Shift") -> TrialTask:
        course = shift.begin(worker, next(self._numbers))
        structure = (worker, fusion_key(course.config))
        course.is_first = structure not in self._structures
        self._structures.add(structure)
        return TrialTask(course.number, course.config, trial_seed(0, course.number))

    def _answer(self, event: Event, shift: "_Shift") -> None:
        match event:
            case CohortReported(worker=worker, reports=(report,)):
                if report.finished not in (None, StopReason.COMPLETED):
                    raise RuntimeError(f"a trial ended early, choose another --seed: {report}")
                course = shift.report(worker, event.compile_seconds, report.finished is not None)
                if report.finished is None and (course.counted or shift.left):
                    self._executor.direct(worker, Directive())
                    return
                retirement = Retirement(course.number, report.finished or StopReason.INTERRUPTED)
                admit = (self._admit(worker, shift),) if shift.left else ()
                self._executor.direct(worker, Directive(retire=(retirement,), admit=admit))
            case TrialRetired(result=result):
                shift.end(result)
            case TrialFailed() | WorkerLost() | CohortReported() | WorkerReady():
                raise RuntimeError(f"a training broke: {event}")

    def close(self) -> None:
        """Stop the workers."""
        self._executor.close()


class _Shift:
    """The trials of one measurement.

    Attributes:
        counted: The trials that are measured, in order of admission.
        left: How many of them have epochs to train.
        at_work: The trials in their slots, by number.
    """

    def __init__(self, configs: Sequence[TrialConfig]) -> None:
        self._queue = deque(configs)
        self._last: dict[str, Course] = {}
        self._spare = configs[-1]
        self.counted: list[Course] = []
        self.left = len(configs)
        self.at_work: dict[int, Course] = {}

    def begin(self, worker: str, number: int) -> Course:
        """Take the next trial, or the worker's last one again, uncounted."""
        counted = bool(self._queue)
        if counted:
            config = self._queue.popleft()
        else:
            config = self._last[worker].config if worker in self._last else self._spare
        course = Course(number, config, counted, time.perf_counter())
        self._last[worker] = self.at_work[number] = course
        if counted:
            self.counted.append(course)
        return course

    def report(self, worker: str, compile_seconds: float, finished: bool) -> Course:
        """Take in an epoch of the worker's trial."""
        course = self._last[worker]
        course.reported.append(time.perf_counter())
        course.compile_seconds += compile_seconds
        self.left -= course.counted and finished
        return course

    def end(self, result: TrialResult) -> None:
        """Take in a result."""
        course = self.at_work.pop(result.number)
        course.ended = time.perf_counter()
        course.engine = result.engine


def trial_rates(courses: Sequence[Course], busy: float) -> dict[str, Any]:
    """Trials per hour with every core at work, with and without the time spent compiling."""
    seconds = sum(course.seconds for course in courses)
    compiling = sum(course.compile_seconds for course in courses)
    hour = 3600.0 * len(CORES) * len(courses)
    return {
        "trial_seconds": [course.seconds for course in courses],
        "is_first_of_structure": [course.is_first for course in courses],
        "compile_seconds": [course.compile_seconds for course in courses],
        "epoch_seconds": [course.later_epochs for course in courses],
        "engines": [course.engine for course in courses],
        "trials_per_hour": hour / seconds,
        "trials_per_hour_compiled": hour / (seconds - compiling),
        "busy": busy,
    }
