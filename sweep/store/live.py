"""What is new of a study, for those who look every second.

A trial that has ended changes no more. Who looks keeps what was read, tells which trials were open
then, and is given those, the ones made since, and their new epochs: a fixed number of statements,
whose cost follows what is open and what has changed, not how large the study is.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, String, Table, cast, func, select

from sweep.store.optuna_rows import INFINITE
from sweep.store.optuna_tables import USER_ATTRS
from sweep.store.records import RETRY_OF, Outlook
from sweep.store.schema import (
    epochs,
    leases,
    logs,
    optuna_trials,
    optuna_values,
    runs,
    studies,
    trials,
    workers,
)
from sweep.store.spending import outlook
from sweep.store.trial_rows import STATE_HERE

Rows = list[dict[str, Any]]

MOST_WORKERS: Final = 100
MOST_RUNS: Final = 50
MOST_MESSAGES: Final = 200
MOST_IDS: Final = 1000
_OF_TRIALS: Final = tuple(
    trials.c[name] for name in ("attempt", "worker", "epochs", "stop_reason", "error", "remark")
)
_OF_EPOCHS: Final = ("epoch", "val_accuracy", "val_loss", "seconds", "reported_at")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read of a study before.

    Attributes:
        study: Optuna's id of it and the time at which it was made; None if nothing was read.
        trial_id: The largest id of a trial.
        open_trials: Id, attempt and last epoch read of each trial that had not ended.
        log_id: The last message.
    """

    study: tuple[int, datetime] | None = None
    trial_id: int = 0
    open_trials: Mapping[int, tuple[int | None, int]] = field(default_factory=dict)
    log_id: int = 0


@dataclass(frozen=True, slots=True)
class News:
    """What a study has that was not seen before, all of it as of one moment.

    Attributes:
        study: Optuna's id of it and the time at which it was made; if that is not what was seen,
            all of this is from the beginning.
        now: The time by the clock of the database.
        record: `spec`, `objectives`, `data_name` and `data_is_fallback`.
        trials: By number, those that were made and those that were open: `trial_id`, `number`,
            `state` (WAITING for one that was asked for and has not started), `values` (a number
            for each objective, none while it has none), `started`, `ended`, `retry_of`, and
            columns of `sweep_trials`.
        lengths: The last epoch of each of them, 0 if there is none, by the trial's id.
        epochs: By trial and epoch, new ones of those that are or were open: `trial_id`, `epoch`,
            `val_accuracy`, `val_loss`, `seconds`, `reported_at`. If another attempt began, all of
            the trial's.
        workers: The processes of workers, the last ones, in order of appearance.
        runs: The runs, the last ones, in order of beginning.
        holders: The run that holds each open trial, by the trial's id.
        messages: New messages, the last ones, oldest first.
        outlook: What is to become of it, and what it has cost.
    """

    study: tuple[int, datetime]
    now: datetime
    record: Mapping[str, Any]
    trials: Rows
    lengths: Mapping[int, int]
    epochs: Rows
    workers: Rows
    runs: Rows
    holders: Mapping[int, int]
    messages: Rows
    outlook: Outlook


def news(connection: Connection, study_id: int, seen: Seen, now: datetime) -> News:
    """Read what is new.

    Args:
        connection: One state of the database.
        study_id: The study.
        seen: What was read before.
        now: The time by the clock of the database.
    """
    columns = ("created_at", "spec", "objectives", "data_name", "data_is_fallback")
    query = select(*(studies.c[name] for name in columns)).where(studies.c.study_id == study_id)
    record = connection.execute(query).one()
    study = (study_id, record.created_at)
    # SQLite may give the id of a study that was deleted to the next one.
    seen = seen if seen.study == study else Seen()
    changed = _trials(connection, study_id, seen, len(record.objectives))
    lengths = _lengths(connection, changed)
    is_new = logs.c.log_id > seen.log_id
    return News(
        study=study,
        now=now,
        record=record._asdict(),
        trials=changed,
        lengths=lengths,
        epochs=_epochs(connection, changed, lengths, seen),
        workers=_last(connection, workers, "worker_id", study_id, MOST_WORKERS),
        runs=_last(connection, runs, "run_id", study_id, MOST_RUNS),
        holders=_holders(connection, study_id),
        messages=_last(connection, logs, "log_id", study_id, MOST_MESSAGES, is_new),
        outlook=outlook(connection, study_id, now),
    )


def _is_wanted(connection: Connection, study_id: int, seen: Seen) -> ColumnElement[bool]:
    """Tells the trials that were made since and those that were open from all others."""
    trial_id = optuna_trials.c.trial_id
    is_new = (optuna_trials.c.study_id == study_id) & (trial_id > seen.trial_id)
    found = connection.execute(select(trial_id).where(is_new).limit(MOST_IDS + 1)).scalars().all()
    if len(found) > MOST_IDS:
        return is_new | trial_id.in_(sorted(seen.open_trials))
    # Ids alone, for which no database looks through all trials of the study.
    return trial_id.in_(sorted({*found, *seen.open_trials}))


def _trials(connection: Connection, study_id: int, seen: Seen, objectives: int) -> Rows:
    trial_id = optuna_trials.c.trial_id
    is_wanted = _is_wanted(connection, study_id, seen)
    query = (
        select(
            trial_id,
            optuna_trials.c.number,
            STATE_HERE,
            func.coalesce(trials.c.started_at, optuna_trials.c.datetime_start).label("started"),
            func.coalesce(trials.c.ended_at, optuna_trials.c.datetime_complete).label("ended"),
            *_OF_TRIALS,
        )
        .join(trials, trials.c.trial_id == trial_id, isouter=True)
        .where(is_wanted)
        .order_by(optuna_trials.c.number)
    )
    rows = [row._asdict() for row in connection.execute(query)]
    values = _values(connection, is_wanted, objectives)
    repeated = _repeated(connection, is_wanted)
    for row in rows:
        row["values"] = values.get(row["trial_id"], [])
        row["retry_of"] = repeated.get(row["trial_id"])
    return rows


def _values(
    connection: Connection, is_wanted: ColumnElement[bool], objectives: int
) -> dict[int, list[float]]:
    """Objective values by the trial's id."""
    kind = cast(optuna_values.c.value_type, String(7))
    query = (
        select(optuna_values.c.trial_id, optuna_values.c.objective, optuna_values.c.value, kind)
        .join(optuna_trials, optuna_trials.c.trial_id == optuna_values.c.trial_id)
        .where(is_wanted)
    )
    values: dict[int, list[float]] = {}
    for trial_id, objective, value, kind_name in connection.execute(query):
        known = values.setdefault(trial_id, [float("nan")] * objectives)
        known[objective] = INFINITE.get(kind_name, value)
    return values


def _repeated(connection: Connection, is_wanted: ColumnElement[bool]) -> dict[int, int]:
    """The number of the failed trial that a trial repeats, by the latter's id."""
    query = (
        select(USER_ATTRS.c.trial_id, USER_ATTRS.c.value_json)
        .join(optuna_trials, optuna_trials.c.trial_id == USER_ATTRS.c.trial_id)
        .where(is_wanted, USER_ATTRS.c.key == RETRY_OF)
    )
    return {trial_id: json.loads(value) for trial_id, value in connection.execute(query)}


def _lengths(connection: Connection, changed: Rows) -> dict[int, int]:
    """The last epoch of each trial whose row does not say it, by the trial's id."""
    wanted = [row["trial_id"] for row in changed if row["epochs"] is None]
    query = select(epochs.c.trial_id, func.max(epochs.c.epoch)).group_by(epochs.c.trial_id)
    found = dict(iter(connection.execute(query.where(epochs.c.trial_id.in_(wanted)))))
    lengths = {row["trial_id"]: row["epochs"] for row in changed if row["epochs"] is not None}
    return lengths | {trial_id: int(found.get(trial_id, 0)) for trial_id in wanted}


def _epochs(connection: Connection, changed: Rows, lengths: Mapping[int, int], seen: Seen) -> Rows:
    """New epochs of trials that are or were open."""
    begins = {}
    for row in changed:
        trial_id = row["trial_id"]
        if trial_id in seen.open_trials or row["state"] == "RUNNING":
            attempt, last = seen.open_trials.get(trial_id, (None, 0))
            begin = last if attempt == row["attempt"] else 0
            if lengths[trial_id] > begin:
                begins[trial_id] = begin
    query = (
        select(epochs.c.trial_id, *(epochs.c[name] for name in _OF_EPOCHS))
        .where(
            epochs.c.trial_id.in_(sorted(begins)),
            # Trials that train together go in step: this leaves little to be read twice.
            epochs.c.epoch > min(begins.values(), default=0),
        )
        .order_by(epochs.c.trial_id, epochs.c.epoch)
    )
    rows = [row._asdict() for row in connection.execute(query)]
    return [row for row in rows if row["epoch"] > begins[row["trial_id"]]]


def _last(
    connection: Connection,
    table: Table,
    key: str,
    study_id: int,
    most: int,
    *only: ColumnElement[bool],
) -> Rows:
    """The last rows of a study in a table of ours, in order."""
    columns = [column for column in table.columns if column.name != "study_id"]
    query = select(*columns).where(table.c.study_id == study_id, *only)
    found = connection.execute(query.order_by(table.c[key].desc()).limit(most))
    return [row._asdict() for row in found][::-1]


def _holders(connection: Connection, study_id: int) -> dict[int, int]:
    query = select(leases.c.trial_id, leases.c.run_id).where(leases.c.study_id == study_id)
    return {trial_id: run_id for trial_id, run_id in connection.execute(query)}


def epochs_since(connection: Connection, study_id: int, since: datetime) -> int:
    """How many epochs of a study were reported after a time."""
    query = (
        select(func.count())
        .select_from(epochs)
        .join(trials, trials.c.trial_id == epochs.c.trial_id)
        .where(
            trials.c.study_id == study_id,
            # So that the curves of those that ended before are not looked through.
            trials.c.ended_at.is_(None) | (trials.c.ended_at > since),
            epochs.c.reported_at > since,
        )
    )
    return int(connection.execute(query).scalar_one())


def portraits(
    connection: Connection, study_id: int, numbers: Collection[int]
) -> dict[int, tuple[dict[str, Any], Rows]]:
    """The configuration of some trials and their epochs, as in `News`, by number.

    A trial that has not started is left out.
    """
    of_wanted = (trials.c.study_id == study_id) & trials.c.number.in_(sorted(numbers))
    query = select(trials.c.number, trials.c.config).where(of_wanted)
    found: dict[int, tuple[dict[str, Any], Rows]] = {
        number: (config or {}, []) for number, config in connection.execute(query)
    }
    query = (
        select(trials.c.number, *(epochs.c[name] for name in _OF_EPOCHS))
        .join(epochs, epochs.c.trial_id == trials.c.trial_id)
        .where(of_wanted)
        .order_by(trials.c.number, epochs.c.epoch)
    )
    for row in connection.execute(query):
        found[row.number][1].append(row._asdict())
    return found
