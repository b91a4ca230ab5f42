"""`sweep pause`."""

import click

from sweep.cli.command import SweepCommand, json_option, storage_option


@click.command(cls=SweepCommand, examples=("sweep pause quickstart",))
@click.argument("study")
@storage_option
@json_option
def command(study: str, storage: str, as_json: bool) -> None:
    """Set the running trials of STUDY aside, on all machines.

    They finish their epoch; `sweep resume` lets them go on from there, with the same figures.
    """
    from sweep.cli.control import control, print_control
    from sweep.cli.selection import opened, pick_study
    from sweep.store import Wanted

    with opened(storage) as store:
        name = pick_study(store, study)
        document = control(store, name, Wanted.PAUSE, waits=True)
    pending = "is being paused: these finish an epoch"
    print_control(document, "is paused", pending, as_json=as_json)
