"""What Optuna's tables hold of trials, each table in one statement, decoded as Optuna does.

Optuna's API loads a trial as an object with each of its values: minutes for 10,000 trials.
"""

import json
import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Final

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import (
    ColumnElement,
    Connection,
    DateTime,
    String,
    Table,
    cast,
    select,
    type_coerce,
)

from sweep.store.optuna_tables import INTERMEDIATES, PARAMS, SYSTEM_ATTRS, USER_ATTRS
from sweep.store.schema import optuna_trials, optuna_values

INFINITE: Final = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}
# PostgreSQL has a type for Optuna's states, which it does not compare with texts.
STATE: Final = cast(optuna_trials.c.state, String(8))

decoded = lru_cache(maxsize=4096)(json_to_distribution)


def frozen_trials(
    connection: Connection, study_id: int, ids: Collection[int] | None = None
) -> list[FrozenTrial]:
    """Trials as Optuna's storage returns them, by number.

    Args:
        connection: One that reads.
        study_id: Optuna's id of the study.
        ids: Those of the trials; None for all of the study.
    """
    wanted = optuna_trials.c.study_id == study_id
    if ids is not None:
        wanted &= optuna_trials.c.trial_id.in_(sorted(ids))
    query = select(
        optuna_trials.c.trial_id,
        optuna_trials.c.number,
        STATE,
        type_coerce(optuna_trials.c.datetime_start, DateTime),
        type_coerce(optuna_trials.c.datetime_complete, DateTime),
    )
    found = connection.execute(query.where(wanted).order_by(optuna_trials.c.number)).all()
    of_values = values(connection, wanted)
    of_params = params(connection, wanted)
    of_user = attributes(connection, USER_ATTRS, wanted)
    of_system = attributes(connection, SYSTEM_ATTRS, wanted)
    of_steps = intermediate_values(connection, wanted)
    return [
        FrozenTrial(
            trial_id=trial_id,
            number=number,
            state=TrialState[state],
            value=None,
            values=of_values.get(trial_id),
            datetime_start=start,
            datetime_complete=complete,
            params={
                name: distribution.to_external_repr(value)
                for name, (value, distribution) in of_params.get(trial_id, {}).items()
            },
            distributions={
                name: distribution
                for name, (_, distribution) in of_params.get(trial_id, {}).items()
            },
            user_attrs=of_user.get(trial_id, {}),
            system_attrs=of_system.get(trial_id, {}),
            intermediate_values=of_steps.get(trial_id, {}),
        )
        for trial_id, number, state, start, complete in found
    ]


def values(connection: Connection, wanted: ColumnElement[bool]) -> Mapping[int, list[float]]:
    """Objective values of trials that are wanted, by id."""
    kind = cast(optuna_values.c.value_type, String(7))
    query = _of_trials(optuna_values, wanted, optuna_values.c.value, kind)
    found: dict[int, list[float]] = defaultdict(list)
    for trial_id, value, name in connection.execute(query.order_by(optuna_values.c.objective)):
        found[trial_id].append(INFINITE.get(name, value))
    return found


def params(
    connection: Connection, wanted: ColumnElement[bool]
) -> Mapping[int, dict[str, tuple[float, BaseDistribution]]]:
    """Parameters of trials that are wanted, by id and name: internal value and distribution."""
    columns = PARAMS.c.param_name, PARAMS.c.param_value, PARAMS.c.distribution_json
    query = _of_trials(PARAMS, wanted, *columns).order_by(PARAMS.c.param_id)
    found: dict[int, dict[str, tuple[float, BaseDistribution]]] = defaultdict(dict)
    for trial_id, name, value, source in connection.execute(query):
        found[trial_id][name] = value, decoded(source)
    return found


def attributes(
    connection: Connection, table: Table, wanted: ColumnElement[bool]
) -> Mapping[int, dict[str, Any]]:
    """Attributes, of users or of the system, of trials that are wanted, by id."""
    query = _of_trials(table, wanted, table.c.key, table.c.value_json)
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial_id, key, value in connection.execute(query):
        found[trial_id][key] = json.loads(value)
    return found


def intermediate_values(
    connection: Connection, wanted: ColumnElement[bool]
) -> Mapping[int, dict[int, float]]:
    """Intermediate values of trials that are wanted, by id and step."""
    table = INTERMEDIATES
    kind = cast(table.c.intermediate_value_type, String(7))
    query = _of_trials(table, wanted, table.c.step, table.c.intermediate_value, kind)
    found: dict[int, dict[int, float]] = defaultdict(dict)
    for trial_id, step, value, name in connection.execute(query.order_by(table.c.step)):
        found[trial_id][step] = INFINITE.get(name, value)
    return found


def _of_trials(table: Table, wanted: ColumnElement[bool], *columns: ColumnElement[Any]) -> Any:
    query = select(table.c.trial_id, *columns)
    return query.join(optuna_trials, optuna_trials.c.trial_id == table.c.trial_id).where(wanted)
