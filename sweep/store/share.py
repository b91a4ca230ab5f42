"""One run's share in a study: the trials that it holds, and how it writes about them."""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, delete

from sweep.errors import StoreError
from sweep.store import leases, optuna_tables, writers
from sweep.store.database import Database
from sweep.store.locks import Holder, LockHeldError
from sweep.store.optuna_rows import frozen_trials
from sweep.store.optuna_tables import NewTrial
from sweep.store.pending import Pending
from sweep.store.schema import runs
from sweep.store.studies import lock_study

RENEW_SECONDS: Final = leases.LEASE_SECONDS / 6


class BudgetSpentError(Exception):
    """As many trials as were asked for are finished or in training."""


class StudyShare:
    """A process's part in a study that other processes may drive too.

    Attributes:
        run_id: Its run.
        study_id: Optuna's id of the study.
        budget: Trials asked for, finished or open ones, over all runs; None for no limit.
        lost: Trials that another run has taken over since `lost` was last emptied, by id.

    Every method raises an error of the database that is to be translated by the caller.
    """

    def __init__(self, database: Database, study_id: int, run_id: int) -> None:
        """Use `joined`."""
        self._database = database
        self.study_id = study_id
        self.run_id = run_id
        self.budget: int | None = None
        self._is_void = False
        self.lost: set[int] = set()
        # Of what it holds beyond these, a lost answer kept it from knowing.
        self._mine: set[int] = set()

    @classmethod
    @contextmanager
    def joined(
        cls, database: Database, study_id: int, began: Callable[[Connection], int]
    ) -> Iterator["StudyShare"]:
        """Take part in a study until the block or the process ends.

        Args:
            database: Where it is.
            study_id: Optuna's id of it.
            began: Writes the row of the run and returns its id.
        """
        run_id = database.write(began)
        silent: tuple[type[Exception], ...] = (StoreError, *database.errors)
        share = cls(database, study_id, run_id)
        with ExitStack() as stack:
            stack.enter_context(database.process_lock(_lock_name(run_id)))
            share.renew()
            try:
                yield share
            except silent:
                # The lock, which is released now, tells others.
                raise
            except BaseException:
                database.write(share._end)
                raise
            database.write(share._end)

    @classmethod
    def drivers(cls, database: Database, study_id: int) -> list[Holder]:
        """The processes that drive a study."""
        runs, now = database.read(
            lambda c: (leases.runs_of(c, study_id), database.now(c)),
        )
        alive = [run for run in runs if not _is_gone(database, run, now)]
        holders = (database.lock_holder(_lock_name(run.run_id)) for run in alive)
        return [holder for holder in holders if holder is not None]

    def discard(self) -> None:
        """It did nothing: leave no trace of it at its end."""
        self._is_void = True

    def _end(self, connection: Connection) -> None:
        if self._is_void:
            connection.execute(delete(runs).where(runs.c.run_id == self.run_id))
            return
        leases.end(connection, [self.run_id], self._database.now(connection))
        writers.workers_released(connection, [self.run_id])

    def renew(self) -> None:
        """Extend the lease; to be called every `RENEW_SECONDS`."""
        database = self._database
        database.write(lambda c: leases.renew(c, self.run_id, database.now(c)))

    # Trials that begin

    def reserve(self, most: int) -> list[NewTrial] | list[int]:
        """Make trials, as Optuna does, and hold them.

        Args:
            most: How many; fewer if fewer are left to the budget.

        Returns:
            The trials, or the ids of those made by a transaction whose answer was lost.

        Raises:
            BudgetSpentError: As many trials as were asked for are finished or open.
        """

        def write(connection: Connection) -> list[NewTrial] | list[int]:
            lock_study(connection, self.study_id)
            if missed := self._missed(connection):
                return missed
            count = min(most, self._left_of_budget(connection, most))
            trials = optuna_tables.make_trials(connection, self.study_id, count)
            ids = [trial.trial_id for trial in trials]
            leases.give(connection, self.study_id, ids, self.run_id)
            return trials

        made = self._database.write(write)
        self._mine.update(each if isinstance(each, int) else each.trial_id for each in made)
        return made

    def reserve_counted(self, counter: str) -> int:
        """Make a trial, hold it, and count it in a user attribute of this name, from 0.

        Returns:
            Its id.

        Raises:
            BudgetSpentError: As many trials as were asked for are finished or open.
        """

        def write(connection: Connection) -> int:
            lock_study(connection, self.study_id)
            if missed := self._missed(connection):
                return missed[0]
            self._left_of_budget(connection, 1)
            (trial,) = optuna_tables.make_trials(connection, self.study_id, 1)
            optuna_tables.count_trial(connection, self.study_id, trial.trial_id, counter)
            leases.give(connection, self.study_id, [trial.trial_id], self.run_id)
            return trial.trial_id

        trial_id = self._database.write(write)
        self._mine.add(trial_id)
        return trial_id

    def _missed(self, connection: Connection) -> list[int]:
        """Trials that it holds without knowing: the answer of a transaction was lost."""
        holds = leases.holds(connection, self.study_id)
        mine = {trial_id for trial_id, hold in holds.items() if hold.run_id == self.run_id}
        return sorted(mine - self._mine)

    def start(self, trial_id: int) -> bool:
        """Hold a trial that waits; False if another run was faster.

        Raises:
            BudgetSpentError: As many trials as were asked for are finished or open.
        """

        def write(connection: Connection) -> bool:
            lock_study(connection, self.study_id)
            if optuna_tables.state_of(connection, trial_id) is not TrialState.WAITING:
                hold = leases.holds(connection, self.study_id).get(trial_id)
                return hold is not None and hold.run_id == self.run_id
            self._left_of_budget(connection, 1)
            optuna_tables.start_trial(connection, trial_id)
            leases.give(connection, self.study_id, [trial_id], self.run_id)
            return True

        is_mine = self._database.write(write)
        if is_mine:
            self._mine.add(trial_id)
        return is_mine

    def _left_of_budget(self, connection: Connection, wanted: int) -> int:
        """How many of the trials wanted may begin, at least one."""
        if self.budget is None:
            return wanted
        left = self.budget - leases.claimed(connection, self.study_id)
        if left <= 0:
            raise BudgetSpentError
        return left

    def take_over(self, most: int, but: Collection[int] = ()) -> list[int]:
        """Hold open trials of runs that are gone.

        Args:
            most: How many at most.
            but: Ids of trials that are left to others.

        Returns:
            Their ids.
        """
        database = self._database

        def read(connection: Connection) -> tuple[list[Any], datetime, bool]:
            others = [
                run
                for run in leases.runs_of(connection, self.study_id)
                if run.run_id != self.run_id
            ]
            has_orphans = bool(leases.orphans(connection, self.study_id, (), 1, but))
            return others, database.now(connection), has_orphans

        others, now, has_orphans = database.read(read)
        gone = {run.run_id: run for run in others if _is_gone(database, run, now)}
        if not gone and not has_orphans:
            return []

        def write(connection: Connection) -> list[int]:
            lock_study(connection, self.study_id)
            # One that has renewed its lease since lives.
            dead = [
                run.run_id
                for run in leases.runs_of(connection, self.study_id)
                if run.run_id in gone and run.expires_at == gone[run.run_id].expires_at
            ]
            leases.end(connection, dead, database.now(connection))
            writers.workers_released(connection, dead)
            missed = self._missed(connection)[:most]
            left = most - len(missed)
            mine = self.study_id, self.run_id
            return missed + leases.take_over(connection, *mine, dead, left, but)

        taken = database.write(write)
        self._mine.update(taken)
        for run_id in gone:
            # What a killed process left of its lock goes.
            with suppress(LockHeldError), database.process_lock(_lock_name(run_id)):
                pass
        return taken

    # Trials that are held

    def write(self, pending: Pending) -> set[int]:
        """Write about open trials, and end some of them as Optuna does, all in one transaction.

        Returns:
            The trials that another run holds, of which nothing was changed; they become part of
            `lost`.
        """
        ids = pending.trial_ids

        def attempt(again: bool) -> set[int]:
            with self._database.engine.begin() as connection:
                # What was committed, though its answer was lost.
                ended = pending.ended(connection) if again else set()
                held = leases.still_held(connection, self.run_id, ids - ended)
                if not ended:
                    pending.write(connection, held)
                return ids - held - ended

        lost = self._database.repeat(attempt)
        self._lose(lost)
        self._mine.difference_update(pending.ends)
        return lost

    def _lose(self, trial_ids: Collection[int]) -> None:
        self.lost.update(trial_ids)
        self._mine.difference_update(trial_ids)

    def look(self, after: int) -> tuple[dict[int, leases.Hold], list[int]]:
        """Who holds which open trial; what is held by others now becomes part of `lost`.

        Args:
            after: Id of a trial.

        Returns:
            The leases, and the ids of all trials that were made after that one.
        """

        def read(connection: Connection) -> tuple[dict[int, leases.Hold], list[int]]:
            newer = optuna_tables.ids_after(connection, self.study_id, after)
            return leases.holds(connection, self.study_id), newer

        holds, newer = self._database.read(read)
        mine = {trial_id for trial_id, hold in holds.items() if hold.run_id == self.run_id}
        self._lose(self._mine - mine)
        return holds, newer

    def read(self, trial_ids: Collection[int] | None) -> list[FrozenTrial]:
        """Trials of the study, by number; all of it for None."""
        return self._database.read(lambda c: frozen_trials(c, self.study_id, trial_ids))

    def is_mine(self, trial_id: int) -> bool:
        """Whether this run holds a trial, as far as it knows."""
        return trial_id in self._mine


def _is_gone(database: Database, run: Any, now: datetime) -> bool:
    """Whether a run has ended or expired, or was silent for a while and has lost its lock.

    Args:
        database: Where it is.
        run: Its times.
        now: By the clock of the database.
    """
    if run.ended_at is not None or run.expires_at is None or run.expires_at <= now:
        return True
    silent = now - (run.expires_at - timedelta(seconds=leases.LEASE_SECONDS))
    if silent < timedelta(seconds=database.grace_seconds):
        return False
    return database.lock_holder(_lock_name(run.run_id)) is None


def _lock_name(run_id: int) -> str:
    return f"run-{run_id}"
