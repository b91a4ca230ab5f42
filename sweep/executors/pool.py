"""What all executors have in common: workers that are watched, replaced and stopped."""

import contextlib
import logging
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from sweep.errors import ExecutorError
from sweep.executors.base import Directive, Event, Executor, WorkerLost
from sweep.executors.protocol import tail
from sweep.executors.watched import WatchedWorker

_log = logging.getLogger(__name__)

_TICK_SECONDS = 0.5
_GRACE_SECONDS = 2.0
_MOST_FAILED_STARTS = 3

Worker = TypeVar("Worker", bound=WatchedWorker)


class WorkerPool(Executor, Generic[Worker]):
    """Workers in named places; a subclass starts one in a place and waits for their messages."""

    def __init__(self, names: Iterable[str], log_dir: Path, silence_seconds: float) -> None:
        """Name the places; `start` fills them.

        Args:
            names: Names of the workers.
            log_dir: Directory of the workers' logs, made if missing.
            silence_seconds: Longest time a worker may be silent.
        """
        self._names = tuple(names)
        self._log_dir = log_dir
        self._silence_seconds = silence_seconds
        self._workers: dict[str, Worker] = {}
        self._failed_starts: Counter[str] = Counter()
        self._listened = 0.0

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of all workers, ready or not, in a fixed order."""
        return self._names

    @abstractmethod
    def _start_worker(self, name: str) -> Worker:
        """Start a worker and return at once.

        Raises:
            OSError: It cannot be started.
        """

    @abstractmethod
    def _wait(self, workers: Sequence[Worker], wait_seconds: float) -> None:
        """Wait until one of the workers may have said something, or ended."""

    def start(self) -> None:
        """Start the workers and return at once; each reports `WorkerReady` when it can train.

        Raises:
            ExecutorError: No worker can be started, or they are started already.
        """
        if self._workers:
            raise ExecutorError("the workers are started already", expected="one call of start()")
        self._failed_starts.clear()
        self._listened = time.monotonic()
        try:
            self._log_dir.mkdir(parents=True, exist_ok=True)
            for name in self._names:
                self._workers[name] = self._start_worker(name)
        except OSError as error:
            self.close()
            raise ExecutorError(
                "the workers cannot be started",
                where=str(self._log_dir),
                received=str(error),
                next_step="check that the directory can be written and that the limits on "
                "processes and open files are not reached",
            ) from error

    def poll(self, timeout_seconds: float) -> Sequence[Event]:
        """Wait for events.

        A `WorkerLost` comes alone, after all that the worker had said: whatever the driver directs
        to a lost worker before it knows is in that event's numbers.

        Args:
            timeout_seconds: The longest wait; 0 returns at once.

        Returns:
            The events since the last call, each worker's in order; empty after the timeout.

        Raises:
            ExecutorError: A worker died three times in a row before it was ready, cannot be killed
                or cannot be replaced.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            for worker in self._workers.values():
                if worker.ended is not None:
                    return [self._replace(worker)]
            left = max(0.0, deadline - time.monotonic())
            events = self._listen(min(left, _TICK_SECONDS))
            if events:
                return events
            if left == 0.0 and all(w.ended is None for w in self._workers.values()):
                return []

    def _listen(self, wait_seconds: float) -> list[Event]:
        """Wait for a message, read them all, and judge the workers by what came."""
        self._wait(tuple(self._workers.values()), wait_seconds)
        now = time.monotonic()
        # Nobody listened while the driver was busy or the machine suspended: that is no silence.
        elapsed = min(now - self._listened, self._silence_seconds / 2)
        self._listened = now
        events: list[Event] = []
        for worker in self._workers.values():
            events += worker.listen(elapsed)
            if worker.ready:
                self._failed_starts[worker.name] = 0
        return events

    def _replace(self, lost: Worker) -> WorkerLost:
        """Start another worker in the place of one that ended."""
        reason, log = str(lost.ended), tail(lost.log)
        if not (lost.ready or lost.was_taken):
            self._failed_starts[lost.name] += 1
        if self._failed_starts[lost.name] >= _MOST_FAILED_STARTS:
            raise ExecutorError(
                f"worker {lost.name} ended {_MOST_FAILED_STARTS} times before it was ready",
                where=str(lost.log),
                received=f"{reason}\n{log}".rstrip(),
                next_step="mend what the end of the log names, then run again",
            )
        _log.warning("lost worker %s: %s", lost.name, reason)
        try:
            self._workers[lost.name] = self._start_worker(lost.name)
        except OSError as error:
            raise ExecutorError(
                f"worker {lost.name} cannot be replaced", received=str(error)
            ) from error
        return WorkerLost(lost.name, lost.numbers, reason, log, lost.has_stalled)

    def direct(self, worker: str, directive: Directive) -> None:
        """Answer a worker that waits; a directive to a worker just lost is dropped.

        Raises:
            ExecutorError: There is no such worker, or it does not wait for a directive.
        """
        watched = self._workers.get(worker)
        if watched is None:
            raise ExecutorError(
                f"there is no worker {worker}",
                expected=", ".join(self._workers) or "start() before direct()",
            )
        watched.direct(directive)

    def close(self) -> None:
        """Stop every worker at once and wait until all are gone. Calling it again is harmless."""
        workers = list(self._workers.values())
        self._workers.clear()
        for worker in workers:
            worker.hang_up()
        with contextlib.ExitStack() as stopping:
            for worker in workers:
                stopping.callback(worker.stop, _GRACE_SECONDS)
