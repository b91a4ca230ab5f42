"""Trains on this machine: one persistent process for each GPU or physical core."""

import contextlib
import logging
import select
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sweep.data import DataRef
from sweep.errors import ExecutorError
from sweep.executors.backends import check_backend
from sweep.executors.base import Directive, Event, Executor, WorkerLost
from sweep.executors.devices import find_devices
from sweep.executors.handle import WorkerPlan, WorkerProcess
from sweep.executors.program_cache import program_cache

_log = logging.getLogger(__name__)

_TICK_SECONDS = 0.5
_GRACE_SECONDS = 2.0
_MOST_FAILED_STARTS = 3


class ProcessExecutor(Executor):
    """Worker processes that are started once, kept, watched and replaced.

    A worker is a fresh interpreter: nothing of this process is forked or imported again. On a
    processor core it is pinned and runs one thread; of the GPUs it sees its own alone. Its
    standard output and error go to `<log_dir>/<worker>.log`; those of the process before it in
    the same place are kept in `<worker>.log.1`.

    It is replaced if it dies, if it sends no heartbeat for `heartbeat_seconds`, or if it makes no
    progress for `stall_seconds` while it works. Time in which nobody polls does not count.
    Workers exit at once when this process is gone, however it ended. Ctrl-C does not reach them.
    """

    def __init__(
        self,
        engine: str,
        data: DataRef,
        *,
        log_dir: Path,
        backend: str = "tensorflow",
        workers: int | None = None,
        stall_seconds: float = 300.0,
        heartbeat_seconds: float = 30.0,
        start_seconds: float = 300.0,
        factory: str = "sweep.engines:make_engine",
    ) -> None:
        """Choose the devices; `start` starts the workers.

        Args:
            engine: Name of the engine.
            data: What to train on.
            log_dir: Directory of the workers' logs, made if missing.
            backend: What Keras runs on in the workers, `tensorflow` or `jax`.
            workers: Number of workers; None for one per GPU, or per physical core if there is no
                GPU.
            stall_seconds: Longest time a worker may work without progress: more than the longest
                epoch, for an engine that reports no progress inside an epoch.
            heartbeat_seconds: Longest time a worker may be silent.
            start_seconds: Longest time a worker may take to be ready.
            factory: `module:function` that makes an engine from its name, the data and the label
                of a device, in the worker.

        Raises:
            UsageError: The backend is not installed.
            ExecutorError: `workers` is less than 1.
        """
        check_backend(backend)
        self._devices = {device.worker: device for device in find_devices(workers)}
        self._plan = WorkerPlan(
            factory=factory,
            engine=engine,
            backend=backend,
            data=data,
            log_dir=log_dir,
            programs=program_cache(backend) if engine == "fused" else None,
            silence_seconds=heartbeat_seconds,
            stall_seconds=stall_seconds,
            start_seconds=start_seconds,
        )
        self._processes: dict[str, WorkerProcess] = {}
        self._failed_starts: Counter[str] = Counter()
        self._listened = 0.0

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of all workers, ready or not, in a fixed order."""
        return tuple(self._devices)

    def start(self) -> None:
        """Start the workers and return at once; each reports `WorkerReady` when it can train.

        Raises:
            ExecutorError: No worker can be started, or they are started already.
        """
        if self._processes:
            raise ExecutorError("the workers are started already", expected="one call of start()")
        self._failed_starts.clear()
        self._listened = time.monotonic()
        try:
            self._plan.log_dir.mkdir(parents=True, exist_ok=True)
            for name in self._devices:
                self._processes[name] = self._start_worker(name)
        except OSError as error:
            self.close()
            raise ExecutorError(
                "the workers cannot be started",
                where=str(self._plan.log_dir),
                received=str(error),
                next_step="check that the directory can be written and that the limits on "
                "processes and open files are not reached",
            ) from error

    def _start_worker(self, name: str) -> WorkerProcess:
        process = WorkerProcess(self._devices[name], self._plan)
        _log.info("started worker %s, process %d", name, process.pid)
        return process

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
            for process in self._processes.values():
                if process.ended is not None:
                    return [self._replace(process)]
            left = max(0.0, deadline - time.monotonic())
            events = self._listen(min(left, _TICK_SECONDS))
            if events:
                return events
            if left == 0.0 and all(p.ended is None for p in self._processes.values()):
                return []

    def _listen(self, wait_seconds: float) -> list[Event]:
        """Wait for a socket, read them all, and judge the workers by what came."""
        poller = select.poll()
        for process in self._processes.values():
            poller.register(
                process, select.POLLIN | (select.POLLOUT if process.has_outgoing else 0)
            )
        poller.poll(wait_seconds * 1000)
        now = time.monotonic()
        # Nobody listened while the driver was busy or the machine suspended: that is no silence.
        elapsed = min(now - self._listened, self._plan.silence_seconds / 2)
        self._listened = now
        events: list[Event] = []
        for process in self._processes.values():
            process.flush()
            events += process.receive(elapsed)
            if process.ended is None:
                events += process.kill_if_hung()
            if process.ready:
                self._failed_starts[process.name] = 0
        return events

    def _replace(self, lost: WorkerProcess) -> WorkerLost:
        """Start another process in the place of one that ended."""
        reason, log = str(lost.ended), lost.tail()
        if not lost.ready:
            self._failed_starts[lost.name] += 1
        if self._failed_starts[lost.name] >= _MOST_FAILED_STARTS:
            raise ExecutorError(
                f"worker {lost.name} ended {_MOST_FAILED_STARTS} times before it was ready",
                where=str(lost.log),
                received=f"{reason}\n{log}".rstrip(),
                next_step="mend what the end of the log names, then run again",
            )
        _log.warning("lost worker %s, process %d: %s", lost.name, lost.pid, reason)
        try:
            self._processes[lost.name] = self._start_worker(lost.name)
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
        process = self._processes.get(worker)
        if process is None:
            raise ExecutorError(
                f"there is no worker {worker}",
                expected=", ".join(self._processes) or "start() before direct()",
            )
        process.direct(directive)

    def close(self) -> None:
        """Stop every worker at once and wait until all are gone. Calling it again is harmless."""
        processes = list(self._processes.values())
        self._processes.clear()
        for process in processes:
            process.hang_up()
        with contextlib.ExitStack() as stopping:
            for process in processes:
                stopping.callback(process.stop, _GRACE_SECONDS)
