"""Optuna's own tables, for what its API does one row at a time.

What is written here leaves exactly what the API would have left; the tests compare the two.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, update

TRIALS: Final[Table] = models.TrialModel.__table__
VALUES: Final[Table] = models.TrialValueModel.__table__
PARAMS: Final[Table] = models.TrialParamModel.__table__
INTERMEDIATES: Final[Table] = models.TrialIntermediateValueModel.__table__
USER_ATTRS: Final[Table] = models.TrialUserAttributeModel.__table__
SYSTEM_ATTRS: Final[Table] = models.TrialSystemAttributeModel.__table__
STUDY_ATTRS: Final[Table] = models.StudySystemAttributeModel.__table__
# What, with the trial, a row of each is found by.
KEYS: Final = {
    PARAMS: "param_name",
    INTERMEDIATES: "step",
    USER_ATTRS: "key",
    SYSTEM_ATTRS: "key",
}
_ROWS_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class NewTrial:
    """A trial that was made just now and runs.

    Attributes:
        trial_id: Optuna's id of it.
        number: Its number.
        started_at: When it was made, as Optuna writes it.
    """

    trial_id: int
    number: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class End:
    """How a trial ends.

    Attributes:
        state: A finished one.
        values: Its objective values, if it has any.
        at: When, as Optuna writes it.
    """

    state: TrialState
    values: Sequence[float] | None
    at: datetime


def make_trials(connection: Connection, study_id: int, count: int) -> list[NewTrial]:
    """Make trials that run, in a transaction that holds the study's lock.

    Args:
        connection: That of the transaction.
        study_id: The study.
        count: How many.
    """
    of_study = select(func.count()).where(TRIALS.c.study_id == study_id)
    first = connection.execute(of_study).scalar_one()
    now = datetime.now()
    shared = {"study_id": study_id, "state": TrialState.RUNNING, "datetime_start": now}
    rows = [{"number": number, **shared} for number in range(first, first + count)]
    made = insert(TRIALS).returning(TRIALS.c.trial_id, sort_by_parameter_order=True)
    ids = connection.execute(made, rows).scalars()
    return [NewTrial(trial_id, number, now) for number, trial_id in enumerate(ids, start=first)]


def count_trial(connection: Connection, study_id: int, trial_id: int, counter: str) -> int:
    """Count a trial, in a transaction that holds the study's lock.

    Args:
        connection: That of the transaction.
        study_id: The study.
        trial_id: The trial.
        counter: Name of the user attribute that counts such trials from 0.
    """
    query = (
        select(USER_ATTRS.c.value_json)
        .join(TRIALS, TRIALS.c.trial_id == USER_ATTRS.c.trial_id)
        .where(TRIALS.c.study_id == study_id, USER_ATTRS.c.key == counter)
    )
    values = connection.execute(query).scalars()
    count = max((int(json.loads(value)) for value in values), default=-1) + 1
    row = {"trial_id": trial_id, "key": counter, "value_json": json.dumps(count)}
    connection.execute(insert(USER_ATTRS), row)
    return count


def ids_after(connection: Connection, study_id: int, trial_id: int) -> list[int]:
    """Ids of the trials of a study that are larger than this one, in order."""
    query = select(TRIALS.c.trial_id).where(
        TRIALS.c.study_id == study_id, TRIALS.c.trial_id > trial_id
    )
    return list(connection.execute(query.order_by(TRIALS.c.trial_id)).scalars())


def start_trial(connection: Connection, trial_id: int) -> None:
    """A trial that was enqueued runs."""
    values = {"state": TrialState.RUNNING, "datetime_start": datetime.now()}
    connection.execute(update(TRIALS).where(TRIALS.c.trial_id == trial_id).values(values))


def end_trials(connection: Connection, ends: Mapping[int, End]) -> None:
    """Trials, by id, have ended."""
    connection.execute(delete(VALUES).where(VALUES.c.trial_id.in_(list(ends))))
    rows = [
        _value_row(trial_id, place, value)
        for trial_id, end in ends.items()
        for place, value in enumerate(end.values or ())
    ]
    if rows:
        connection.execute(insert(VALUES), rows)
    ended = update(TRIALS).where(TRIALS.c.trial_id == bindparam("of_trial"))
    states = [
        {"of_trial": trial_id, "state": end.state, "datetime_complete": end.at}
        for trial_id, end in ends.items()
    ]
    connection.execute(ended, states)


def _value_row(trial_id: int, objective: int, value: float) -> dict[str, object]:
    stored, kind = models.TrialValueModel.value_to_stored_repr(value)
    place = {"trial_id": trial_id, "objective": objective}
    return place | {"value": stored, "value_type": kind}


def state_of(connection: Connection, trial_id: int) -> TrialState:
    """A trial's state."""
    query = select(TRIALS.c.state).where(TRIALS.c.trial_id == trial_id)
    state: TrialState = connection.execute(query).scalar_one()
    return state


def ended_at(connection: Connection, trial_ids: Collection[int]) -> dict[int, datetime | None]:
    """When trials ended, by the clocks of who ended them; None of those that did not."""
    query = select(TRIALS.c.trial_id, TRIALS.c.datetime_complete)
    found = connection.execute(query.where(TRIALS.c.trial_id.in_(list(trial_ids))))
    return {trial_id: when for trial_id, when in found}


def set_study_attributes(
    connection: Connection, study_id: int, attributes: Mapping[str, object]
) -> None:
    """Set system attributes of a study, in a transaction that holds the study's lock."""
    rows = [
        {"study_id": study_id, "key": key, "value_json": json.dumps(value)}
        for key, value in attributes.items()
    ]
    for begin in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[begin : begin + _ROWS_AT_ONCE]
        is_old = STUDY_ATTRS.c.key.in_([row["key"] for row in some])
        of_study = STUDY_ATTRS.c.study_id == study_id
        connection.execute(delete(STUDY_ATTRS).where(of_study, is_old))
        connection.execute(insert(STUDY_ATTRS), some)
