"""Earlier trials for `overhead.py`: sampled at random in memory, then written in bulk."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import optuna
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sleeping_engine import accuracy_of
from sqlalchemy import insert

from sweep.driver.sampling import make_pruner
from sweep.space import SearchSpace
from sweep.spec.model import StudySpec
from sweep.spec.tree import most_epochs
from sweep.store import Store
from sweep.store import schema as ours
from sweep.trial import TrialConfig


def suggest_all(space: SearchSpace, trial: optuna.trial.Trial) -> TrialConfig:
    return space.suggest(trial)


def add_history(url: str, name: str, spec: StudySpec, count: int) -> None:
    """Add `count` finished trials, pruned by the study's pruner, with all their epochs."""
    space = SearchSpace.from_spec(spec)
    finished: list[optuna.trial.FrozenTrial] = []
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=make_pruner(spec, finished),
    )
    rows: dict[Any, list[dict[str, Any]]] = {}
    when = datetime.now(UTC) - timedelta(days=1)
    with Store.open(url, create=False) as store:
        study_id = store.optuna_storage.get_study_id_from_name(name)
        for _ in range(count):
            trial = study.ask()
            config = space.suggest(trial)
            state = _train(trial, config, most_epochs(spec))
            value = None if state is TrialState.PRUNED else 0.0
            finished.append(study.tell(trial, value, state=state))
            _add(rows, study_id, finished[-1], config, when)
        with store._database.engine.begin() as connection:
            for table, values in rows.items():
                for first in range(0, len(values), 5000):
                    connection.execute(insert(table), values[first : first + 5000])
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(
                    "SELECT setval('trials_trial_id_seq', (SELECT max(trial_id) FROM trials))"
                )


def _train(trial: optuna.trial.Trial, config: TrialConfig, epochs: int) -> TrialState:
    text = repr(config)
    for epoch in range(1, epochs + 1):
        trial.report(accuracy_of(text, epoch), epoch)
        if trial.should_prune():
            return TrialState.PRUNED
    return TrialState.COMPLETE


def _add(
    rows: dict[Any, list[dict[str, Any]]],
    study_id: int,
    frozen: optuna.trial.FrozenTrial,
    config: TrialConfig,
    when: datetime,
) -> None:
    number, state = frozen.number, frozen.state
    trial_id = number + 1
    is_pruned = state is TrialState.PRUNED
    length = len(frozen.intermediate_values)
    local = when.astimezone().replace(tzinfo=None)

    def add(table: Any, **values: Any) -> None:
        rows.setdefault(table, []).append(values)

    add(
        models.TrialModel.__table__,
        trial_id=trial_id,
        study_id=study_id,
        number=number,
        state=state,
        datetime_start=local,
        datetime_complete=local,
    )
    for key, value in frozen.system_attrs.items():
        row = {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        add(models.TrialSystemAttributeModel.__table__, **row)
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
