"""`sweep status`."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.command import SweepCommand, json_option, storage_option, study_argument
from sweep.cli.output import print_fields, print_json, print_table
from sweep.cli.text import compact, duration, metric, moment, short, time_split

if TYPE_CHECKING:
    from sweep.store import Store


@click.command(cls=SweepCommand, examples=("sweep status", "sweep status quickstart --json"))
@study_argument
@storage_option
@json_option
def command(study: str | None, storage: str, as_json: bool) -> None:
    """Show how far STUDY is: counts, best trial, workers.

    Without STUDY, and several in the database: all studies, and the agents that serve them.
    """
    from sweep.cli.selection import opened, pick_study

    with opened(storage) as store:
        names = [str(row["name"]) for row in store.study_rows()]
        if study is None and len(names) > 1:
            documents = [_document(store, name) for name in names]
            overview = {"studies": documents, "agents": store.queue.agents()}
            print_json(overview) if as_json else _print_overview(overview)
            return
        document = _document(store, pick_study(store, study))
    if as_json:
        print_json(document)
        return
    _print(document)


def _document(store: "Store", name: str) -> dict[str, Any]:
    from sweep.cli.terms import StudyTerms

    return StudyTerms.of(store, name).status_document(
        store.trial_rows(name),
        store.worker_rows(name),
        store.run_rows(name),
        store.drivers(name),
        store.lease_rows(name),
        store.outlook(name),
    )


def _print_overview(overview: Mapping[str, Any]) -> None:
    """All studies in a table, and the agents in another."""
    print_table(
        ("study", "state", "finished", "asked", "running", "an hour", "left", "best"),
        [
            (
                str(document["study"]),
                str(document["state"]),
                str(document["trials"]["finished"]),
                str(document["trials"]["asked"]),
                str(len(document["leases"])),
                short(document["trials_per_hour"] and round(document["trials_per_hour"], 1)),
                duration(document["eta_seconds"]),
                _values(document["best"]["values"]) if document["best"] else "-",
            )
            for document in overview["studies"]
        ],
        right="--rrrrr",
    )
    click.echo()
    if not overview["agents"]:
        click.echo("no agent serves this database; sweep worker starts one")
        return
    print_table(
        ("agent", "device", "host", "pid", "since", "serves"),
        [
            (
                str(agent["agent_id"]),
                str(agent["device"]),
                str(agent["host"]),
                str(agent["pid"]),
                moment(agent["started_at"]),
                str(agent["study"] or "-"),
            )
            for agent in overview["agents"]
        ],
        right="r--r",
    )


def _print(document: Mapping[str, Any]) -> None:
    trials, best = document["trials"], document["best"]
    running = bool(document["drivers"])
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
            "speed": _speed(document),
            "time": _time(document["runs"]),
            "best": best and f"trial {best['trial']} with {_values(best['values'])}",
            "config": best and compact(best["changes"]),
        },
        indent="  ",
    )
    if document["workers"]:
        click.echo()
        _print_workers(document["workers"])


def _speed(document: Mapping[str, Any]) -> str | None:
    """Trials in an hour, and how long the rest takes at that rate."""
    rate, eta = document["trials_per_hour"], document["eta_seconds"]
    if rate is None:
        return None
    return f"{short(round(rate, 1))} trials an hour" + (f", {duration(eta)} left" if eta else "")


def _now(document: Mapping[str, Any]) -> str:
    here = socket.gethostname()
    who = [
        f"process {driver['pid']}" + ("" if driver["host"] == here else f" on {driver['host']}")
        for driver in document["drivers"]
    ]
    return ", ".join([document["state"], " and ".join(who)] if who else [document["state"]])


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
