"""A whole study column by column, for frames: seven statements, however many trials there are.

Optuna's API loads a trial as an object with each of its intermediate values, which takes minutes
where this takes seconds. States, values and times are read from Optuna's tables with SQL: columns
that did not change since Optuna 3, in tables whose version is checked when the store is opened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Float, String, Table, cast, extract, func, select

from sweep.store import queries
from sweep.store.optuna_rows import INFINITE
from sweep.store.schema import epochs, layers, optuna_trials, optuna_values, studies, trials
from sweep.store.trial_rows import STATE_HERE

Columns = Mapping[str, list[Any]]

# What is read of `sweep_trials`: what a person looks at one by one is left to `Store.trial_row`.
_LEFT_OUT: Final = ("trial_id", "study_id", "number", "config", "epochs", "traceback", "log")
_OF_TRIALS: Final = tuple(c for c in trials.columns if c.name not in _LEFT_OUT)
_OF_EPOCHS: Final = tuple(
    epochs.c[name]
    for name in (
        "epoch",
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "learning_rate",
        "seconds",
    )
)
_OF_LAYERS: Final = tuple(c for c in layers.columns if c.name != "trial_id")
# So many rows are Python objects at a time; the rest are arrays already.
_ROWS_AT_ONCE: Final = 20_000
# Days from the beginning of SQLite's calendar to 1970.
_JULIAN_1970: Final = 2440587.5


@dataclass(frozen=True, slots=True)
class StudyTables:
    """What the database holds of a study, all of it as of one moment.

    Attributes:
        name: Name of the study.
        spec: The resolved study file of its last run, YAML.
        data: Name of the data trained on.
        is_fallback: Whether the data stands in for what was asked.
        metrics: Names of the objectives.
        directions: `maximize` or `minimize`, one for each objective.
        trials: A list for each column, by number: `number`, `state` (WAITING for a trial that was
            asked for and has not started), `values` (None or one number for each objective),
            `config` (a mapping, empty before the start), `epochs` (trained so far), `started`,
            `ended` (aware, UTC), and the other columns of `sweep_trials` but ids and long texts.
        epochs: An array for each column, by number and epoch; `number` and `epoch` are whole
            numbers, `reported` is in seconds since 1970 (UTC, to the millisecond), what was not
            finite is NaN.
        layers: An array for each column, by number and layer; `number` and `layer` are whole
            numbers, what was not finite is NaN.
        workers: A row for each worker process, in order of appearance.
        runs: A row for each run, in order of beginning: see `Store.run_rows`.
        fingerprint: Digest of the data and its splits, or `UNKNOWN_DATA`.
    """

    name: str
    spec: str
    data: str
    is_fallback: bool
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    trials: Columns
    epochs: Mapping[str, NDArray[Any]]
    layers: Mapping[str, NDArray[Any]]
    workers: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    fingerprint: str


def study_tables(connection: Connection, study_id: int) -> StudyTables:
    """Read a study that has a record."""
    record = connection.execute(select(studies).where(studies.c.study_id == study_id)).one()
    metrics = tuple(str(objective["metric"]) for objective in record.objectives)
    epoch_columns = _arrays(connection, study_id, epochs, (*_OF_EPOCHS, _reported(connection)))
    return StudyTables(
        name=record.name,
        spec=record.spec,
        data=record.data_name,
        is_fallback=record.data_is_fallback,
        metrics=metrics,
        directions=tuple(str(objective["direction"]) for objective in record.objectives),
        trials=_trials(connection, study_id, len(metrics), epoch_columns),
        epochs=epoch_columns,
        layers=_arrays(connection, study_id, layers, _OF_LAYERS),
        workers=queries.worker_rows(connection, study_id),
        runs=queries.run_rows(connection, study_id),
        fingerprint=record.data_fingerprint,
    )


def _arrays(
    connection: Connection, study_id: int, table: Table, columns: Sequence[ColumnElement[Any]]
) -> dict[str, NDArray[Any]]:
    """Columns of a table of numbers, of which trials have many rows; the first column sorts."""
    query = (
        select(trials.c.number, *columns)
        .join(table, table.c.trial_id == trials.c.trial_id)
        .where(trials.c.study_id == study_id)
        .order_by(trials.c.number, columns[0])
    )
    found = connection.execute(query)
    names = list(found.keys())
    parts = [np.empty((0, len(names)))]
    # The driver's own rows: SQLAlchemy would make an object of each. NULL becomes NaN.
    while rows := found.cursor.fetchmany(_ROWS_AT_ONCE):
        parts.append(np.array(rows, dtype=float))
    found.close()
    arrays = dict(zip(names, np.concatenate(parts).T, strict=True))
    return arrays | {name: arrays[name].astype(np.int64) for name in names[:2]}


def _reported(connection: Connection) -> ColumnElement[float]:
    """When an epoch was reported, as a number: half a million times would take seconds to read."""
    time = epochs.c.reported_at
    if connection.dialect.name == "sqlite":
        days: ColumnElement[float] = func.julianday(time, type_=Float)
        return ((days - _JULIAN_1970) * 86400.0).label("reported")
    return cast(extract("epoch", time), Float(53)).label("reported")


def _trials(
    connection: Connection, study_id: int, objectives: int, of_epochs: Mapping[str, NDArray[Any]]
) -> Columns:
    # Optuna's trials hold their values even where ours were never started.
    query = (
        select(
            optuna_trials.c.number,
            STATE_HERE,
            optuna_trials.c.datetime_start.label("asked_at"),
            optuna_trials.c.datetime_complete.label("told_at"),
            trials.c.config,
            trials.c.epochs,
            *_OF_TRIALS,
        )
        .join(trials, trials.c.trial_id == optuna_trials.c.trial_id, isouter=True)
        .where(optuna_trials.c.study_id == study_id)
        .order_by(optuna_trials.c.number)
    )
    result = connection.execute(query)
    names = list(result.keys())
    rows = result.all()
    columns: dict[str, list[Any]] = {
        name: [row[place] for row in rows] for place, name in enumerate(names)
    }
    values = _values(connection, study_id, objectives)
    started, asked = columns.pop("started_at"), columns.pop("asked_at")
    ended, told = columns.pop("ended_at"), columns.pop("told_at")
    # The numbers of the epochs are sorted: where a trial's end, its last epoch is.
    last = dict(zip(of_epochs["number"].tolist(), of_epochs["epoch"].tolist(), strict=True))
    numbers = columns["number"]
    return columns | {
        "values": [values.get(number) for number in numbers],
        "config": [config or {} for config in columns["config"]],
        "epochs": [
            last.get(number, 0) if kept is None else kept
            for number, kept in zip(numbers, columns["epochs"], strict=True)
        ],
        "started": [ours or theirs for ours, theirs in zip(started, asked, strict=True)],
        "ended": [ours or theirs for ours, theirs in zip(ended, told, strict=True)],
    }


def _values(connection: Connection, study_id: int, objectives: int) -> dict[int, list[float]]:
    """Objective values by number."""
    kind = cast(optuna_values.c.value_type, String(7))
    query = (
        select(optuna_trials.c.number, optuna_values.c.objective, optuna_values.c.value, kind)
        .join(optuna_values, optuna_values.c.trial_id == optuna_trials.c.trial_id)
        .where(optuna_trials.c.study_id == study_id)
    )
    values: dict[int, list[float]] = {}
    for number, objective, value, kind_name in connection.execute(query):
        known = values.setdefault(number, [float("nan")] * objectives)
        known[objective] = INFINITE.get(kind_name, value)
    return values
