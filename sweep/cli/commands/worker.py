"""`sweep worker`."""

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweep.cli.command import (
    Session,
    SweepCommand,
    artifacts_option,
    data_dir_option,
    notify_options,
    storage_option,
)
from sweep.cli.output import note
from sweep.cli.text import plural
from sweep.errors import UsageError

if TYPE_CHECKING:
    from sweep.driver.notify import EventKind
    from sweep.executors.devices import Device


@click.command(
    cls=SweepCommand,
    examples=(
        "sweep worker --storage postgresql://me@db/sweep",
        "sweep worker --devices gpu:0,gpu:1 --studies 'team-*'",
        "sweep worker --count 2 --idle-exit",
    ),
)
@storage_option
@data_dir_option
@artifacts_option
@click.option(
    "--devices",
    metavar="LIST",
    help="Devices by name, as gpu:0,gpu:1 or cpu:3; all GPUs or cores if not given.",
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    metavar="N",
    help="Agents on this machine; one for each device if not given.",
)
@click.option(
    "--studies",
    metavar="GLOB",
    multiple=True,
    help="Serve only studies of such names. Repeatable.",
)
@click.option("--idle-exit", is_flag=True, help="End when no study has work.")
@notify_options
@click.pass_obj
def command(
    session: Session,
    storage: str,
    data_dir: Path | None,
    artifacts: str | None,
    devices: str | None,
    count: int | None,
    studies: tuple[str, ...],
    idle_exit: bool,
    notify_webhook: str | None,
    notify_command: str | None,
    notify_on: tuple["EventKind", ...],
) -> int:
    """Serve the studies submitted to the database, until stopped.

    An agent for each device takes part in one study after the other, by priority and weight;
    start as many of them, on as many machines, as you like. SIGTERM or Ctrl-C sets running trials
    aside after their epoch, for others to go on with; twice leaves at once. Give all machines the
    same --artifacts, on a disk that they share or in S3, or trials begin anew when they change
    machines.
    """
    from sweep.cli.agents import AgentPlan, supervise
    from sweep.cli.notices import notify_targets
    from sweep.cli.selection import opened
    from sweep.executors.places import place_of
    from sweep.executors.s3_address import is_s3
    from sweep.store import artifacts_directory, safe_url

    chosen = _devices(devices, count)
    notify_targets(notify_webhook, notify_command)
    place = artifacts or str(artifacts_directory(storage))
    directory = (artifacts_directory(storage) if is_s3(place) else Path(place)).absolute()
    if not is_s3(place):
        place = str(directory)
    # An address or settings that cannot be used are known before anything is started.
    place_of(place, "any")
    with opened(storage, create=True):
        pass
    plans = [
        AgentPlan(
            storage=storage,
            device=device,
            pid=os.getpid(),
            artifacts=place,
            # No study has this name, so that no study's weights lie there.
            logs=directory / "_logs",
            data_dir=data_dir,
            studies=studies or ("*",),
            idle_exit=idle_exit,
            webhook=notify_webhook,
            command=notify_command,
            kinds=notify_on,
            debug=session.debug,
        )
        for device in chosen
    ]
    where = ", ".join(dict.fromkeys(device.label for device in chosen))
    note(
        f"{plural(len(plans), 'agent')} on {socket.gethostname()} ({where}) "
        f"for the studies in {safe_url(storage)}"
    )
    return supervise(plans)


def _devices(wanted: str | None, count: int | None) -> "tuple[Device, ...]":
    """The devices to train on, each agent's.

    Raises:
        UsageError: One that is named is not there.
    """
    from sweep.executors.devices import find_devices

    if wanted is None:
        return find_devices(count)
    found = {device.label: device for device in find_devices()}
    labels = [label.strip() for label in wanted.split(",") if label.strip()]
    for label in labels:
        if label not in found:
            raise UsageError(
                "there is no such device",
                where="--devices",
                expected="some of " + ", ".join(found),
                received=label,
                next_step="CUDA_VISIBLE_DEVICES and the affinity of the process limit them",
            )
    if not labels:
        raise UsageError("no device is named", where="--devices", received=wanted)
    chosen = [found[label] for label in labels]
    return tuple(_renamed(chosen[i % len(chosen)], i) for i in range(count or len(chosen)))


def _renamed(device: "Device", index: int) -> "Device":
    """The device for one of several agents, whose workers have names of their own."""
    from dataclasses import replace

    kind = device.label.partition(":")[0]
    return replace(device, worker=f"{kind}{index}")
