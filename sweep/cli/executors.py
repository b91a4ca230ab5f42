"""The executor that the command line asks for."""

from pathlib import Path
from typing import TYPE_CHECKING

from sweep.cli.output import note
from sweep.errors import UsageError

if TYPE_CHECKING:
    from sweep.data import DataRef
    from sweep.executors.base import Executor
    from sweep.spec.model import StudySpec


def check_executor(kind: str, address: str | None) -> None:
    """Make sure that an executor can be made, before anything else is done.

    Args:
        kind: `process` or `ray`.
        address: Of the Ray cluster, or None.

    Raises:
        UsageError: Ray is not installed, or there is an address and no Ray.
    """
    if kind == "ray":
        from sweep.executors.ray import check_ray

        check_ray()
    elif address is not None:
        raise UsageError(
            "only a Ray cluster has an address",
            where="--address",
            next_step="add --executor ray, or leave --address out",
        )


def make_executor(
    kind: str,
    address: str | None,
    workers: int | None,
    spec: "StudySpec",
    data: "DataRef",
    logs: Path,
) -> "Executor":
    """The executor, which is connected but has started no worker; whoever asks closes it.

    Args:
        kind: `process` or `ray`.
        address: Of the Ray cluster, or None.
        workers: Number of workers; None for one for each device.
        spec: The study.
        data: What to train on.
        logs: Directory of the workers' logs.

    Raises:
        ExecutorError: There is no connection to the cluster.
    """
    if kind == "ray":
        from sweep.executors.ray import RayExecutor

        note("looking for a Ray cluster" if address is None else f"connecting to Ray at {address}")
        return RayExecutor(
            spec.engine,
            data,
            log_dir=logs,
            address=address,
            backend=spec.backend,
            workers=workers,
        )
    from sweep.executors.process import ProcessExecutor

    return ProcessExecutor(spec.engine, data, backend=spec.backend, workers=workers, log_dir=logs)
