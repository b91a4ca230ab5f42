"""Earlier trials for `overhead.py`: sampled at random in memory, then written in bulk."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import optuna
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sleeping_engine import accuracy_of
from sqlalchemy import insert

from sweep.space import SearchSpace
from sweep.spec.model import StudySpec
from sweep.store import Store
from sweep.store import schema as ours
from sweep.trial import TrialConfig


def suggest_all(space: SearchSpace, trial: optuna.trial.Trial) -> TrialConfig:
    return space.suggest(trial)


def add_history(url: str, name: str, spec: StudySpec, count: int, epochs: int) -> None:
    """Add `count` finished trials, two in three pruned, with all their epochs."""
    space = SearchSpace.from_spec(spec)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    dice = random.Random(0)
    rows: dict[Any, list[dict[str, Any]]] = {}
    when = datetime.now(UTC) - timedelta(days=1)
    with Store.open(url, create=False) as store:
        study_id = store.optuna_storage.get_study_id_from_name(name)
        for number in range(count):
            trial = study.ask()
            config = space.suggest(trial)
            length = dice.choice((epochs, dice.randrange(1, epochs), dice.randrange(1, epochs)))
            _add(rows, study_id, number, trial, config, length, epochs, when)
        with store._database.engine.begin() as connection:
            for table, values in rows.items():
                for first in range(0, len(values), 5000):
                    connection.execute(insert(table), values[first : first + 5000])
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(
                    "SELECT setval('trials_trial_id_seq', (SELECT max(trial_id) FROM trials))"
                )


def _add(
    rows: dict[Any, list[dict[str, Any]]],
    study_id: int,
    number: int,
    trial: optuna.trial.Trial,
    config: TrialConfig,
    length: int,
    epochs: int,
    when: datetime,
) -> None:
    trial_id = number + 1
    is_pruned = length < epochs
    local = when.astimezone().replace(tzinfo=None)

    def add(table: Any, **values: Any) -> None:
        rows.setdefault(table, []).append(values)

    state = TrialState.PRUNED if is_pruned else TrialState.COMPLETE
    add(
        models.TrialModel.__table__,
        trial_id=trial_id,
        study_id=study_id,
        number=number,
        state=state,
        datetime_start=local,
        datetime_complete=local,
    )
    frozen = trial._cached_frozen_trial
    for key, value in frozen.params.items():
        distribution = frozen.distributions[key]
        add(
            models.TrialParamModel.__table__,
            trial_id=trial_id,
            param_name=key,
            param_value=distribution.to_internal_repr(value),
            distribution_json=optuna.distributions.distribution_to_json(distribution),
        )
    reason = '"pruned"' if is_pruned else '"completed"'
    add(
        models.TrialUserAttributeModel.__table__,
        trial_id=trial_id,
        key="stop_reason",
        value_json=reason,
    )
    add(
        ours.trials,
        trial_id=trial_id,
        study_id=study_id,
        number=number,
        config=config.to_dict(),
        epochs=length,
        stop_reason=reason.strip('"'),
        started_at=when,
        ended_at=when,
    )
    text = repr(config)
    for epoch in range(1, length + 1):
        accuracy = accuracy_of(text, epoch)
        add(
            models.TrialIntermediateValueModel.__table__,
            trial_id=trial_id,
            step=epoch,
            intermediate_value=accuracy,
            intermediate_value_type=models.TrialIntermediateValueModel.TrialIntermediateValueType.FINITE,
        )
        add(ours.epochs, trial_id=trial_id, epoch=epoch, val_accuracy=accuracy, reported_at=when)
    if not is_pruned:
        add(
            models.TrialValueModel.__table__,
            trial_id=trial_id,
            objective=0,
            value=accuracy_of(text, length),
            value_type=models.TrialValueModel.TrialValueType.FINITE,
        )
