"""Optuna's storage for a process that drives a study: reads from memory, writes in bulk.

Optuna's own storage asks the database for every running trial whenever a sampler or a pruner looks
at the study, and commits each parameter and each value on its own. A driver with hundreds of slots
would do little else. What a run holds, it alone writes about, so it can remember what it wrote;
what others did is pulled in, a trial at a time, when their leases say that something changed.
"""

import copy
import json
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
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
from sqlalchemy import Table

from sweep.store.database import Database
from sweep.store.leases import Hold
from sweep.store.optuna_tables import (
    INTERMEDIATES,
    KEYS,
    PARAMS,
    SYSTEM_ATTRS,
    USER_ATTRS,
    End,
    NewTrial,
)
from sweep.store.pending import Note, Pending
from sweep.store.share import StudyShare

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
_FINISHED: Final = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
COPIED: Final = ("params", "distributions", "user_attrs", "system_attrs", "intermediate_values")


class DrivingStorage(BaseStorage):
    """One study, held in memory by a process that drives it, and in the database for all others.

    What is written inside `batch`, notes of ours included, reaches the database in one transaction
    at its end; what is written elsewhere reaches it at once. Reads see it in either case. What
    concerns a trial that another run has taken over meanwhile is not written: see
    `StudyShare.lost`. Used from one thread.

    A call that lost its connection is run again. All may be: reads, and writes over the same rows;
    a new trial and a trial's end are looked for first, since they may have been committed.

    Attributes:
        finished: Finished trials in the order in which they became known; it only grows.
    """

    def __init__(self, backend: RDBStorage, database: Database, share: StudyShare) -> None:
        """Load the study.

        Args:
            backend: Optuna's storage of the same database.
            database: The database.
            share: This process's part in the study.
        """
        self._backend = backend
        self._database = database
        self._share = share
        self._directions = self._call(backend.get_study_directions, share.study_id)
        self._trials: dict[int, FrozenTrial] = {}
        self._open: set[int] = set()
        self.finished: list[FrozenTrial] = []
        self._distributions: dict[str, BaseDistribution] = {}
        self._seen: dict[int, Hold] = {}
        self._pending = Pending()
        self._in_batch = False
        self._ended: list[FrozenTrial] = []
        self._pulled_to = -1
        self._reserved: deque[int] = deque()
        self.pull()
        self._ended.clear()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Write what the block writes in one transaction at its end; batches are not nested."""
        self._in_batch = True
        try:
            yield
        except BaseException:
            self._take_pending()
            raise
        finally:
            self._in_batch = False
        self.flush()

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Keep what the block writes until `flush`, or until something else is written."""
        self._in_batch = True
        try:
            yield
        finally:
            self._in_batch = False

    def note(self, note: Note) -> None:
        """Write something of ours about an open trial, together with what Optuna writes."""
        self._pending.notes.append(note)
        if not self._in_batch:
            self.flush()

    def take_ended(self) -> list[FrozenTrial]:
        """Trials that other runs have ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def pull(self) -> None:
        """Take in what others did: trials made, begun, reported on or ended."""
        # Ids grow in the order in which trials of a study are made: its lock sees to that.
        holds, newer = self._share.look(self._pulled_to)
        changed = {
            trial_id
            for trial_id in self._open
            if self._may_have_changed(self._trials[trial_id], holds)
        }
        changed.update(trial_id for trial_id in newer if trial_id not in self._trials)
        self._pulled_to = max([self._pulled_to, *newer])
        self._seen = holds
        if not changed:
            return
        # All of them, to begin with: not by name, which would be as many parameters of a query.
        for trial in self._share.read(changed if self._trials else None):
            before = self._trials.get(trial._trial_id)
            self._remember(trial)
            if trial.state.is_finished() and (before is None or not before.state.is_finished()):
                self._ended.append(trial)

    @property
    def others_open(self) -> int:
        """Open trials that other runs held at the last `pull`."""
        return sum(hold.run_id != self._share.run_id for hold in self._seen.values())

    def _may_have_changed(self, trial: FrozenTrial, holds: Mapping[int, Hold]) -> bool:
        """Whether others may have written about an open trial since it was last seen."""
        hold = holds.get(trial._trial_id)
        if hold is not None and hold.run_id == self._share.run_id:
            return False
        return hold is None or hold != self._seen.get(trial._trial_id)

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
        """One that is reserved, or in the database at once: it gives the number."""
        if template_trial is None:
            if not self._reserved:
                self.reserve(1)
            return self._reserved.popleft()
        trial_id = self._backend.create_new_trial(study_id, template_trial)
        self._remember(self._call(self._backend.get_trial, trial_id))
        return trial_id

    def reserve(self, most: int) -> None:
        """Make the trials that will be asked for next, so many or what the budget leaves.

        Raises:
            BudgetSpentError: It leaves none.
        """
        for made in self._share.reserve(most):
            if isinstance(made, int):
                self._remember(self._call(self._backend.get_trial, made))
                self._reserved.append(made)
            else:
                self._remember(_new_trial(made))
                self._reserved.append(made.trial_id)

    @property
    def reserved(self) -> int:
        """Trials that were made and have not been asked for."""
        return len(self._reserved)

    def create_counted_trial(self, counter: str) -> tuple[int, int]:
        """A new trial, and its number among those with this user attribute, from 0."""
        trial_id = self._share.reserve_counted(counter)
        self._remember(self._call(self._backend.get_trial, trial_id))
        return trial_id, int(self._trials[trial_id].user_attrs[counter])

    def adopt(self, trial_id: int) -> FrozenTrial:
        """A trial taken over, as the run before left it."""
        trial = self._call(self._backend.get_trial, trial_id)
        self._remember(trial)
        self._seen[trial_id] = Hold(self._share.run_id, revision=0)
        return trial

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
        """A start at once; an end, which is its last word, with all that waits to be written.

        Until that is written the trial is read as running.

        Returns:
            False if it turned out that another run holds the trial.
        """
        trial = self._changed(trial_id)
        if state.is_finished():
            self._pending.ends[trial_id] = End(state, values, datetime.now())
            if self._in_batch:
                return True
            self.flush()
            return self._trials[trial_id].state.is_finished()
        if state is not TrialState.RUNNING:
            raise ValueError(f"a trial is never set to {state.name}")
        if not self._share.start(trial_id):
            return False
        trial.state = state
        trial.datetime_start = datetime.now()
        self._keep(trial)
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

    def seen(self, trial_id: int) -> FrozenTrial:
        """A trial as it is now, not to be changed."""
        return self._trials[trial_id]

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
        """From memory, by number; `pull` takes in what others enqueued."""
        only_open = states is not None and not any(state in states for state in _FINISHED)
        # By id they are in the order of their numbers too.
        ids = sorted(self._open if only_open else self._trials)
        known = (self._trials[trial_id] for trial_id in ids)
        trials = [trial for trial in known if states is None or trial.state in states]
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

    def _remember(self, trial: FrozenTrial) -> None:
        self._keep(trial)
        for name, distribution in trial.distributions.items():
            self._distributions.setdefault(name, distribution)

    def _keep(self, trial: FrozenTrial) -> None:
        """A trial as it is now."""
        trial_id = trial._trial_id
        before = self._trials.get(trial_id)
        self._trials[trial_id] = trial
        if not trial.state.is_finished():
            self._open.add(trial_id)
        elif before is None or not before.state.is_finished():
            self._open.discard(trial_id)
            self.finished.append(trial)

    def _changed(self, trial_id: int) -> FrozenTrial:
        """A copy to change: lists of trials that were read stay as they are."""
        trial = self._trials[trial_id]
        self.check_trial_is_updatable(trial_id, trial.state)
        return copy.copy(trial)

    def _write(self, table: Table, trial_id: int, key: Any, values: dict[str, Any]) -> None:
        row = {"trial_id": trial_id, KEYS[table]: key, **values}
        self._pending.rows[table][trial_id, key] = row
        if not self._in_batch:
            self.flush()

    def flush(self) -> None:
        """Write all that waits, in one transaction."""
        if pending := self._take_pending():
            lost = self._share.write(pending)
            for trial_id, end in pending.ends.items():
                if trial_id not in lost:
                    self._end(trial_id, end)

    def _end(self, trial_id: int, end: End) -> None:
        trial = copy.copy(self._trials[trial_id])
        trial.state = end.state
        if end.values is not None:
            trial.values = list(end.values)
        trial.datetime_complete = end.at
        self._keep(trial)

    def _take_pending(self) -> Pending:
        """What waits; it waits no longer, so that what cannot be written is not tried again."""
        pending, self._pending = self._pending, Pending()
        return pending


def _new_trial(made: NewTrial) -> FrozenTrial:
    """A trial that was made just now, as Optuna's storage would read it."""
    return FrozenTrial(
        number=made.number,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=made.started_at,
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=made.trial_id,
    )
