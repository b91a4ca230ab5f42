"""`sweep report`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import click
from click.core import ParameterSource

from sweep.cli.command import SweepCommand, json_option, storage_option
from sweep.cli.output import note, print_json
from sweep.errors import UsageError

IMAGE_FORMATS = ("png", "svg", "pdf")


@click.command(
    cls=SweepCommand,
    examples=(
        "sweep report",
        "sweep report quickstart -o quickstart.html",
        "sweep report baseline deep_cifar10 -o compared.html",
        "sweep report quickstart --figures images/ --format svg --format pdf",
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
@click.option(
    "--figures",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Instead of the page, write each of its figures as an image to DIR.",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(IMAGE_FORMATS),
    multiple=True,
    help="What images are written as: png (the default), svg or pdf. Repeatable.",
)
@storage_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    studies: tuple[str, ...],
    output: Path,
    figures: Path | None,
    formats: tuple[str, ...],
    storage: str,
    as_json: bool,
) -> None:
    """Write the figures of STUDY as one page that needs no network.

    STUDY is optional if the database holds just one. Of several, the page compares the others with
    the first: how good each became and when, what differs, and whether the difference is real.

    With --figures they are written as images for a paper or a talk, which needs Kaleido
    (sweep[images]) and a Chrome or Chromium. Those of each of several studies lie in a directory
    of its name.
    """
    _check_distinct(studies)
    if figures is not None:
        if ctx.get_parameter_source("output") is ParameterSource.COMMANDLINE:
            raise click.UsageError("--figures and --output exclude each other.")
        _write_figures(studies, figures, formats or ("png",), storage, as_json)
        return
    if formats:
        raise click.UsageError("--format is for --figures DIR.")
    _write_page(studies, output, storage, as_json)


def _write_page(studies: Sequence[str], output: Path, storage: str, as_json: bool) -> None:
    from sweep.cli.selection import opened, pick_study

    with opened(storage) as store:
        from sweep.report.page import write_comparison, write_report

        names = [pick_study(store, study) for study in studies or (None,)]
        if names[1:]:
            write_comparison(store, names, output)
        else:
            write_report(store, names[0], output)
    if as_json:
        print_json({**_about(names), "report": output})
    else:
        click.echo(f"wrote {output}")


def _write_figures(
    studies: Sequence[str],
    directory: Path,
    formats: Sequence[str],
    storage: str,
    as_json: bool,
) -> None:
    from sweep.cli.selection import opened, pick_study

    with opened(storage) as store:
        from sweep.report.frames import study_frames
        from sweep.report.images import ImageFormat, page_charts, write_images

        names = [pick_study(store, study) for study in studies or (None,)]
        read = [study_frames(store, name) for name in names]
    charts = page_charts(read)
    kinds = cast(Sequence[ImageFormat], list(dict.fromkeys(formats)))
    note(f"drawing {len(charts)} figures as {' and '.join(kinds)}")
    files = write_images(
        charts, directory, kinds, wrote=lambda path: click.echo(f"wrote {path}", err=as_json)
    )
    if as_json:
        drawn = [
            {"figure": name, "text": charts[name].text, "files": paths}
            for name, paths in files.items()
        ]
        print_json({**_about(names), "figures": drawn})


def _about(names: Sequence[str]) -> dict[str, object]:
    return {"studies": names} if names[1:] else {"study": names[0]}


def _check_distinct(studies: Sequence[str]) -> None:
    twice = [name for name, count in Counter(studies).items() if count > 1]
    if twice:
        raise UsageError("a study cannot be compared with itself", received=", ".join(twice))
