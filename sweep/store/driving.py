"""Optuna's storage for the process that drives a study: reads from memory, writes in bulk.

Optuna's own storage asks the database for every running trial whenever a sampler or a pruner looks
at the study, and commits each parameter and each value on its own. One driver with hundreds of
slots would do little else. It is the only one to write about trials that run, so that it can
remember what it wrote; others at most enqueue trials.
"""

import copy
import json
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, ParamSpec, TypeVar

from optuna.distributions import (
    BaseDistribution,
    check_distribution_compatibility,
    distribution_to_json,
)
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Table, and_, bindparam, delete, func, insert, select

from sweep.store.database import Database
from sweep.store.schema import optuna_trials
from sweep.store.studies import lock_study

TRIALS: Final[Table] = models.TrialModel.__table__
PARAMS: Final[Table] = models.TrialParamModel.__table__
INTERMEDIATES: Final[Table] = models.TrialIntermediateValueModel.__table__
USER_ATTRS: Final[Table] = models.TrialUserAttributeModel.__table__
SYSTEM_ATTRS: Final[Table] = models.TrialSystemAttributeModel.__table__
# What, with the trial, a row of each is found by.
KEYS: Final = {
    PARAMS: "param_name",
    INTERMEDIATES: "step",
    USER_ATTRS: "key",
    SYSTEM_ATTRS: "key",
}
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
COPIED: Final = ("params", "distributions", "user_attrs", "system_attrs", "intermediate_values")


class DrivingStorage(BaseStorage):
    """One study, held in memory by the process that drives it, and in the database for all others.

    What is written inside `batch` reaches the database in one transaction at its end; what is
    written elsewhere reaches it at once. Reads see it in either case. Used from one thread.

    A call that lost its connection is run again. All may be: reads, and writes over the same rows;
    a new trial and a trial's end are looked for first, since they may have been committed.
    """

    def __init__(self, backend: RDBStorage, database: Database, study_id: int) -> None:
        """Load the study.

        Args:
            backend: Optuna's storage of the same database.
            database: The database.
            study_id: Optuna's id of the study.
        """
        self._backend = backend
        self._database = database
        self._study_id = study_id
        self._directions = self._call(backend.get_study_directions, study_id)
        self._trials: dict[int, FrozenTrial] = {}
        self._distributions: dict[str, BaseDistribution] = {}
        self._pending: dict[Table, dict[tuple[int, Any], dict[str, Any]]] = defaultdict(dict)
        self._in_batch = False
        for trial in self._call(backend.get_all_trials, study_id, deepcopy=False):
            self._remember(trial)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Write what the block writes in one transaction at its end; batches are not nested."""
        self._in_batch = True
        try:
            yield
        finally:
            self._in_batch = False
        self._flush()

    # Studies: written seldom, and by others too.

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """As the database does."""
        return self._backend.create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        """As the database does."""
        self._call(self._backend.delete_study, study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """As the database does."""
        self._call(self._backend.set_study_user_attr, study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """As the database does."""
        self._call(self._backend.set_study_system_attr, study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        """As the database does."""
        return self._call(self._backend.get_study_id_from_name, study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """As the database does."""
        return self._call(self._backend.get_study_name_from_id, study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Of the study held."""
        return self._directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """As the database does."""
        return self._call(self._backend.get_study_user_attrs, study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """As the database does."""
        return self._call(self._backend.get_study_system_attrs, study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        """As the database does."""
        return self._call(self._backend.get_all_studies)

    # Trials

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """In the database at once: it gives the number."""
        if template_trial is None:
            trial_id = self._database.repeat(self._insert_trial)
        else:
            trial_id = self._backend.create_new_trial(study_id, template_trial)
        self._remember(self._call(self._backend.get_trial, trial_id))
        return trial_id

    def _insert_trial(self, again: bool) -> int:
        """As Optuna does, unless an earlier attempt was committed and only its answer was lost.

        Then there is a trial that runs and is not known here, which nobody else makes.
        """
        of_study = TRIALS.c.study_id == self._study_id
        with self._database.engine.begin() as connection:
            lock_study(connection, self._study_id)
            if again:
                new = TRIALS.c.trial_id > max(self._trials, default=-1)
                running = TRIALS.c.state == TrialState.RUNNING
                query = select(TRIALS.c.trial_id).where(of_study, new, running)
                if (made := connection.execute(query).scalar()) is not None:
                    return int(made)
            number = select(func.count()).where(of_study).scalar_subquery()
            values = {"state": TrialState.RUNNING, "datetime_start": datetime.now()}
            row = insert(TRIALS).values(study_id=self._study_id, number=number, **values)
            return int(connection.execute(row.returning(TRIALS.c.trial_id)).scalar_one())

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter; its distribution must fit the one of other trials."""
        trial = self._changed(trial_id)
        known = self._distributions.setdefault(param_name, distribution)
        check_distribution_compatibility(known, distribution)
        trial.params = trial.params | {
            param_name: distribution.to_external_repr(param_value_internal)
        }
        trial.distributions = trial.distributions | {param_name: distribution}
        self._trials[trial_id] = trial
        values = {
            "param_value": param_value_internal,
            "distribution_json": distribution_to_json(distribution),
        }
        self._write(PARAMS, trial_id, param_name, values)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """In the database at once, with all that waits there to be written."""
        self._flush()

        def change(again: bool) -> bool:
            if again and self._backend.get_trial(trial_id).state == state:
                return True
            return self._backend.set_trial_state_values(trial_id, state, values)

        if not self._database.repeat(change):
            return False
        trial = self._changed(trial_id)
        trial.state = state
        if values is not None:
            trial.values = list(values)
        if state == TrialState.RUNNING:
            trial.datetime_start = datetime.now()
        if state.is_finished():
            trial.datetime_complete = datetime.now()
        self._trials[trial_id] = trial
        return True

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Report an epoch."""
        trial = self._changed(trial_id)
        trial.intermediate_values = trial.intermediate_values | {step: intermediate_value}
        self._trials[trial_id] = trial
        stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(
            intermediate_value
        )
        values = {"intermediate_value": stored, "intermediate_value_type": kind}
        self._write(INTERMEDIATES, trial_id, step, values)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Note something on a trial."""
        text = json.dumps(value)
        trial = self._changed(trial_id)
        trial.user_attrs = trial.user_attrs | {key: json.loads(text)}
        self._trials[trial_id] = trial
        self._write(USER_ATTRS, trial_id, key, {"value_json": text})

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Note something of Optuna's own on a trial."""
        text = json.dumps(value)
        trial = self._changed(trial_id)
        trial.system_attrs = trial.system_attrs | {key: json.loads(text)}
        self._trials[trial_id] = trial
        self._write(SYSTEM_ATTRS, trial_id, key, {"value_json": text})

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """From memory, a copy: Optuna's `Trial` writes in what it is given."""
        trial = copy.copy(self._trials[trial_id])
        for name in COPIED:
            setattr(trial, name, dict(getattr(trial, name)))
        return trial

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """As the database does."""
        find = self._backend.get_trial_id_from_study_id_trial_number
        return self._call(find, study_id, trial_number)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """From memory, by number; asked for those that wait, it looks for what others enqueued."""
        if states is not None and TrialState.WAITING in states:
            self._find_enqueued()
        trials = [t for t in self._trials.values() if states is None or t.state in states]
        trials.sort(key=lambda trial: trial.number)
        return copy.deepcopy(trials) if deepcopy else trials

    # Inside

    def _call(
        self,
        method: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Call Optuna's storage, again if it loses its connection."""
        return self._database.repeat(lambda _: method(*args, **kwargs))

    def _find_enqueued(self) -> None:
        last = max(self._trials, default=-1)
        query = select(optuna_trials.c.trial_id).where(
            optuna_trials.c.study_id == self._study_id, optuna_trials.c.trial_id > last
        )
        for trial_id in self._database.read(lambda c: c.execute(query).scalars().all()):
            self._remember(self._call(self._backend.get_trial, trial_id))

    def _remember(self, trial: FrozenTrial) -> None:
        self._trials[trial._trial_id] = trial
        self._distributions = trial.distributions | self._distributions

    def _changed(self, trial_id: int) -> FrozenTrial:
        """A copy to change: lists of trials that were read stay as they are."""
        trial = self._trials[trial_id]
        self.check_trial_is_updatable(trial_id, trial.state)
        return copy.copy(trial)

    def _write(self, table: Table, trial_id: int, key: Any, values: dict[str, Any]) -> None:
        row = {"trial_id": trial_id, KEYS[table]: key, **values}
        self._pending[table][trial_id, key] = row
        if not self._in_batch:
            self._flush()

    def _flush(self) -> None:
        """Write all that waits, over what is there."""
        if self._pending:
            self._database.write(self._write_pending)
            self._pending.clear()

    def _write_pending(self, connection: Connection) -> None:
        lock_study(connection, self._study_id)
        for table, rows in self._pending.items():
            same = and_(
                table.c.trial_id == bindparam("of_trial"),
                table.c[KEYS[table]] == bindparam("of_key"),
            )
            places = [{"of_trial": trial_id, "of_key": key} for trial_id, key in rows]
            connection.execute(delete(table).where(same), places)
            connection.execute(insert(table), list(rows.values()))
