"""`sweep init`."""

from pathlib import Path

import click

from sweep.cli.command import SweepCommand
from sweep.errors import UsageError


@click.command(
    cls=SweepCommand, examples=("sweep init", "sweep init studies/mine.yaml", "sweep init -")
)
@click.argument("file", type=click.Path(path_type=Path), default=Path("study.yaml"))
def command(file: Path) -> None:
    """Write a study file with comments, to start from.

    FILE is study.yaml if not given; `-` is standard output. An existing file is never replaced.
    """
    from sweep.spec import template

    if str(file) == "-":
        click.echo(template(), nl=False)
        return
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(template())
    except FileExistsError as error:
        raise UsageError(
            "the file exists already", where=str(file), next_step="name another file"
        ) from error
    except OSError as error:
        raise UsageError(
            f"the file cannot be written: {error.strerror}", where=str(file)
        ) from error
    click.echo(f"wrote {file}")
    click.echo(f"next: sweep check {file}")
