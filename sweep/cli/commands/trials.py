"""`sweep trials`."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from sweep.cli.command import SweepCommand, json_option, storage_option, study_argument
from sweep.cli.output import note, print_json, print_table
from sweep.cli.text import STATES, compact, duration, metric


@click.command(
    cls=SweepCommand,
    examples=(
        "sweep trials",
        "sweep trials quickstart --failed",
        "sweep trials --sort value --limit 10",
    ),
)
@study_argument
@click.option("--failed", is_flag=True, help="Only failed trials, with their errors.")
@click.option(
    "--sort",
    type=click.Choice(["number", "value"]),
    default="number",
    show_default=True,
    help="By trial number, or the best value first.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N.")
@storage_option
@json_option
def command(
    study: str | None, failed: bool, sort: str, limit: int | None, storage: str, as_json: bool
) -> None:
    """List the trials of STUDY.

    STUDY is optional if the database holds just one.
    """
    from sweep.cli.selection import opened, pick_study
    from sweep.cli.terms import StudyTerms

    with opened(storage) as store:
        name = pick_study(store, study)
        terms = StudyTerms.of(store, name)
        rows = store.trial_rows(name, failed_only=failed)
    if sort == "value":
        rows = sorted(rows, key=terms.rank)
    rows = rows[:limit]
    if as_json:
        print_json([terms.trial_document(row) for row in rows])
    elif not rows:
        note("no failed trials" if failed else "no trials yet")
    elif failed:
        _print_failed(rows)
        note(f"traceback and log: sweep show TRIAL --study {name}    again: sweep retry")
    else:
        _print_trials(rows, terms.metrics, [terms.changes(row["config"]) for row in rows])


def _print_trials(
    rows: Sequence[Mapping[str, Any]],
    metrics: Sequence[str],
    changes: Sequence[Mapping[str, Any]],
) -> None:
    cells = []
    for row, change in zip(rows, changes, strict=True):
        values = [*(row["values"] or ()), *[None] * len(metrics)][: len(metrics)]
        reason = row["stop_reason"] if row["stop_reason"] in ("diverged", "early_stopping") else ""
        cells.append(
            (
                str(row["number"]),
                STATES[row["state"]],
                *(metric(value) for value in values),
                str(row["epochs"] or "-"),
                duration(row["seconds"]),
                str(reason).replace("_", " ") or "-",
                compact(change) if row["config"] else "-",
            )
        )
    print_table(
        ("trial", "state", *metrics, "epochs", "time", "note", "config"),
        cells,
        right="r-" + "r" * len(metrics) + "rr",
    )


def _print_failed(rows: Sequence[Mapping[str, Any]]) -> None:
    print_table(
        ("trial", "attempt", "worker", "error"),
        [
            (
                str(row["number"]),
                str(row["attempt"] or "-"),
                str(row["worker"] or "-"),
                str(row["error"] or "-"),
            )
            for row in rows
        ],
        right="rr",
    )
