"""What runs on a node of the cluster: an actor that starts a worker process and passes on.

The actor holds the resources that Ray gave it and starts the same worker process as everywhere, so
that the device, the environment and the log are in place before Keras is loaded. The process dies
with the actor, and the actor with its node or with the driver.
"""

import contextlib
import fcntl
import itertools
import os
import select
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from sweep.errors import ExecutorError
from sweep.executors.base import Directive, Event, Retirement, TrialRetired
from sweep.executors.devices import Device, find_cores, find_gpus
from sweep.executors.handle import WorkerPlan, WorkerProcess, own_search_path
from sweep.executors.program_cache import program_cache
from sweep.executors.s3_address import is_s3
from sweep.executors.shipment import Files, Shipment, unpack
from sweep.trial import TrialTask

_LARGEST_LOG_BYTES = 1 << 20
_NODE_CHECK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Order:
    """What an actor is to be.

    Attributes:
        worker: Name of its worker.
        on_gpu: Whether the worker trains on the GPU that Ray gives it, or on a core.
        plan: The plan of all workers; what differs from node to node is found there.
        shipment: The data.
        keeps_programs: Whether compiled programs are kept on the node's disk.
    """

    worker: str
    on_gpu: bool
    plan: WorkerPlan
    shipment: Shipment
    keeps_programs: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """What a worker did since the last answer.

    Attributes:
        events: What it said, in order.
        weights: Files of kept weights, by the number of the trial that retired.
        log: What it wrote to its log.
        ended: Why it ended, or None while it lives.
        has_stalled: Whether it ended because its engine made no progress.
    """

    events: tuple[Event, ...]
    weights: dict[int, bytes]
    log: bytes
    ended: str | None
    has_stalled: bool


class ActorGoneError(Exception):
    """An actor will not answer any more.

    Attributes:
        reason: Goes on from `the worker`.
        detail: What Ray says about it.
        was_taken: Whether it went with its node.
    """

    def __init__(self, reason: str, detail: str, *, was_taken: bool) -> None:
        """Keep the parts."""
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.was_taken = was_taken


class WorkerActor:
    """One worker on its node; while `listen` waits, another thread runs the other methods."""

    def __init__(self, order: Order, fetch: Callable[[Any], Files]) -> None:
        """Have the data at hand, take a device and start the worker process on it.

        Raises:
            SweepError: The data or the process cannot be had here.
            OSError: The process cannot be started.
        """
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        self._directory = Path(tempfile.mkdtemp(prefix=f"sweep-{order.worker}-"))
        self._lock = threading.Lock()
        self._wake = os.eventfd(0)
        self._directives: dict[int, Directive] = {}
        self._passed_on = 0
        self._stopping = False
        self._listened = time.monotonic()
        self._log_offset = 0
        self._device, self._claim = _device(order)
        self._plan = replace(
            order.plan,
            data=unpack(order.shipment, fetch),
            log_dir=self._directory,
            programs=program_cache(order.plan.backend) if order.keeps_programs else None,
            search_path=_search_path(),
        )
        # The kernel kills the process when this thread ends, which is when the actor does.
        self._process = WorkerProcess(self._device, self._plan)

    def listen(self, wait_seconds: float) -> Heard:
        """Wait until the worker says something or ends, or for so long.

        The worker is judged by its silence, in which only time counts that is spent in here.
        """
        deadline = time.monotonic() + wait_seconds
        while True:
            left = max(0.0, deadline - time.monotonic())
            self._wait(left)
            with self._lock:
                events = [] if self._stopping else self._process.listen(self._elapsed())
                if events or left == 0.0 or self._stopping or self._process.ended is not None:
                    return self._heard(events)

    def direct(self, number: int, directive: Directive) -> None:
        """Pass a directive on to the worker.

        Args:
            number: How many were sent before it: calls may overtake each other.
            directive: The directive.
        """
        with self._lock:
            self._directives[number] = directive
            while (due := self._directives.pop(self._passed_on, None)) is not None:
                self._passed_on += 1
                if self._process.ended is None and not self._stopping:
                    retire = tuple(map(self._keep_here, due.retire))
                    admit = tuple(map(_reachable, due.admit))
                    self._process.send(replace(due, retire=retire, admit=admit))
        os.eventfd_write(self._wake, 1)

    def stop(self, grace_seconds: float) -> None:
        """Stop the process, and wait until it is gone."""
        with self._lock:
            self._stopping = True
            self._process.hang_up()
            os.eventfd_write(self._wake, 1)
            self._process.stop(grace_seconds)
            shutil.rmtree(self._directory, ignore_errors=True)

    def _wait(self, seconds: float) -> None:
        """Wait until there is something to read, to send, or to stop for."""
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        with self._lock:
            if self._process.ended is None and not self._stopping:
                mask = select.POLLIN | (select.POLLOUT if self._process.has_outgoing else 0)
                poller.register(self._process, mask)
        for descriptor, _ in poller.poll(seconds * 1000):
            if descriptor == self._wake:
                os.eventfd_read(self._wake)

    def _elapsed(self) -> float:
        now = time.monotonic()
        elapsed = min(now - self._listened, self._plan.silence_seconds / 2)
        self._listened = now
        return elapsed

    def _keep_here(self, retirement: Retirement) -> Retirement:
        """Have weights saved on this node: the driver's directory may not be here, S3 is."""
        if not isinstance(retirement.save_to, Path):
            return retirement
        directory = self._directory / str(retirement.number)
        directory.mkdir(exist_ok=True)
        return replace(retirement, save_to=directory / retirement.save_to.name)

    def _heard(self, events: list[Event]) -> Heard:
        weights = {}
        for event in events:
            if isinstance(event, TrialRetired) and event.result.weights is not None:
                if is_s3(event.result.weights):
                    continue
                path = Path(event.result.weights)
                weights[event.result.number] = path.read_bytes()
                path.unlink()
        log, ended = self._new_log(), self._process.ended
        if ended is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        return Heard(tuple(events), weights, log, ended, self._process.has_stalled)

    def _new_log(self) -> bytes:
        """What has been added to the log since the last call, or the end of it."""
        if self._stopping or not self._process.log.exists():
            return b""
        with self._process.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size < self._log_offset:
                self._log_offset = 0
            file.seek(max(self._log_offset, size - _LARGEST_LOG_BYTES))
            text = file.read()
            self._log_offset = file.tell()
        return text


def _reachable(task: TrialTask) -> TrialTask:
    """The task, without the place of checkpoints if this node does not share it."""
    place = task.artifacts
    if place is None or is_s3(place) or Path(place).is_dir():
        return task
    return replace(task, artifacts=None)


def _end_with(node: int) -> None:
    """End this process when that of the node, which started it, has died: soon nobody listens."""
    while os.getppid() == node:
        time.sleep(_NODE_CHECK_SECONDS)
    os._exit(1)


def _device(order: Order) -> tuple[Device, IO[bytes] | None]:
    """The device, and what holds the claim to it while this process lives."""
    if order.on_gpu:
        gpus = find_gpus()
        if not gpus:
            raise ExecutorError(
                "Ray promised a GPU that is not there",
                where=f"CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES')}",
                next_step="start the node without --num-gpus, or mend its driver",
            )
        return Device(order.worker, gpus[0].label, None, gpus[0].visible), None
    core, claim = claim_core(find_cores(), Path(tempfile.gettempdir()))
    return Device(order.worker, f"cpu:{core}", core, "-1"), claim


def claim_core(cores: tuple[int, ...], directory: Path) -> tuple[int, IO[bytes]]:
    """A core that fewer workers of this machine's actors have claimed than any other.

    Args:
        cores: The cores to choose from.
        directory: Where claims are kept; they hold while the returned file is open.
    """
    claims = directory / f"sweep-cores-{os.getuid()}"
    claims.mkdir(exist_ok=True)
    for turn in itertools.count():
        for core in cores:
            file = (claims / f"{core}-{turn}").open("ab")
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return core, file
            file.close()
    raise AssertionError("there is always another turn")


def _search_path() -> tuple[str, ...]:
    """This process's own, without what Ray puts before it for itself."""
    spec = find_spec("ray")
    rays = () if spec is None else tuple(spec.submodule_search_locations or ())
    return tuple(path for path in own_search_path() if not path.startswith(rays))
