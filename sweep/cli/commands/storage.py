"""`sweep storage`."""

import click

from sweep.cli.command import SweepCommand, json_option, storage_option
from sweep.cli.output import print_json


@click.group()
def command() -> None:
    """Look after the database (storage upgrade)."""


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
