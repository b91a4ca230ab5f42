"""The contract of an executor: it gives engines to devices and carries messages between.

The conversation with one worker::

    executor                     driver
    WorkerReady        ->
                       <-        Directive(admit=tasks)
    CohortReported     ->                                   after every epoch of the cohort
                       <-        Directive(retire=..., admit=...)
    TrialRetired ...   ->                                   one for each retirement

A worker trains its next epoch only when its directive arrived, so a decision about an epoch is
never late. It waits for exactly one directive after `WorkerReady` and after each `CohortReported`.
A worker whose trials have all retired or failed waits, silently, for a directive that admits some.
After `TrialFailed` it goes on with the trials it has left, and waits if there are none.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from sweep.executors.places import File
from sweep.trial import EpochReport, StopReason, TrialResult, TrialTask


@dataclass(frozen=True, slots=True)
class Retirement:
    """Take one trial out of its slot, and keep its weights in `save_to` unless that is None."""

    number: int
    reason: StopReason
    save_to: File | None = None


@dataclass(frozen=True, slots=True)
class Directive:
    """What a worker does before its next epoch: first the retirements, then the admissions."""

    retire: tuple[Retirement, ...] = ()
    admit: tuple[TrialTask, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker, new or replaced, has loaded its engine and waits for a directive."""

    worker: str
    pid: int
    host: str
    device: str
    engine: str
    capacity: int


@dataclass(frozen=True, slots=True)
class CohortReported:
    """A worker finished an epoch of its cohort and waits for a directive.

    Attributes:
        worker: Name of the worker.
        reports: The epoch of each trial trained.
        train_seconds: Wall time of training and validation.
        compile_seconds: Wall time, since the last report, of building and compiling programs, of
            placing trials in slots and of taking them out, of checkpoints, of epochs that failed,
            and of starting afresh.
    """

    worker: str
    reports: tuple[EpochReport, ...]
    train_seconds: float = 0.0
    compile_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TrialRetired:
    """A trial left its slot as directed."""

    worker: str
    result: TrialResult


@dataclass(frozen=True, slots=True)
class TrialFailed:
    """A trial raised an error in its worker, which lives on and waits for a directive.

    Attributes:
        worker: Name of the worker.
        number: Trial number; one event for each trial lost.
        error: The exception's type and message, one line.
        traceback: The full traceback.
        log: The last lines that the worker wrote to its standard output and error.
    """

    worker: str
    number: int
    error: str
    traceback: str
    log: str


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker died or hung and was killed; the executor starts its replacement.

    Attributes:
        worker: Name of the worker; the replacement has the same.
        numbers: The trials that were in its slots.
        reason: What goes on from `the worker`: `was killed by SIGKILL`, `hung, without progress
            for 300 seconds`.
        log: The last lines that it wrote.
        has_stalled: Whether it was alive, but its engine made no progress.
    """

    worker: str
    numbers: tuple[int, ...]
    reason: str
    log: str
    has_stalled: bool = False


Event = WorkerReady | CohortReported | TrialRetired | TrialFailed | WorkerLost


class Executor(ABC):
    """Workers that train trials. Used from one thread; a context manager that stops them."""

    @abstractmethod
    def start(self) -> None:
        """Start the workers and return at once; each reports `WorkerReady` when it can train.

        Raises:
            ExecutorError: No worker can be started.
        """

    @property
    @abstractmethod
    def workers(self) -> tuple[str, ...]:
        """Names of all workers, ready or not, in a fixed order."""

    @abstractmethod
    def poll(self, timeout_seconds: float) -> Sequence[Event]:
        """Wait for events.

        Args:
            timeout_seconds: The longest wait; 0 returns at once.

        Returns:
            The events since the last call, each worker's in order; empty after the timeout.

        Raises:
            ExecutorError: A worker keeps dying before it is ready, so that going on is useless.
        """

    @abstractmethod
    def direct(self, worker: str, directive: Directive) -> None:
        """Answer a worker that waits; a directive to a worker just lost is dropped.

        A dropped admission comes back in `WorkerLost.numbers`, so that the driver has one place
        to deal with it.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop every worker at once and wait until all are gone. Calling it again is harmless."""

    def __enter__(self) -> "Executor":
        """Start the workers."""
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop the workers."""
        self.close()
