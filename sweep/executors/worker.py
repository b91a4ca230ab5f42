"""The program of a worker process: `python -m sweep.executors.worker FILE_DESCRIPTOR`.

It is started by `WorkerProcess` with its environment, affinity and log in place, so that all of
them hold before TensorFlow is loaded. It ends as soon as the parent closes the socket or dies,
even in the middle of an epoch.
"""

import faulthandler
import importlib
import logging
import os
import pickle
import select
import signal
import socket
import sys
import textwrap
import threading
import time
import traceback
from typing import cast

from sweep.engines.base import Engine
from sweep.executors.base import (
    CohortReported,
    Directive,
    Retirement,
    TrialFailed,
    TrialRetired,
    WorkerReady,
)
from sweep.executors.checkpoints import TrialCheckpoints
from sweep.executors.protocol import Channel, HangUpError, Heartbeat, Setup, tail
from sweep.executors.system import die_with_parent, resident_bytes
from sweep.trial import TrialTask

_log = logging.getLogger(__name__)

_LARGEST_LOG_BYTES = 1 << 24
_ERROR_CHARACTERS = 500
# Of a worker without trials: it holds nothing but what was not given back.
_MOST_RESIDENT_BYTES = 3 << 30


class Pulse:
    """A thread that sends heartbeats and ends the process when the parent is gone."""

    def __init__(self, channel: Channel, interval_seconds: float) -> None:
        """Beat on `channel`, and watch over it."""
        self._channel = channel
        self._interval_seconds = interval_seconds
        self._steps = 0
        self._at_work = False
        self._engine: Engine | None = None

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._beat, name="pulse", daemon=True).start()

    def watch(self, engine: Engine) -> None:
        """Take this engine's progress into account."""
        self._engine = engine

    def step(self, *, at_work: bool) -> None:
        """The main thread moved on: to work if `at_work`, else to waiting."""
        self._steps += 1
        self._at_work = at_work

    def _beat(self) -> None:
        hangup = select.poll()
        hangup.register(self._channel.fileno(), select.POLLRDHUP)
        seen: tuple[int, int] | None = None
        stalled = 0.0
        last = time.monotonic()
        while not hangup.poll(self._interval_seconds * 1000):
            now = time.monotonic()
            progress = (self._steps, 0 if self._engine is None else self._engine.progress)
            if progress != seen or not self._at_work:
                seen, stalled = progress, 0.0
            else:
                # A machine that was suspended, or a process that was stopped, is no stall.
                stalled += min(now - last, 2 * self._interval_seconds)
            last = now
            try:
                self._channel.send(Heartbeat(stalled))
            except HangUpError:
                break
            _bound_log()
        os._exit(0)


class Worker:
    """Carries out directives on one engine, one after the other."""

    def __init__(self, setup: Setup, channel: Channel, pulse: Pulse, engine: Engine) -> None:
        """Serve the parent behind `channel` with `engine`."""
        self._setup = setup
        self._channel = channel
        self._pulse = pulse
        self._engine = engine
        self._checkpoints = TrialCheckpoints(engine)
        self._has_trained = False
        self._unreported_seconds = 0.0

    def report_ready(self) -> None:
        """Say that trials can come."""
        self._channel.send(
            WorkerReady(
                worker=self._setup.worker,
                pid=os.getpid(),
                host=socket.gethostname(),
                device=self._engine.device,
                engine=self._engine.name,
                capacity=self._engine.capacity,
            )
        )

    def started_afresh(self, since: float) -> None:
        """Count the time since then, on the clock that all processes share, as unreported."""
        self._unreported_seconds = time.monotonic() - since

    def serve(self) -> None:
        """Obey until the parent hangs up."""
        while True:
            self._pulse.step(at_work=False)
            self._start_afresh_if_grown()
            directive = cast(Directive, self._channel.receive())
            started = time.monotonic()
            for retirement in directive.retire:
                self._pulse.step(at_work=True)
                self._retire(retirement)
            for task in directive.admit:
                self._pulse.step(at_work=True)
                self._has_trained = True
                self._admit(task)
            self._unreported_seconds += time.monotonic() - started
            if self._engine.active:
                self._pulse.step(at_work=True)
                self._train()

    def _start_afresh_if_grown(self) -> None:
        """Between two trials, become a new process image with the same parent, socket and log.

        Libraries never give back the memory of some things, such as programs compiled by XLA.
        A directive that comes meanwhile waits in the socket.
        """
        if self._engine.active or not self._has_trained:
            return
        if resident_bytes() <= _MOST_RESIDENT_BYTES:
            return
        with self._channel.quiet() as is_drained:
            if not is_drained:
                return
            _log.info("starting afresh: this process has grown to %d bytes", resident_bytes())
            since = time.monotonic() - self._unreported_seconds
            setup = os.memfd_create("setup", 0)
            os.write(setup, pickle.dumps((self._setup, since)))
            arguments = [str(self._channel.fileno()), str(setup)]
            os.set_inheritable(self._channel.fileno(), True)
            command = [sys.executable, "-P", "-m", "sweep.executors.worker", *arguments]
            os.execv(sys.executable, command)

    def _retire(self, retirement: Retirement) -> None:
        try:
            result = self._checkpoints.retire(retirement)
        except Exception as error:  # noqa: BLE001 - it fails trials, not the worker
            lost = {retirement.number}
            if retirement.number in self._engine.active:
                # Its slot cannot be freed alone.
                lost.update(self._engine.active)
                self._engine.abandon()
            self._fail(sorted(lost), error)
        else:
            self._channel.send(TrialRetired(self._setup.worker, result))

    def _admit(self, task: TrialTask) -> None:
        try:
            self._checkpoints.admit(task)
        except Exception as error:  # noqa: BLE001 - it fails trials, not the worker
            self._fail([task.number], error)

    def _train(self) -> None:
        """Train an epoch; without the trials that fail before it, if others are left."""
        while cohort := self._engine.active:
            started, compiled = time.monotonic(), self._engine.compile_seconds
            try:
                reports = self._engine.run_epoch()
            except Exception as error:  # noqa: BLE001 - it fails trials, not the worker
                self._unreported_seconds += time.monotonic() - started
                left = self._engine.active
                if left == cohort:
                    self._engine.abandon()
                    left = ()
                self._fail([number for number in cohort if number not in left], error)
                continue
            seconds = time.monotonic() - started
            compile_seconds = min(self._engine.compile_seconds - compiled, seconds)
            reports = self._checkpoints.after_epoch(reports)
            self._unreported_seconds += time.monotonic() - started - seconds
            self._channel.send(
                CohortReported(
                    worker=self._setup.worker,
                    reports=reports,
                    train_seconds=seconds - compile_seconds,
                    compile_seconds=compile_seconds + self._unreported_seconds,
                )
            )
            self._unreported_seconds = 0.0
            return

    def _fail(self, numbers: list[int], error: Exception) -> None:
        log = tail(self._setup.log)
        _log.error("trials %s failed", numbers, exc_info=error)
        message = " ".join(f"{type(error).__name__}: {error}".split())
        for number in numbers:
            self._channel.send(
                TrialFailed(
                    worker=self._setup.worker,
                    number=number,
                    error=textwrap.shorten(message, _ERROR_CHARACTERS, placeholder=" ..."),
                    traceback="".join(traceback.format_exception(error)),
                    log=log,
                )
            )


def main() -> None:
    """Run a worker on the socket whose file descriptor is the first argument.

    The second argument, if there is one, is a descriptor of the setup of a worker that became a
    new process image; the parent knows it to be ready.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The parent asks a hung worker by this signal for the stacks of its threads.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    faulthandler.enable()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s"
    )
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    try:
        since: float | None = None
        if len(sys.argv) > 2:
            setup, since = _kept_setup(int(sys.argv[2]))
        else:
            setup = cast(Setup, channel.receive())
        if setup.dies_with_parent:
            die_with_parent(setup.parent)
        pulse = Pulse(channel, setup.heartbeat_seconds)
        pulse.start()
        engine = _make_engine(setup)
        pulse.watch(engine)
        worker = Worker(setup, channel, pulse, engine)
        if since is None:
            worker.report_ready()
        else:
            worker.started_afresh(since)
        worker.serve()
    except HangUpError:
        # Tearing TensorFlow down takes seconds and may hang; there is nothing left to save.
        os._exit(0)


def _make_engine(setup: Setup) -> Engine:
    module, _, function = setup.factory.partition(":")
    factory = getattr(importlib.import_module(module), function)
    return cast(Engine, factory(setup.engine, setup.data, setup.device))


def _kept_setup(descriptor: int) -> tuple[Setup, float]:
    """The setup, and since when time is still to be reported."""
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        return cast(tuple[Setup, float], pickle.load(file))


def _bound_log() -> None:
    """Start the log over when it has grown too large; it is open for appending."""
    if os.fstat(1).st_size > _LARGEST_LOG_BYTES:
        os.ftruncate(1, 0)


if __name__ == "__main__":
    main()
