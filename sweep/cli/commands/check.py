"""`sweep check`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweep.cli.command import SweepCommand, json_option, set_option
from sweep.cli.output import print_fields, print_json, print_table, warn
from sweep.cli.text import duration

if TYPE_CHECKING:
    from sweep.space.describe import SpaceRow
    from sweep.spec.model import StudySpec

TITLES = {"searched": "searched", "rule": "set by rules", "fixed": "fixed", "default": "default"}
"""Where a field's value comes from, and how that is titled."""


@click.command(
    cls=SweepCommand,
    examples=(
        "sweep check study.yaml",
        "sweep check study.yaml --set search.learning_rate.high=0.1",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@set_option
@json_option
def command(file: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check FILE: its search space, its size and what looks unwise."""
    from sweep.space import SearchSpace
    from sweep.spec import load_study
    from sweep.spec.advice import warnings

    spec = load_study(file, overrides)
    space = SearchSpace.from_spec(spec)
    rows, combinations, advice = space.describe(), space.combinations(), warnings(spec)
    if as_json:
        print_json(
            {
                "study": spec.study,
                "spec": spec.model_dump(mode="json"),
                "space": rows,
                "combinations": combinations,
                "warnings": advice,
            }
        )
        return
    _print_study(spec, rows, combinations)
    for text in advice:
        warn(text)


def _print_study(spec: "StudySpec", rows: Sequence["SpaceRow"], combinations: int | None) -> None:
    objectives = ", ".join(f"{o.direction} {o.metric}" for o in spec.objectives)
    budget = [f"{spec.budget.trials} trials"]
    if spec.budget.epochs is not None:
        budget.append(f"at most {spec.budget.epochs} epochs each")
    if spec.budget.wall_seconds is not None:
        budget.append(f"at most {duration(spec.budget.wall_seconds)}")
    if spec.budget.gpu_hours is not None:
        budget.append(f"at most {spec.budget.gpu_hours:g} GPU hours")
    if spec.budget.target is not None:
        budget.append(f"until {spec.objectives[0].metric} {spec.budget.target:g}")
    click.secho(spec.study, bold=True)
    print_fields(
        {
            "data": spec.data.name
            + (f", or {spec.data.fallback} data" if spec.data.fallback != "none" else ""),
            "objective": objectives,
            "budget": ", ".join(budget),
            "sampler": spec.sampler.name,
            "pruner": spec.pruner.name,
            "seed": spec.seed,
            "configurations": "infinitely many" if combinations is None else f"{combinations:,}",
        },
        indent="  ",
    )
    for source, title in TITLES.items():
        chosen = [row for row in rows if row["source"] == source]
        if chosen:
            click.echo()
            print_table(
                (title, "values", "when"),
                [(row["name"], row["values"], row["when"] or "always") for row in chosen],
            )
