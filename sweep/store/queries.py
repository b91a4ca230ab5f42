"""Readers: each a fixed number of statements, however many trials there are.

Optuna's API would load every trial of every study, so the counts by state and the best values
are read from Optuna's `trials` and `trial_values` with SQL: columns that did not change since
Optuna 3, in tables whose version is checked when the store is opened.
"""

from collections import defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, distinct, func, select

from sweep.store.optuna_rows import STATE
from sweep.store.optuna_tables import TRIALS, USER_ATTRS
from sweep.store.records import RETRY_OF
from sweep.store.schema import (
    epochs,
    layers,
    leases,
    logs,
    optuna_trials,
    optuna_values,
    runs,
    studies,
    trials,
    workers,
)
from sweep.store.trial_rows import STATE_HERE
from sweep.trial import StopReason


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
    query = (
        select(optuna_trials.c.study_id, STATE_HERE, func.count())
        .join(trials, trials.c.trial_id == optuna_trials.c.trial_id, isouter=True)
        .group_by(optuna_trials.c.study_id, STATE_HERE)
        .order_by(STATE_HERE)
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
            STATE == "COMPLETE",
            optuna_values.c.objective == 0,
            optuna_values.c.value.is_not(None),
            trials.c.stop_reason != StopReason.DIVERGED,
        )
        .subquery()
    )
    query = select(ranked).where(ranked.c.place == 1)
    return {row.study_id: (row.number, row.value) for row in connection.execute(query)}


def _latest_activity(connection: Connection) -> dict[int, list[datetime]]:
    """The last times at which anything was written about each study.

    A trial that has ended says when; only of those that are open the epochs are looked through.
    """
    latest: dict[int, list[datetime]] = defaultdict(list)
    of_trials = select(
        trials.c.study_id, func.max(trials.c.started_at), func.max(trials.c.ended_at)
    ).group_by(trials.c.study_id)
    of_epochs = (
        select(trials.c.study_id, func.max(epochs.c.reported_at))
        .join(epochs, epochs.c.trial_id == trials.c.trial_id)
        .where(trials.c.ended_at.is_(None))
        .group_by(trials.c.study_id)
    )
    for query in (of_trials, of_epochs):
        for study_id, *times in connection.execute(query):
            latest[study_id].extend(time for time in times if time is not None)
    return latest


def trial_ids(connection: Connection, study_id: int) -> dict[int, int]:
    """Optuna's ids of the trials of a study, by number."""
    query = select(optuna_trials.c.number, optuna_trials.c.trial_id).where(
        optuna_trials.c.study_id == study_id
    )
    return {number: trial_id for number, trial_id in connection.execute(query)}


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


def layer_rows(connection: Connection, study_id: int, number: int) -> list[dict[str, Any]]:
    """The layers of a trained network, in order."""
    query = (
        select(*(c for c in layers.columns if c.name != "trial_id"))
        .join(trials, trials.c.trial_id == layers.c.trial_id)
        .where(trials.c.study_id == study_id, trials.c.number == number)
        .order_by(layers.c.layer)
    )
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
