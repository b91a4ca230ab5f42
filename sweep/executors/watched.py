"""One worker as its executor sees it, whatever carries the messages."""

from abc import ABC, abstractmethod
from pathlib import Path

from sweep.errors import ExecutorError
from sweep.executors.base import (
    CohortReported,
    Directive,
    Event,
    TrialFailed,
    TrialRetired,
    WorkerReady,
)


class WatchedWorker(ABC):
    """A worker from its start to its end; a replacement is another object.

    Attributes:
        name: Its name.
        log: File with its standard output and error; that of the worker before it in the same
            place ends in `.log.1`.
        ready: Whether it ever reported ready.
        waiting: Whether it waits for a directive.
        ended: Why it ended, or None while it lives.
        has_stalled: Whether it ended because its engine made no progress.
        was_taken: Whether it ended together with the machine that it ran on.
    """

    def __init__(self, name: str, log_dir: Path) -> None:
        """Begin the conversation, and keep the log of the worker before."""
        self.name = name
        self.ready = False
        self.waiting = False
        self.ended: str | None = None
        self.has_stalled = False
        self.was_taken = False
        self._numbers: dict[int, None] = {}
        self.log = log_dir / f"{name}.log"
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Trials directed to it that have neither retired nor failed."""
        return tuple(self._numbers)

    def direct(self, directive: Directive) -> None:
        """Send a directive, or lose it if the worker has gone.

        Raises:
            ExecutorError: The worker does not wait for one.
        """
        if not self.waiting:
            raise ExecutorError(
                f"{self.name} does not wait for a directive",
                expected="one directive after each of WorkerReady and CohortReported",
                received=str(directive),
            )
        self._numbers.update(dict.fromkeys(task.number for task in directive.admit))
        retired = {retirement.number for retirement in directive.retire}
        self.waiting = self._numbers.keys() <= retired
        if self.ended is None:
            self.send(directive)

    @abstractmethod
    def send(self, directive: Directive) -> None:
        """Pass a directive on, without waiting and without asking whether it is wanted."""

    def note(self, event: Event) -> None:
        """Follow the conversation: the worker said this."""
        match event:
            case WorkerReady():
                self.ready = self.waiting = True
            case CohortReported():
                self.waiting = True
            case TrialRetired(result=result):
                self._numbers.pop(result.number, None)
            case TrialFailed(number=number):
                self._numbers.pop(number, None)
                self.waiting = not self._numbers
            case _:
                raise TypeError(f"a worker sent {event!r}")

    @abstractmethod
    def listen(self, elapsed_seconds: float) -> list[Event]:
        """The events that have come, without waiting; sets `ended` when they were the last.

        A worker that hangs is ended.

        Args:
            elapsed_seconds: Time since the last call in which the executor listened.
        """

    @abstractmethod
    def hang_up(self) -> None:
        """Ask the worker to end at once; `stop` makes sure of it."""

    @abstractmethod
    def stop(self, grace_seconds: float) -> None:
        """Wait for its end, and bring it about if it is late."""
