"""Trials as rows, Optuna's columns joined with ours: a fixed number of statements.

What takes Optuna's API minutes for 10,000 trials takes this a second; the tests compare both ways.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, case, func, select

from sweep.store import optuna_rows
from sweep.store.optuna_rows import STATE
from sweep.store.optuna_tables import USER_ATTRS
from sweep.store.schema import epochs, optuna_trials, trials

_NEVER_STARTED: Final = (STATE == "RUNNING") & trials.c.trial_id.is_(None)
# For Optuna a trial runs from the moment it was asked for.
STATE_HERE: Final = case((_NEVER_STARTED, "WAITING"), else_=STATE).label("state")
_LONG: Final = ("traceback", "log")
_IDS: Final = ("trial_id", "study_id", "number")
_BRIEF: Final = tuple(c for c in trials.columns if c.name not in (*_LONG, *_IDS))
_TIMES: Final = ("started_at", "ended_at")


def trial_rows(
    connection: Connection, study_id: int, *, number: int | None = None, failed_only: bool = False
) -> list[dict[str, Any]]:
    """The trials of a study by number, without traceback and log.

    Args:
        connection: One that reads.
        study_id: Optuna's id of the study.
        number: Only the trial of this number.
        failed_only: Only those that failed.
    """
    wanted = optuna_trials.c.study_id == study_id
    if number is not None:
        wanted &= optuna_trials.c.number == number
    if failed_only:
        wanted &= STATE == "FAIL"
    query = (
        select(
            optuna_trials.c.trial_id,
            optuna_trials.c.number,
            STATE_HERE,
            optuna_trials.c.datetime_start.label("asked"),
            optuna_trials.c.datetime_complete.label("told"),
            *_BRIEF,
        )
        .join(trials, trials.c.trial_id == optuna_trials.c.trial_id, isouter=True)
        .where(wanted)
        .order_by(optuna_trials.c.number)
    )
    rows = [row._asdict() for row in connection.execute(query)]
    values = optuna_rows.values(connection, wanted)
    params = optuna_rows.params(connection, wanted)
    attributes = optuna_rows.attributes(connection, USER_ATTRS, wanted)
    trained = _epochs_trained(connection, wanted)
    return [
        _trial_row(
            row,
            values=values.get(row["trial_id"]),
            params={
                name: distribution.to_external_repr(value)
                for name, (value, distribution) in params.get(row["trial_id"], {}).items()
            },
            user_attrs=attributes.get(row["trial_id"], {}),
            trained=trained.get(row["trial_id"], 0),
        )
        for row in rows
    ]


def trial_texts(connection: Connection, study_id: int, number: int) -> dict[str, str | None]:
    """Traceback and log of a trial."""
    query = select(*(trials.c[name] for name in _LONG)).where(
        trials.c.study_id == study_id, trials.c.number == number
    )
    row = connection.execute(query).one_or_none()
    return dict.fromkeys(_LONG) if row is None else row._asdict()


def _trial_row(read: dict[str, Any], *, trained: int, **optuna: Any) -> dict[str, Any]:
    asked: datetime | None = None if read["state"] == "WAITING" else read["asked"]
    names = (column.name for column in _BRIEF if column.name not in _TIMES)
    return {name: read[name] for name in names} | {
        "number": read["number"],
        "state": read["state"],
        **optuna,
        "config": read["config"] or {},
        "epochs": trained if read["epochs"] is None else read["epochs"],
        "started": read["started_at"] or asked,
        "ended": read["ended_at"] or read["told"],
    }


def _epochs_trained(connection: Connection, wanted: ColumnElement[bool]) -> Mapping[int, int]:
    """Epochs so far of those of the trials wanted that did not end."""
    query = (
        select(trials.c.trial_id, func.max(epochs.c.epoch))
        .join(epochs, epochs.c.trial_id == trials.c.trial_id)
        .join(optuna_trials, optuna_trials.c.trial_id == trials.c.trial_id)
        .where(wanted, trials.c.epochs.is_(None))
        .group_by(trials.c.trial_id)
    )
    return {trial_id: epoch for trial_id, epoch in connection.execute(query)}
