"""`sweep export`."""

from pathlib import Path
from typing import cast

import click

from sweep.cli.command import SweepCommand, json_option, storage_option, study_argument
from sweep.cli.output import note, print_json

TRIAL_FORMATS = ("yaml", "json", "python", "keras")
FRAME_FORMATS = ("parquet", "csv")


@click.command(
    cls=SweepCommand,
    examples=(
        "sweep export -o best.yaml",
        "sweep export quickstart --trial 12 --format python -o network.py",
        "sweep export --top 3 --format keras -o networks/",
        "sweep export quickstart --frames tables/ --format csv",
    ),
)
@study_argument
@click.option("--trial", type=click.IntRange(min=0), metavar="N", help="The trial, by number.")
@click.option("--top", type=click.IntRange(min=1), metavar="K", help="The best K trials.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice((*TRIAL_FORMATS, *FRAME_FORMATS)),
    help="A config for `sweep train` (yaml, the default, or json), Python for Keras alone, or "
    "trained weights; of frames: parquet (the default) or csv.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write, a directory with --top; standard output if not given.",
)
@click.option(
    "--frames",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Instead of a trial, write study, trials, epochs, layers, workers and effects as tables "
    "to DIR.",
)
@click.option("--force", is_flag=True, help="Replace a file that holds something else.")
@storage_option
@json_option
def command(
    study: str | None,
    trial: int | None,
    top: int | None,
    format_name: str | None,
    output: Path | None,
    frames: Path | None,
    force: bool,
    storage: str,
    as_json: bool,
) -> None:
    """Write the best trial of STUDY in a form that runs by itself.

    STUDY is optional if the database holds just one. With --frames its tables are written instead,
    for a notebook or a spreadsheet.
    """
    if frames is not None:
        if trial is not None or top is not None or output is not None:
            raise click.UsageError("--frames excludes --trial, --top and --output.")
        if format_name in TRIAL_FORMATS:
            raise click.UsageError(f"--frames are written as {' or '.join(FRAME_FORMATS)}.")
        _export_frames(study, frames, format_name or "parquet", force, storage, as_json)
        return
    if format_name in FRAME_FORMATS:
        raise click.UsageError(f"--format {format_name} is for --frames DIR.")
    _export_trials(study, trial, top, format_name or "yaml", output, force, storage, as_json)


def _export_frames(
    study: str | None, directory: Path, format_name: str, force: bool, storage: str, as_json: bool
) -> None:
    from sweep.cli.selection import opened, pick_study

    with opened(storage) as store:
        from sweep.report.load import FrameFormat, loaded

        name = pick_study(store, study)
        tables = loaded(store, name)
    files = tables.export(directory, cast(FrameFormat, format_name), force=force)
    if as_json:
        print_json({"study": name, "files": files})
        return
    for file in files:
        click.echo(f"wrote {file}")


def _export_trials(
    study: str | None,
    trial: int | None,
    top: int | None,
    format_name: str,
    output: Path | None,
    force: bool,
    storage: str,
    as_json: bool,
) -> None:
    if trial is not None and top is not None:
        raise click.UsageError("--trial and --top exclude each other.")
    if top is not None and output is None and not as_json:
        raise click.UsageError("--top writes several files: name their directory with -o.")
    from sweep.cli.selection import opened, pick_study, pick_trial

    with opened(storage) as store:
        from sweep.export.export import Format, export_trials

        name = pick_study(store, study)
        if trial is not None:
            pick_trial(store, name, trial)
        exported = export_trials(
            store,
            name,
            trial=trial,
            top=top,
            format=cast(Format, format_name),
            output=output,
            force=force,
        )
    if as_json:
        print_json(
            [
                {"trial": number, **({"file": item} if isinstance(item, Path) else {"text": item})}
                for number, item in exported
            ]
        )
        return
    for number, item in exported:
        if isinstance(item, Path):
            click.echo(f"wrote {item} (trial {number} of {name})")
        else:
            click.echo(item, nl=not item.endswith("\n"))
    if format_name == "yaml" and exported and isinstance(exported[0][1], Path):
        note(f"next: sweep train {exported[0][1]}")
