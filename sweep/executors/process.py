"""Trains on this machine: one persistent process for each GPU or physical core."""

import logging
import select
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sweep.data import DataRef
from sweep.executors.backends import check_backend
from sweep.executors.devices import Device, find_devices
from sweep.executors.handle import WorkerPlan, WorkerProcess
from sweep.executors.pool import WorkerPool
from sweep.executors.program_cache import program_cache

ENGINE_FACTORY: Final = "sweep.engines:make_engine"

_log = logging.getLogger(__name__)


class ProcessExecutor(WorkerPool[WorkerProcess]):
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
        devices: Sequence[Device] | None = None,
        stall_seconds: float = 300.0,
        heartbeat_seconds: float = 30.0,
        start_seconds: float = 300.0,
        factory: str = ENGINE_FACTORY,
    ) -> None:
        """Choose the devices; `start` starts the workers.

        Args:
            engine: Name of the engine.
            data: What to train on.
            log_dir: Directory of the workers' logs, made if missing.
            backend: What Keras runs on in the workers, `tensorflow` or `jax`.
            workers: Number of workers; None for one per GPU, or per physical core if there is no
                GPU.
            devices: Where they train, a worker on each; None to find them, as many as `workers`.
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
        self._devices = {device.worker: device for device in devices or find_devices(workers)}
        super().__init__(self._devices, log_dir, heartbeat_seconds)
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

    def _start_worker(self, name: str) -> WorkerProcess:
        process = WorkerProcess(self._devices[name], self._plan)
        _log.info("started worker %s, process %d", name, process.pid)
        return process

    def _wait(self, workers: Sequence[WorkerProcess], wait_seconds: float) -> None:
        poller = select.poll()
        for process in workers:
            poller.register(
                process, select.POLLIN | (select.POLLOUT if process.has_outgoing else 0)
            )
        poller.poll(wait_seconds * 1000)
