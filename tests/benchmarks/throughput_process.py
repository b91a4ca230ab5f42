"""Processes that measure: started once, pinned if asked to, spoken to over a pipe."""

import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweep.executors.devices import Device, find_cores

# A fresh interpreter: nothing of TensorFlow survives a fork.
SPAWN = multiprocessing.get_context("spawn")
# TensorFlow on the processor alone.
PLAIN = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}
CORES = find_cores()
IDLE_SHARE = 0.1
IDLE_PATIENCE_SECONDS = 60.0

logger = logging.getLogger("throughput")


class Child:
    """A process that serves a pipe; it is killed when this one ends."""

    def __init__(
        self,
        serve: Callable[..., None],
        *arguments: object,
        core: int | None = None,
        environment: Mapping[str, str] = PLAIN,
    ) -> None:
        """Start `serve(connection, *arguments)`.

        Args:
            serve: Function of a module; it gets its end of the pipe first.
            arguments: What else it gets.
            core: Logical processor to pin it to, with one thread; None for all of them.
            environment: Variables that it gets besides those of this process.
        """
        self.connection, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=serve, args=(theirs, *arguments), daemon=True)
        with _placed(core, environment):
            self._process.start()
        theirs.close()

    def call(self, request: object) -> Any:
        """Send a request and wait for the answer.

        Raises:
            EOFError: The process ended; why is on standard error.
        """
        self.connection.send(request)
        return self.connection.recv()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


@contextmanager
def _placed(core: int | None, environment: Mapping[str, str]) -> Iterator[None]:
    """Let the processes started inside inherit a core and the variables that hold it."""
    before, allowed = dict(os.environ), os.sched_getaffinity(0)
    os.environ.update(environment)
    if core is not None:
        os.environ.update(Device(f"cpu{core}", f"cpu:{core}", core, "-1").environment())
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
        os.environ.clear()
        os.environ.update(before)


class BusyShare:
    """The share of the machine's processor time that was in use since this was made."""

    def __init__(self) -> None:
        """Start to count."""
        self._idle, self._all = _processor_time()

    def value(self) -> float:
        """From 0 to 1, whoever used it."""
        idle, total = _processor_time()
        return 1.0 - (idle - self._idle) / max(1, total - self._all)


def wait_until_idle() -> float:
    """Wait until the machine has nothing to do, but not for ever.

    Returns:
        The share of its processor time that was still in use in the last second.
    """
    deadline = time.monotonic() + IDLE_PATIENCE_SECONDS
    while True:
        busy = BusyShare()
        time.sleep(1.0)
        share = busy.value()
        if share <= IDLE_SHARE:
            return share
        if time.monotonic() > deadline:
            logger.warning("the machine is busy with something else: %.0f %%", 100 * share)
            return share


def _processor_time() -> tuple[int, int]:
    """Idle time and all time so far, in ticks, over all processors."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)
