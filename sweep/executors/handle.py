"""One worker process as its executor sees it: started, spoken to, judged and ended.

Nothing here waits on the socket, so a worker that stops in the middle of a message, or that does
not read, holds nobody up.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from sweep.data import DataRef
from sweep.errors import ExecutorError
from sweep.executors.backends import backend_environment
from sweep.executors.base import Directive, Event
from sweep.executors.devices import Device
from sweep.executors.inheritance import without_secrets
from sweep.executors.program_cache import cache_environment
from sweep.executors.protocol import DamagedFrameError, Decoder, Heartbeat, Setup, encode
from sweep.executors.watched import WatchedWorker

_CHUNK_BYTES = 1 << 16
_EXIT_SECONDS = 10.0
_STACKS_SECONDS = 0.2


def own_search_path() -> tuple[str, ...]:
    """Where this process looks for modules."""
    return tuple(path or os.getcwd() for path in sys.path)


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What every worker of an executor has in common.

    Attributes:
        factory: `module:function` that makes the engine from its name, the data and a label.
        engine: Name of the engine.
        backend: What Keras runs on.
        data: What to train on.
        log_dir: Directory of the workers' logs.
        programs: Directory of compiled programs for workers on cores; None to keep none.
        silence_seconds: A worker that sends no heartbeat for so long is hung.
        stall_seconds: A worker that makes no progress in its work for so long is hung.
        start_seconds: A worker must be ready after so long.
        search_path: Where it looks for modules, in order.
    """

    factory: str
    engine: str
    backend: str
    data: DataRef
    log_dir: Path
    programs: Path | None
    silence_seconds: float
    stall_seconds: float
    start_seconds: float
    search_path: tuple[str, ...] = field(default_factory=own_search_path)


class WorkerProcess(WatchedWorker):
    """A worker that this process started."""

    def __init__(self, device: Device, plan: WorkerPlan) -> None:
        """Start the process and return at once.

        Raises:
            OSError: No process can be started.
        """
        super().__init__(device.worker, plan.log_dir)
        self._device = device
        self._plan = plan
        self._outgoing = bytearray()
        self._decoder = Decoder()
        self._age_seconds = self._silent_seconds = self._stalled_seconds = 0.0
        self._socket, self._process = self._start()
        self._send(
            Setup(
                worker=device.worker,
                device=device.label,
                factory=plan.factory,
                engine=plan.engine,
                data=plan.data,
                log=self.log,
                heartbeat_seconds=min(1.0, plan.silence_seconds / 5),
                parent=os.getpid(),
                # The kernel's signal comes when the *thread* that started a process ends.
                dies_with_parent=threading.current_thread() is threading.main_thread(),
            )
        )

    def _start(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as on_error:
            on_error.callback(ours.close)
            with theirs, self.log.open("ab") as log, _pinned_to(self._device):
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "sweep.executors.worker", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=[theirs.fileno()],
                    env=self._environment(),
                    # In a session of its own it gets neither Ctrl-C nor a hangup.
                    start_new_session=True,
                )
            ours.setblocking(False)
            on_error.pop_all()
        return ours, process

    def _environment(self) -> dict[str, str]:
        """This process's environment, with a search path that finds the same modules."""
        plan = self._plan
        cache = {}
        if plan.programs is not None and self._device.core is not None:
            cache = cache_environment(plan.backend, plan.programs, os.environ)
        return {
            "TF_CPP_MIN_LOG_LEVEL": "2",
            **without_secrets(os.environ),
            **self._device.environment(),
            **cache,
            **backend_environment(
                plan.backend, on_gpu=self._device.core is None, inherited=os.environ
            ),
            "PYTHONPATH": os.pathsep.join(plan.search_path),
            "PYTHONUNBUFFERED": "1",
        }

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def fileno(self) -> int:
        """The socket's file descriptor, for polling; only while `ended` is None."""
        return self._socket.fileno()

    @property
    def has_outgoing(self) -> bool:
        """Whether bytes wait to be sent."""
        return bool(self._outgoing)

    def send(self, directive: Directive) -> None:
        """Pass a directive on, without waiting and without asking whether it is wanted."""
        self._send(directive)

    def _send(self, message: object) -> None:
        self._outgoing += encode(message)
        self.flush()

    def flush(self) -> None:
        """Send as much as the socket takes."""
        # If the worker has gone, reading will find that out.
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self._outgoing:
                sent = self._socket.send(self._outgoing)
                del self._outgoing[:sent]

    def listen(self, elapsed_seconds: float) -> list[Event]:
        """The events that have come, without waiting; sets `ended` when they were the last.

        Args:
            elapsed_seconds: Time since the last call in which the executor listened.
        """
        self.flush()
        events = self._receive(elapsed_seconds)
        return events if self.ended is not None else events + self._kill_if_hung()

    def _receive(self, elapsed_seconds: float) -> list[Event]:
        self._age_seconds += elapsed_seconds
        self._silent_seconds += elapsed_seconds
        gone = self._process.poll() is not None
        messages: list[object] = []
        damage = ""
        try:
            while chunk := self._socket.recv(_CHUNK_BYTES):
                messages += self._decoder.feed(chunk)
            gone = True
        except BlockingIOError:
            pass
        except ConnectionError:
            gone = True
        except DamagedFrameError as error:
            damage = f"sent a damaged message: {error}"
        if messages:
            self._silent_seconds = 0.0
        events = [event for event in map(self._heard, messages) if event is not None]
        if damage:
            self._process.kill()
        if gone or damage:
            self._end(damage)
        return events

    def _heard(self, message: object) -> Event | None:
        if isinstance(message, Heartbeat):
            self._stalled_seconds = message.stalled_seconds
            return None
        event = cast(Event, message)
        self.note(event)
        self._stalled_seconds = 0.0
        return event

    def _kill_if_hung(self) -> list[Event]:
        """Judge the process by what it sent; the events are those found while killing it."""
        plan = self._plan
        if not self.ready:
            if self._age_seconds > plan.start_seconds:
                return self._kill(f"was not ready after {plan.start_seconds:g} seconds")
        elif self._silent_seconds > plan.silence_seconds:
            return self._kill(f"hung, without a heartbeat for {plan.silence_seconds:g} seconds")
        elif self._stalled_seconds > plan.stall_seconds:
            self.has_stalled = True
            return self._kill(f"hung, without progress for {plan.stall_seconds:g} seconds")
        return []

    def _kill(self, reason: str) -> list[Event]:
        """Let a hung worker write its threads' stacks to its log, then kill it."""
        self._process.send_signal(signal.SIGUSR1)
        time.sleep(_STACKS_SECONDS)
        self._process.kill()
        self._wait()
        events = self._receive(0.0)
        self.ended = reason
        return events

    def _wait(self) -> None:
        try:
            self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ExecutorError(
                f"worker {self.name} cannot be killed",
                where=f"process {self.pid}",
                next_step="the kernel holds it, perhaps on a device or a network disk; "
                "look for the cause in the system's log",
            ) from error

    def _end(self, reason: str) -> None:
        """Reap a process that has hung up or is about to exit."""
        try:
            self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._wait()
        self._socket.close()
        self.ended = reason or _describe(self._process.returncode)

    def hang_up(self) -> None:
        """Ask the process to exit at once; `stop` makes sure of it."""
        self._socket.close()

    def stop(self, grace_seconds: float) -> None:
        """Wait for the process to exit, terminate it if it is late, kill it if it still is."""
        try:
            for insist in (self._process.terminate, self._process.kill):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(grace_seconds)
                    return
                insist()
        finally:
            self._process.kill()
            self._wait()


@contextlib.contextmanager
def _pinned_to(device: Device) -> Iterator[None]:
    """Pin this thread for a while: a process that it starts is pinned from its first moment."""
    if device.core is None or not device.pinned:
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {device.core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _describe(status: int) -> str:
    """How a process ended; like every reason, it goes on from `the worker`."""
    if status >= 0:
        return f"exited with status {status}"
    names = {number.value: number.name for number in signal.Signals}
    return f"was killed by {names.get(-status, f'signal {-status}')}"
