"""`sweep logs`."""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.command import SweepCommand, storage_option, study_option
from sweep.cli.text import STATES, duration, metric, moment

if TYPE_CHECKING:
    from sweep.store import Store

Line = tuple[datetime, str]
POLL_SECONDS = 1.0


@click.command(
    cls=SweepCommand,
    examples=("sweep logs 17", "sweep logs 17 -f", "sweep logs --study quickstart"),
)
@click.argument("trial", type=int, required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the trial, or Ctrl-C, ends it.")
@study_option
@storage_option
def command(trial: int | None, follow: bool, study: str | None, storage: str) -> None:
    """Print what happened to TRIAL, epoch by epoch.

    Without TRIAL, the messages of the study: what went wrong with it, and how it ended.
    """
    from sweep.cli.selection import opened, pick_study, pick_trial

    with opened(storage) as store:
        name = pick_study(store, study)
        if trial is not None:
            pick_trial(store, name, trial)
        printed: set[Line] = set()
        while True:
            lines, is_over = _lines(store, name, trial)
            for line in lines:
                if line not in printed:
                    click.echo(f"{moment(line[0])}  {line[1]}")
            printed.update(lines)
            if not follow or is_over:
                return
            time.sleep(POLL_SECONDS)


def _lines(store: "Store", study: str, trial: int | None) -> tuple[list[Line], bool]:
    """What there is to print, in order of time, and whether nothing more will come."""
    lines = [
        (row["logged_at"], f"{row['level']}: {row['message']}")
        for row in store.log_rows(study, trial, limit=10_000)
    ]
    if trial is None:
        return lines, False
    row = store.trial_row(study, trial)
    lines += _of_trial(row, store.epoch_rows(study, trial))
    return sorted(lines, key=lambda line: line[0]), row["state"] in ("COMPLETE", "PRUNED", "FAIL")


def _of_trial(row: Mapping[str, Any], epochs: list[dict[str, Any]]) -> Iterator[Line]:
    if row["started"] is not None and row["worker"] is not None:
        again = f", attempt {row['attempt']}" if row["attempt"] > 1 else ""
        yield row["started"], f"in training on {row['worker']}{again}"
    for epoch in epochs:
        metrics = ", ".join(
            f"{name} {metric(epoch[name])}"
            for name in ("loss", "accuracy", "val_loss", "val_accuracy")
        )
        seconds = duration(epoch["seconds"])
        yield epoch["reported_at"], f"epoch {epoch['epoch']}: {metrics} in {seconds}"
    if row["ended"] is not None:
        reason = str(row["stop_reason"] or STATES[row["state"]]).replace("_", " ")
        failed = f"failed: {row['error']}"
        yield row["ended"], failed if row["error"] else f"{reason} after epoch {row['epochs']}"
