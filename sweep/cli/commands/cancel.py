"""`sweep cancel`."""

import click

from sweep.cli.command import SweepCommand, json_option, storage_option
from sweep.cli.text import plural


@click.command(cls=SweepCommand, examples=("sweep cancel quickstart",))
@click.argument("study")
@storage_option
@json_option
def command(study: str, storage: str, as_json: bool) -> None:
    """Break off the open trials of STUDY; they count as failed.

    `sweep resume` and `sweep retry` bring them back, from their first epoch.
    """
    from sweep.cli.control import control, print_control
    from sweep.cli.selection import opened, pick_study
    from sweep.service import cancel_leftovers
    from sweep.store import Wanted

    with opened(storage) as store:
        name = pick_study(store, study)
        document = control(store, name, Wanted.CANCEL, waits=True)
        cancel_leftovers(store, name)
        failed = [r for r in store.trial_rows(name, failed_only=True) if r["error"] == "cancelled"]
    document |= {"cancelled": [row["number"] for row in failed]}
    done = f"is cancelled, {plural(len(failed), 'trial')} broken off"
    print_control(document, done, "is being cancelled, but these do not answer", as_json=as_json)
