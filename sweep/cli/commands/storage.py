"""`sweep storage`."""

import click

from sweep.cli.command import SweepCommand, json_option, storage_option
from sweep.cli.output import print_json


@click.group()
def command() -> None:
    """Look after the database (storage init, storage upgrade)."""


@command.command(
    cls=SweepCommand,
    examples=("sweep storage init", "sweep storage init --storage postgresql://ann@db/sweeps"),
)
@storage_option
def init(storage: str) -> None:
    """Make the tables, unless they are there.

    Whatever starts a study makes them too; this is for a dashboard that is to be up before the
    first one. Tables of an older version are an error, and left as they are.
    """
    from sweep.cli.selection import opened

    with opened(storage, create=True) as store:
        click.echo(f"the tables are there: {store.safe_url}")


@command.command(
    cls=SweepCommand,
    examples=("sweep storage upgrade", "sweep storage upgrade --storage runs/a.db"),
)
@storage_option
@json_option
def upgrade(storage: str, as_json: bool) -> None:
    """Bring the database to the schema of this version.

    Its contents stay.
    """
    from sweep.store import upgrade as upgrade_schema

    before, after = upgrade_schema(storage)
    if as_json:
        print_json({"from": before, "to": after})
    elif before == after:
        click.echo(f"the schema is up to date: {after}")
    else:
        click.echo(f"upgraded the schema from {before} to {after}")
