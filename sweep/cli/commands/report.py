"""`sweep report`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from sweep.cli.command import SweepCommand, json_option, storage_option
from sweep.cli.output import print_json
from sweep.errors import UsageError


@click.command(
    cls=SweepCommand,
    examples=(
        "sweep report",
        "sweep report quickstart -o quickstart.html",
        "sweep report baseline deep_cifar10 -o compared.html",
    ),
)
@click.argument("studies", nargs=-1, metavar="[STUDY]...")
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
def command(studies: tuple[str, ...], output: Path, storage: str, as_json: bool) -> None:
    """Write the figures of STUDY as one page that needs no network.

    STUDY is optional if the database holds just one. Of several, the page compares the others with
    the first: how good each became and when, what differs, and whether the difference is real.
    """
    from sweep.cli.selection import opened, pick_study

    _check_distinct(studies)
    with opened(storage) as store:
        from sweep.report.page import write_comparison, write_report

        names = [pick_study(store, study) for study in studies or (None,)]
        if names[1:]:
            write_comparison(store, names, output)
        else:
            write_report(store, names[0], output)
    if as_json:
        about = {"studies": names} if names[1:] else {"study": names[0]}
        print_json({**about, "report": output})
    else:
        click.echo(f"wrote {output}")


def _check_distinct(studies: Sequence[str]) -> None:
    twice = [name for name, count in Counter(studies).items() if count > 1]
    if twice:
        raise UsageError("a study cannot be compared with itself", received=", ".join(twice))
