"""Trains on a Ray cluster: one actor for each GPU, or CPU, that starts a worker on its node."""

import logging
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.data import DataRef
from sweep.errors import ExecutorError, UsageError
from sweep.executors.backends import check_backend
from sweep.executors.devices import check_workers
from sweep.executors.handle import WorkerPlan
from sweep.executors.pool import WorkerPool
from sweep.executors.ray_actor import Order
from sweep.executors.ray_worker import RayWorker
from sweep.executors.shipment import Shipment, load

if TYPE_CHECKING:
    from sweep.executors.ray_cluster import Cluster

_log = logging.getLogger(__name__)

_UNPLACED_SECONDS = 30.0
# Read by Ray when it is imported: it sends nothing home and prints nothing.
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
}


class RayExecutor(WorkerPool[RayWorker]):
    """Worker processes on the nodes of a Ray cluster, each behind an actor.

    The actor has one CPU, and one GPU if the cluster has any. It starts the same process as
    `ProcessExecutor` does and watches it in the same way. If it is lost, its worker ends, and
    another actor is asked for, which starts as soon as a node has room. Data that a node does not
    have reaches it once, through the object store. Logs and weights come to this machine.
    """

    def __init__(
        self,
        engine: str,
        data: DataRef,
        *,
        log_dir: Path,
        address: str | None = None,
        backend: str = "tensorflow",
        workers: int | None = None,
        stall_seconds: float = 300.0,
        heartbeat_seconds: float = 30.0,
        start_seconds: float = 300.0,
        factory: str = "sweep.engines:make_engine",
    ) -> None:
        """Connect to the cluster, and start one of this machine alone if there is none.

        Args:
            engine: Name of the engine.
            data: What to train on.
            log_dir: Directory on this machine for copies of the workers' logs, made if missing.
            address: Of the cluster, as `ray.init` takes it: `local` for a new one of this machine
                in any case; None for `RAY_ADDRESS`, or else the one this machine belongs to.
            backend: What Keras runs on in the workers, `tensorflow` or `jax`.
            workers: Number of workers; None for one per GPU of the cluster, or per CPU if it has
                no GPU. Those for which there is no room wait for it.
            stall_seconds: Longest time a worker may work without progress.
            heartbeat_seconds: Longest time a worker may be silent.
            start_seconds: Longest time a worker may take to be ready, once there is room for it.
            factory: `module:function` that makes an engine from its name, the data and the label
                of a device, in the worker.

        Raises:
            UsageError: Ray or the backend is not installed.
            ExecutorError: `workers` is less than 1, or there is no cluster, or nothing in it to
                train on.
            DataError: The data cannot be read.
        """
        check_ray()
        check_backend(backend)
        check_workers(workers)
        self._cluster = _cluster(address, workers)
        self._cluster.connect()
        resources = self._cluster.resources()
        self._on_gpu = resources.gpus > 0
        count = workers or resources.gpus or resources.cpus
        if not count:
            self._cluster.close()
            raise ExecutorError(
                "no node of the Ray cluster has a CPU to train on",
                next_step="start nodes, or let --workers say how many will come",
            )
        kind = "gpu" if self._on_gpu else "cpu"
        super().__init__((f"{kind}{i}" for i in range(count)), log_dir, heartbeat_seconds)
        self._data = data
        self._keeps_programs = engine == "fused"
        self._plan = WorkerPlan(
            factory=factory,
            engine=engine,
            backend=backend,
            data=data,
            log_dir=log_dir,
            programs=None,
            silence_seconds=heartbeat_seconds,
            stall_seconds=stall_seconds,
            start_seconds=start_seconds,
        )

    def start(self) -> None:
        """Ask for the actors; each worker reports `WorkerReady` when it can train.

        Raises:
            ExecutorError: The workers are started already, or their logs cannot be written.
            DataError: The data cannot be read.
        """
        self._cluster.connect()
        arrays = load(self._data)
        parcel = None if self._cluster.is_own else self._cluster.put(arrays.files())
        self._shipment = Shipment(self._data, arrays.digest(), parcel)
        self._has_warned = False
        super().start()

    def _start_worker(self, name: str) -> RayWorker:
        order = Order(name, self._on_gpu, self._plan, self._shipment, self._keeps_programs)
        return RayWorker(order, self._cluster, self._log_dir)

    def _wait(self, workers: Sequence[RayWorker], wait_seconds: float) -> None:
        self._cluster.is_answered([worker.call() for worker in workers], wait_seconds)
        unplaced = [w.name for w in workers if w.unplaced_seconds > _UNPLACED_SECONDS]
        if unplaced and not self._has_warned:
            self._has_warned = True
            device = "GPU" if self._on_gpu else "CPU"
            _log.warning("no node has a free %s for %s yet", device, ", ".join(unplaced))

    def close(self) -> None:
        """Stop every worker, wait until all are gone, and leave the cluster.

        One that was started here ends. Calling it again is harmless.
        """
        try:
            super().close()
        finally:
            self._cluster.close()


def _cluster(address: str | None, workers: int | None) -> "Cluster":
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if address == "local":
        # Ray turns this on for a cluster that it starts, and says so unless it was said before.
        # It has to be said before Ray is loaded, else its server waits for a token for ever.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    from sweep.executors.ray_cluster import Cluster

    return Cluster(address, workers)


def check_ray() -> None:
    """Make sure that Ray is installed; it is not loaded.

    Raises:
        UsageError: It is not.
    """
    spec = find_spec("ray")
    # A directory of this name, which any place may have, is no package.
    if spec is None or spec.origin is None:
        raise UsageError(
            "Ray is not installed", where="--executor ray", next_step="pip install 'sweep[ray]'"
        )
