"""`sweep stop`."""

import click

from sweep.cli.command import SweepCommand, json_option, storage_option


@click.command(cls=SweepCommand, examples=("sweep stop quickstart",))
@click.argument("study")
@storage_option
@json_option
def command(study: str, storage: str, as_json: bool) -> None:
    """Begin no more trials of STUDY; let those in training end.

    `sweep pause` sets them aside instead, `sweep cancel` breaks them off.
    """
    from sweep.cli.control import control, print_control
    from sweep.cli.selection import opened, pick_study
    from sweep.store import Wanted

    with opened(storage) as store:
        name = pick_study(store, study)
        document = control(store, name, Wanted.STOP, waits=False)
    print_control(document, "is stopped", "begins no more trials", as_json=as_json)
