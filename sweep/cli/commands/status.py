"""`sweep status`."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import click

from sweep.cli.command import SweepCommand, json_option, storage_option, study_argument
from sweep.cli.output import print_fields, print_json, print_table
from sweep.cli.text import compact, duration, metric, moment, time_split


@click.command(cls=SweepCommand, examples=("sweep status", "sweep status quickstart --json"))
@study_argument
@storage_option
@json_option
def command(study: str | None, storage: str, as_json: bool) -> None:
    """Show how far STUDY is: counts, best trial, workers.

    STUDY is optional if the database holds just one.
    """
    from sweep.cli.selection import opened, pick_study
    from sweep.cli.terms import StudyTerms

    with opened(storage) as store:
        name = pick_study(store, study)
        terms = StudyTerms.of(store, name)
        document = terms.status_document(
            store.trial_rows(name),
            store.worker_rows(name),
            store.run_rows(name),
            store.driver(name),
        )
    if as_json:
        print_json(document)
        return
    _print(document)


def _print(document: Mapping[str, Any]) -> None:
    trials, best = document["trials"], document["best"]
    running = document["driver_pid"]
    # Without a driver nothing trains: what Optuna calls running waits for the next run.
    words = {} if running else {"running": "interrupted"}
    counts = ", ".join(
        f"{trials[name]} {words.get(name, name)}"
        for name in ("complete", "diverged", "pruned", "failed", "running", "waiting", "retried")
        if trials[name]
    )
    click.secho(document["study"], bold=True)
    print_fields(
        {
            "now": _now(document),
            "data": document["data"],
            "trials": f"{trials['finished']} of {trials['asked']} finished"
            + (f": {counts}" if counts else ""),
            "trained": f"{document['trial_epochs']} epochs in "
            f"{duration(document['trial_seconds'])} of workers' time",
            "time": _time(document["runs"]),
            "best": best and f"trial {best['trial']} with {_values(best['values'])}",
            "config": best and compact(best["changes"]),
        },
        indent="  ",
    )
    if document["workers"]:
        click.echo()
        _print_workers(document["workers"])


def _now(document: Mapping[str, Any]) -> str:
    if not document["driver_pid"]:
        return "not running"
    host = document["driver_host"]
    elsewhere = f" on {host}" if host != socket.gethostname() else ""
    return f"running, process {document['driver_pid']}{elsewhere}"


def _time(runs: Sequence[Mapping[str, Any]]) -> str | None:
    """How the time of all runs was spent."""
    from sweep.store.records import TimeSplit

    names = [field.name for field in fields(TimeSplit)]
    return time_split(TimeSplit(**{name: sum(run[name] for run in runs) for name in names}))


def _values(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {metric(value)}" for name, value in values.items())


def _print_workers(workers: Sequence[Mapping[str, Any]]) -> None:
    print_table(
        ("worker", "device", "host", "pid", "ready since", "trials"),
        [
            (
                str(worker["worker"]),
                str(worker["device"]),
                str(worker["host"]),
                str(worker["pid"]),
                moment(worker["ready_at"]),
                " ".join(map(str, worker["trials"])) or "-",
            )
            for worker in workers
        ],
        right="---r",
    )
