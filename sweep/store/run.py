"""A process that drives a study, as the store sees it."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

import optuna
from optuna.trial import FrozenTrial
from sqlalchemy import Connection

from sweep.store import writers
from sweep.store.database import Database
from sweep.store.driving import DrivingStorage
from sweep.store.pending import Note
from sweep.store.records import Outlook, TimeSplit
from sweep.store.share import RENEW_SECONDS, StudyShare
from sweep.store.spending import outlook
from sweep.store.studies import lock_study
from sweep.trial import EpochReport, TrialResult, TrialTask


class StudyRun:
    """One run of a study, of which there may be several at once. Used from one thread.

    Attributes:
        study: Optuna's study, on `storage`.
        storage: What `study` reads and writes.

    Its methods raise `StoreError` if the database cannot be read or written.
    """

    def __init__(
        self,
        study: optuna.Study,
        storage: DrivingStorage,
        share: StudyShare,
        database: Database,
    ) -> None:
        """Use `Store.driving`."""
        self.study = study
        self.storage = storage
        self._share = share
        self._study_id = share.study_id
        self._database = database
        self._renewed_at = time.monotonic()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Write what the block writes in one transaction."""
        with self._translated(), self.storage.batch():
            yield

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Keep what the block writes until `flush`, or until something else is written."""
        with self._translated(), self.storage.gathering():
            yield

    def flush(self) -> None:
        """Write what was gathered, in one transaction."""
        with self._translated():
            self.storage.flush()

    def _translated(self) -> AbstractContextManager[None]:
        return self._database.translated()

    @property
    def finished(self) -> Sequence[FrozenTrial]:
        """Finished trials in the order in which they became known to this run; it grows."""
        return self.storage.finished

    def discard(self) -> None:
        """This run did nothing: leave no trace of it at its end."""
        self._share.discard()

    # Trials of others

    def limit(self, trials: int) -> None:
        """Set the budget: finished and open trials of all runs together."""
        self._share.budget = trials

    def keep_alive(self, split: TimeSplit) -> None:
        """Renew the lease if it is time to; to be called several times a minute.

        Args:
            split: How this run's time was spent, up to now.
        """
        if time.monotonic() - self._renewed_at >= RENEW_SECONDS:
            with self._translated():
                self._share.renew()
            self.timed(split)
            self._renewed_at = time.monotonic()

    def outlook(self) -> Outlook:
        """What is to become of the study, and what it has cost over all runs."""
        database = self._database
        with self._translated():
            return database.read(lambda c: outlook(c, self._study_id, database.now(c)))

    def pull(self) -> list[FrozenTrial]:
        """Take in what other runs did; returns the trials that have ended since."""
        with self._translated():
            self.storage.pull()
        return self.storage.take_ended()

    def take_over(self, most: int, but: Collection[int] = ()) -> list[FrozenTrial]:
        """Trials that runs which are gone left open, at most so many; they are held now."""
        with self._translated():
            taken = self._share.take_over(most, but)
            return [self.storage.adopt(trial_id) for trial_id in taken]

    @property
    def others_open(self) -> int:
        """Open trials of other runs, as of the last `pull`."""
        return self.storage.others_open

    def reserve(self, most: int) -> int:
        """Make the trials that the study will be asked for next, unless there are some already.

        Returns:
            How many there are: so many, or what the budget leaves.

        Raises:
            BudgetSpentError: It leaves none.
        """
        if not self.storage.reserved:
            with self._translated():
                self.storage.reserve(most)
        return self.storage.reserved

    def holds(self, trial_id: int) -> bool:
        """Whether a trial is this run's to write about, as far as it knows."""
        return self._share.is_mine(trial_id)

    def take_lost(self) -> set[int]:
        """Numbers of the trials that another run has taken over since the last call."""
        lost, self._share.lost = self._share.lost, set()
        return {self.storage.get_trial(trial_id).number for trial_id in lost}

    # Trials that are held

    def report(self, trial_id: int, epoch: int, value: float) -> None:
        """Tell Optuna what a trial reached in an epoch, inside `gathering`."""
        self.storage.set_trial_intermediate_value(trial_id, epoch, value)

    def should_prune(self, trial_id: int) -> bool:
        """Whether the pruner would stop a trial here; to be asked inside `gathering`."""
        return self.study.pruner.prune(self.study, self.storage.seen(trial_id))

    def trial_started(self, trial_id: int, task: TrialTask, worker: str) -> None:
        """A trial begins at its first epoch; whatever an earlier attempt left is removed."""

        def write(connection: Connection, held: Collection[int]) -> None:
            if held:
                writers.trial_started(connection, self._study_id, trial_id, task, worker)

        self._note([trial_id], write)

    def epochs_finished(self, trial_ids: Sequence[int], reports: Sequence[EpochReport]) -> None:
        """Trials that were started finished an epoch; NaN and infinity become NULL.

        Args:
            trial_ids: Optuna's ids.
            reports: One for each.
        """
        pairs = list(zip(trial_ids, reports, strict=True))

        def write(connection: Connection, held: Collection[int]) -> None:
            in_time = [report for trial_id, report in pairs if trial_id in held]
            writers.epochs_finished(connection, self._study_id, in_time)
            late = [pair for pair in pairs if pair[0] not in held]
            writers.epochs_came_late(connection, self._share.run_id, late)

        self._note(trial_ids, write)

    def checkpoints_written(
        self, trial_ids: Sequence[int], reports: Sequence[EpochReport]
    ) -> None:
        """Trials go on from the checkpoints that these reports name, if they are taken up."""
        pairs = list(zip(trial_ids, reports, strict=True))

        def write(connection: Connection, held: Collection[int]) -> None:
            mine = [report for trial_id, report in pairs if trial_id in held]
            writers.checkpoints_written(connection, self._study_id, mine)

        if pairs:
            self._note(trial_ids, write)

    def checkpoint_dropped(self, trial_id: int, number: int) -> None:
        """A trial has no checkpoint any more; if it is taken up again, it begins anew."""

        def write(connection: Connection, held: Collection[int]) -> None:
            if held:
                writers.checkpoint_dropped(connection, self._study_id, number)

        self._note([trial_id], write)

    def trial_ended(self, trial_id: int, result: TrialResult, worker: str) -> None:
        """A trial left its slot. Call it before `tell`, in one batch with it."""

        def write(connection: Connection, held: Collection[int]) -> None:
            if held:
                writers.trial_ended(connection, self._study_id, trial_id, result, worker)

        self._note([trial_id], write)

    def trial_failed(
        self, trial_id: int, number: int, error: str, traceback: str, log: str
    ) -> None:
        """A trial raised an error. Call it before `tell`, in one batch with it."""

        def write(connection: Connection, held: Collection[int]) -> None:
            if held:
                writers.trial_failed(
                    connection, self._study_id, trial_id, number, error, traceback, log
                )

        self._note([trial_id], write)

    def _note(
        self, trial_ids: Sequence[int], write: Callable[[Connection, Collection[int]], None]
    ) -> None:
        with self._translated():
            self.storage.note(Note(frozenset(trial_ids), write))

    # Workers, and the run itself

    def worker_ready(self, worker: str, pid: int, host: str, device: str, engine: str) -> None:
        """A worker's process can train."""
        values = {
            "run_id": self._share.run_id,
            "pid": pid,
            "host": host,
            "device": device,
            "engine": engine,
        }
        now = datetime.now(UTC)
        self._write(lambda c: writers.worker_ready(c, self._study_id, worker, values, now))

    def worker_lost(self, worker: str, reason: str) -> None:
        """A worker's process died."""
        self._write(lambda c: writers.worker_lost(c, self._share.run_id, worker, reason))

    def timed(self, split: TimeSplit) -> None:
        """How this run's time was spent, up to now."""
        self._write(lambda c: writers.run_timed(c, self._share.run_id, split))

    def log_once(self, message: str) -> bool:
        """Keep a message, unless the study has it already; returns whether it was kept."""
        now = datetime.now(UTC)

        def write(connection: Connection) -> bool:
            lock_study(connection, self._study_id)
            return writers.log_once(connection, self._study_id, message, now)

        with self._translated():
            return self._database.write(write)

    def _write(self, action: Callable[[Connection], None]) -> None:
        with self._translated():
            self._database.write(action)
