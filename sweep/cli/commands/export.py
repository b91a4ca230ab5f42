"""`sweep export`."""

from pathlib import Path
from typing import cast

import click

from sweep.cli.command import SweepCommand, json_option, storage_option, study_argument
from sweep.cli.output import note, print_json

FORMATS = ("yaml", "json", "python", "keras")


@click.command(
    cls=SweepCommand,
    examples=(
        "sweep export -o best.yaml",
        "sweep export quickstart --trial 12 --format python -o network.py",
        "sweep export --top 3 --format keras -o networks/",
    ),
)
@study_argument
@click.option("--trial", type=click.IntRange(min=0), metavar="N", help="The trial, by number.")
@click.option("--top", type=click.IntRange(min=1), metavar="K", help="The best K trials.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    default="yaml",
    show_default=True,
    help="A config for `sweep train`, Python for Keras alone, or trained weights.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write, a directory with --top; standard output if not given.",
)
@click.option("--force", is_flag=True, help="Replace a file that holds something else.")
@storage_option
@json_option
def command(
    study: str | None,
    trial: int | None,
    top: int | None,
    format_name: str,
    output: Path | None,
    force: bool,
    storage: str,
    as_json: bool,
) -> None:
    """Write the best trial of STUDY in a form that runs by itself.

    STUDY is optional if the database holds just one.
    """
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
