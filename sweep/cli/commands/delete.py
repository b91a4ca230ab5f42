"""`sweep delete`."""

import click

from sweep.cli.command import SweepCommand, storage_option
from sweep.cli.output import note


@click.command(cls=SweepCommand, examples=("sweep delete quickstart", "sweep delete old --yes"))
@click.argument("study")
@click.option("--yes", is_flag=True, help="Do not ask.")
@storage_option
def command(study: str, yes: bool, storage: str) -> int:
    """Delete STUDY from the database, its trials and epochs with it.

    Files of kept weights stay where they are.
    """
    from sweep.cli.selection import opened, pick_study

    with opened(storage) as store:
        name = pick_study(store, study)
        count = len(store.trial_rows(name))
        if not yes and not click.confirm(
            f"delete study {name} with {count} trials from {store.safe_url}?", err=True
        ):
            note("nothing deleted")
            return 1
        store.delete_study(name)
    click.echo(f"deleted {name} with {count} trials")
    return 0
