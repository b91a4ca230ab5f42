"""`sweep schema`."""

import click

from sweep.cli.command import SweepCommand
from sweep.cli.output import print_json


@click.command(
    cls=SweepCommand,
    examples=(
        "sweep schema > study.schema.json",
        "# and in the first line of study.yaml:",
        "# yaml-language-server: $schema=study.schema.json",
    ),
)
def command() -> None:
    """Print the JSON Schema of study files, for editors."""
    from sweep.spec import json_schema

    print_json(json_schema())
