"""A Ray cluster: joined or started, its resources, its actors and their answers.

The one module that imports Ray.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError

from sweep.errors import ExecutorError
from sweep.executors.devices import find_cores
from sweep.executors.ray_actor import ActorGoneError, Order, WorkerActor
from sweep.executors.shipment import Files

_CONNECT_SECONDS = 5.0
_OBJECT_BYTES = 1 << 29


@dataclass(frozen=True, slots=True)
class Resources:
    """What the nodes have, in use or not: GPUs with a CPU beside each, and CPUs."""

    gpus: int
    cpus: int


class Cluster:
    """A connection to a cluster, which is left running unless it was started here.

    Attributes:
        is_own: Whether it was started here, so that it is this machine alone.
    """

    def __init__(self, address: str | None, workers: int | None) -> None:
        """Say which; `connect` connects.

        Args:
            address: As `ray.init` takes it: `local` for a new one in any case; None for
                `RAY_ADDRESS`, or else for the one that this machine belongs to.
            workers: How many workers a cluster started here must have room for at least.
        """
        self.is_own = False
        self._address = address or os.environ.get("RAY_ADDRESS") or "auto"
        self._workers = workers or 0
        self._is_connected_here = False

    def connect(self) -> None:
        """Connect, or start a cluster of this machine alone if there is none to connect to.

        A connection that this process has already is used, and left open.

        Raises:
            ExecutorError: There is no connection.
        """
        if ray.is_initialized():
            return
        self._is_connected_here = True
        try:
            with _own_handler():
                _check_reachable(self._address)
                self.is_own = self._address == "local" or not _join(self._address)
                if self.is_own:
                    _start(max(self._workers, len(find_cores())))
        except Exception as error:  # Ray raises errors of all kinds, plain ones too
            self.close()
            raise ExecutorError(
                "there is no connection to a Ray cluster",
                where=self._address,
                received=str(error),
                next_step="correct --address or RAY_ADDRESS: `ray status --address ADDRESS` must "
                "answer, with the same versions of Ray and Python; or leave both out",
            ) from error

    def resources(self) -> Resources:
        """What all nodes have together."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        counts = [(int(node.get("GPU", 0)), int(node.get("CPU", 0))) for node in nodes]
        return Resources(sum(map(min, counts)), sum(cpus for _, cpus in counts))

    def put(self, files: Files) -> Any:
        """Put arrays into the object store, from which every node gets them once."""
        return ray.put(dict(files))

    def launch(self, order: Order) -> Any:
        """Ask for an actor; it starts when a node has room for it."""
        options = {"num_cpus": 1, "num_gpus": int(order.on_gpu), "max_concurrency": 2}
        return ray.remote(WorkerActor).options(**options).remote(order, fetch)

    def is_answered(self, calls: Sequence[Any], wait_seconds: float) -> bool:
        """Wait until one of the calls is answered, or found to have no answer."""
        return bool(ray.wait(list(calls), timeout=wait_seconds)[0])

    def answer(self, call: Any) -> Any:
        """What an actor answered to a call.

        Raises:
            ActorGoneError: It has died or cannot be reached, or the call broke.
        """
        try:
            return ray.get(call)
        except RayError as error:
            raise _gone(error) from error

    def kill(self, actor: Any) -> None:
        """End an actor and free what it holds; its worker process dies with it."""
        ray.kill(actor)

    def close(self) -> None:
        """Disconnect; a cluster that was started here ends."""
        if self._is_connected_here:
            self._is_connected_here = False
            with _own_handler():
                ray.shutdown()


def fetch(parcel: Any) -> Files:
    """What `Cluster.put` put into the object store."""
    files: Files = ray.get(parcel)
    return files


def _join(address: str) -> bool:
    """Join a cluster; false if it may be any, and there is none."""
    try:
        ray.init(address, log_to_driver=False, configure_logging=False)
    except ConnectionError:
        if address != "auto":
            raise
        return False
    return True


def _start(cpus: int) -> None:
    ray.init(
        "local",
        num_cpus=cpus,
        object_store_memory=_OBJECT_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
    )


def _check_reachable(address: str) -> None:
    """Find out in seconds what Ray finds out in minutes, in many lines."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()


@contextmanager
def _own_handler() -> Iterator[None]:
    """Keep the handler of SIGTERM, in whose place Ray puts one that leaves at once."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _gone(error: RayError) -> ActorGoneError:
    detail = str(error)
    last = detail.rstrip().rpartition("\n")[2].strip()
    if "creation task" in detail:
        return ActorGoneError(f"was not started: {last}", detail, was_taken=False)
    if "node has died" in detail:
        return ActorGoneError("was lost with its node", detail, was_taken=True)
    if isinstance(error, ActorDiedError):
        return ActorGoneError("was lost: its Ray actor died", detail, was_taken=False)
    # Nobody answers there, and Ray does not know yet why.
    was_taken = isinstance(error, ActorUnavailableError)
    return ActorGoneError(f"was lost: {last}", detail, was_taken=was_taken)
