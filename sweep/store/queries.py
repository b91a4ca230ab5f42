"""Readers: each a fixed number of statements, however many trials there are.

Parameters, states and values of a study's trials come from Optuna's API, which alone knows how
they are encoded. To list all studies that would load every trial of every study, so the counts by
state and the best values are read from Optuna's `trials` and `trial_values` with SQL: columns that
did not change since Optuna 3, in tables whose version is checked when the store is opened.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    String,
    case,
    cast,
    distinct,
    func,
    select,
)

from sweep.store.optuna_tables import TRIALS, USER_ATTRS
from sweep.store.records import RETRY_OF
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
from sweep.trial import StopReason

# PostgreSQL has a type for Optuna's states, which it does not compare with texts.
_STATE = cast(optuna_trials.c.state, String(8))
_LONG = ("traceback", "log")
_BRIEF_COLUMNS = tuple(
    column
    for column in trials.columns
    if column.name not in _LONG and column.name not in ("trial_id", "study_id")
)


def study_rows(connection: Connection) -> list[dict[str, Any]]:
    """One row per study, in order of creation."""
    counts = _counts_by_state(connection)
    best = best_trials(connection)
    retried = _retried(connection)
    latest = _latest_activity(connection)
    rows = []
    for study in connection.execute(select(studies).order_by(studies.c.study_id)):
        number, value = best.get(study.study_id, (None, None))
        rows.append(
            {
                "study_id": study.study_id,
                "name": study.name,
                "spec": study.spec,
                "retried": retried.get(study.study_id, 0),
                "counts": counts.get(study.study_id, {}),
                "objectives": study.objectives,
                "best_number": number,
                "best_value": value,
                "data": study.data_name,
                "data_is_fallback": study.data_is_fallback,
                "created": study.created_at,
                "updated": max([study.updated_at, *latest[study.study_id]]),
            }
        )
    return rows


def _counts_by_state(connection: Connection) -> dict[int, dict[str, int]]:
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    never_started = (_STATE == "RUNNING") & trials.c.trial_id.is_(None)
    state = case((never_started, "WAITING"), else_=_STATE).label("state")
    query = (
        select(optuna_trials.c.study_id, state, func.count())
        .join(trials, trials.c.trial_id == optuna_trials.c.trial_id, isouter=True)
        .group_by(optuna_trials.c.study_id, state)
        .order_by(state)
    )
    for study_id, state, count in connection.execute(query):
        counts[study_id][state] = count
    return counts


def _retried(connection: Connection) -> dict[int, int]:
    """How many failed trials another trial repeats, by study."""
    query = (
        select(TRIALS.c.study_id, func.count(distinct(USER_ATTRS.c.value_json)))
        .join(TRIALS, TRIALS.c.trial_id == USER_ATTRS.c.trial_id)
        .where(USER_ATTRS.c.key == RETRY_OF)
        .group_by(TRIALS.c.study_id)
    )
    return {study_id: count for study_id, count in connection.execute(query)}


def best_trials(connection: Connection) -> dict[int, tuple[int, float]]:
    """Number and first value of each study's best trial; a diverged one never is."""
    maximize = studies.c.objectives[0]["direction"].as_string() == "maximize"
    key = case((maximize, optuna_values.c.value), else_=-optuna_values.c.value)
    place = func.row_number().over(
        partition_by=studies.c.study_id, order_by=(key.desc(), trials.c.number)
    )
    ranked = (
        select(studies.c.study_id, trials.c.number, optuna_values.c.value, place.label("place"))
        .join(trials, trials.c.study_id == studies.c.study_id)
        .join(optuna_trials, optuna_trials.c.trial_id == trials.c.trial_id)
        .join(optuna_values, optuna_values.c.trial_id == trials.c.trial_id)
        .where(
            _STATE == "COMPLETE",
            optuna_values.c.objective == 0,
            optuna_values.c.value.is_not(None),
            trials.c.stop_reason != StopReason.DIVERGED,
        )
        .subquery()
    )
    query = select(ranked).where(ranked.c.place == 1)
    return {row.study_id: (row.number, row.value) for row in connection.execute(query)}


def _latest_activity(connection: Connection) -> dict[int, list[datetime]]:
    """The last times at which anything was written about each study."""
    latest: dict[int, list[datetime]] = defaultdict(list)
    of_trials = select(
        trials.c.study_id, func.max(trials.c.started_at), func.max(trials.c.ended_at)
    ).group_by(trials.c.study_id)
    of_epochs = (
        select(trials.c.study_id, func.max(epochs.c.reported_at))
        .join(epochs, epochs.c.trial_id == trials.c.trial_id)
        .group_by(trials.c.study_id)
    )
    for query in (of_trials, of_epochs):
        for study_id, *times in connection.execute(query):
            latest[study_id].extend(time for time in times if time is not None)
    return latest


def trial_rows(
    connection: Connection, study_id: int, frozen_trials: list[FrozenTrial]
) -> list[dict[str, Any]]:
    """Optuna's trials joined with ours, without traceback and log, in the order given."""
    wanted = trials.c.study_id == study_id
    if len(frozen_trials) == 1:
        wanted &= trials.c.number == frozen_trials[0].number
    query = select(*_BRIEF_COLUMNS).where(wanted)
    ours = {row.number: row for row in connection.execute(query)}
    trained = _epochs_trained(connection, wanted)
    return [_trial_row(frozen, ours.get(frozen.number), trained) for frozen in frozen_trials]


def _epochs_trained(connection: Connection, wanted: ColumnElement[bool]) -> dict[int, int]:
    """Epochs so far, by number, of those of the trials wanted that did not end."""
    query = (
        select(trials.c.number, func.max(epochs.c.epoch))
        .join(epochs, epochs.c.trial_id == trials.c.trial_id)
        .where(wanted, trials.c.epochs.is_(None))
        .group_by(trials.c.number)
    )
    return {number: epoch for number, epoch in connection.execute(query)}


def _trial_row(
    frozen: FrozenTrial, ours: Row[Any] | None, trained: Mapping[int, int]
) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(column.name for column in _BRIEF_COLUMNS)
    row |= {} if ours is None else ours._asdict()
    started, ended = row.pop("started_at"), row.pop("ended_at")
    state, asked = frozen.state, frozen.datetime_start
    if state is TrialState.RUNNING and ours is None:
        # For Optuna a trial runs from the moment it was asked for.
        state, asked = TrialState.WAITING, None
    return row | {
        "number": frozen.number,
        "state": state.name,
        "values": frozen.values,
        "params": dict(frozen.params),
        "user_attrs": dict(frozen.user_attrs),
        "config": row["config"] or {},
        "epochs": row["epochs"] if row["epochs"] is not None else trained.get(frozen.number, 0),
        "started": started or _aware(asked),
        "ended": ended or _aware(frozen.datetime_complete),
    }


def _aware(time: datetime | None) -> datetime | None:
    """One of Optuna's times, which are local and naive once loaded, in UTC."""
    return None if time is None else time.astimezone(UTC)


def trial_texts(connection: Connection, study_id: int, number: int) -> dict[str, str | None]:
    """Traceback and log of a trial."""
    query = select(*(trials.c[name] for name in _LONG)).where(
        trials.c.study_id == study_id, trials.c.number == number
    )
    row = connection.execute(query).one_or_none()
    return dict.fromkeys(_LONG) if row is None else row._asdict()


def epoch_rows(connection: Connection, study_id: int, number: int | None) -> list[dict[str, Any]]:
    """Learning curves, by trial number and epoch."""
    query = (
        select(trials.c.number, *(c for c in epochs.columns if c.name != "trial_id"))
        .join(epochs, epochs.c.trial_id == trials.c.trial_id)
        .where(trials.c.study_id == study_id)
        .order_by(trials.c.number, epochs.c.epoch)
    )
    if number is not None:
        query = query.where(trials.c.number == number)
    return [row._asdict() for row in connection.execute(query)]


def worker_rows(connection: Connection, study_id: int) -> list[dict[str, Any]]:
    """Worker processes, in order of appearance."""
    columns = [c for c in workers.columns if c.name not in ("worker_id", "study_id")]
    query = select(*columns).where(workers.c.study_id == study_id).order_by(workers.c.worker_id)
    return [row._asdict() for row in connection.execute(query)]


def run_rows(connection: Connection, study_id: int) -> list[dict[str, Any]]:
    """Runs, in order of beginning."""
    columns = [c for c in runs.columns if c.name not in ("run_id", "study_id")]
    query = select(*columns).where(runs.c.study_id == study_id).order_by(runs.c.run_id)
    return [row._asdict() for row in connection.execute(query)]


def lease_rows(connection: Connection, study_id: int) -> list[dict[str, Any]]:
    """Open trials that runs hold, by trial number, with the process and the end of the lease."""
    query = (
        select(optuna_trials.c.number, runs.c.run_id, runs.c.host, runs.c.pid, runs.c.expires_at)
        .join(leases, leases.c.trial_id == optuna_trials.c.trial_id)
        .join(runs, runs.c.run_id == leases.c.run_id)
        .where(leases.c.study_id == study_id)
        .order_by(optuna_trials.c.number)
    )
    return [row._asdict() for row in connection.execute(query)]


def log_rows(
    connection: Connection, study_id: int, number: int | None, limit: int
) -> list[dict[str, Any]]:
    """The last messages, oldest first."""
    columns = [c for c in logs.columns if c.name not in ("log_id", "study_id")]
    query = select(*columns).where(logs.c.study_id == study_id).order_by(logs.c.log_id.desc())
    if number is not None:
        query = query.where(logs.c.number == number)
    return [row._asdict() for row in connection.execute(query.limit(limit))][::-1]
