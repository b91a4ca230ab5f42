"""`sweep report`."""

from pathlib import Path

import click

from sweep.cli.command import SweepCommand, json_option, storage_option, study_argument
from sweep.cli.output import print_json


@click.command(
    cls=SweepCommand, examples=("sweep report", "sweep report quickstart -o quickstart.html")
)
@study_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="File to write.",
)
@storage_option
@json_option
def command(study: str | None, output: Path, storage: str, as_json: bool) -> None:
    """Write the figures of STUDY as one page that needs no network.

    STUDY is optional if the database holds just one.
    """
    from sweep.cli.selection import opened, pick_study

    with opened(storage) as store:
        from sweep.report.page import write_report

        name = pick_study(store, study)
        write_report(store, name, output)
    if as_json:
        print_json({"study": name, "report": output})
    else:
        click.echo(f"wrote {output}")
