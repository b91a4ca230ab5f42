"""The store: one object for everything that `sweep` keeps in a database."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import optuna
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection

from sweep.errors import StoreError
from sweep.store import migrate, queries, studies, writers
from sweep.store.database import Database
from sweep.store.databases import database_at
from sweep.store.driving import DrivingStorage
from sweep.store.locks import Holder, LockHeldError
from sweep.store.records import StudyRecord, TimeSplit
from sweep.trial import EpochReport, TrialResult, TrialTask

Result = TypeVar("Result")
Rows = list[dict[str, Any]]


class Store:
    """A database of studies: Optuna's tables and ours.

    Any number of processes may read while one drives a study. Every writer is one transaction,
    durable against the death of the process when it returns; `sweep.store.sqlite` and
    `sweep.store.postgresql` say what a power loss may cost. A server that goes away is waited for,
    and a transaction that it broke is run again: all writers here bear that. An object may be used
    from several threads, and is a context manager.

    Attributes:
        safe_url: The URL without its password, for messages.
        optuna_storage: Optuna's storage of this database, which keeps finished trials in memory;
            for studies and for the dashboard.

    Every method raises `StoreError` if the database cannot be read or written, and, where it
    takes the name of a study, if there is no such study.
    """

    def __init__(self, database: Database, rdb_storage: RDBStorage) -> None:
        """Use `Store.open` instead, which checks the database first."""
        self._database = database
        self._rdb_storage = rdb_storage
        self.safe_url = database.where
        self.optuna_storage: BaseStorage = get_storage(rdb_storage)

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> "Store":
        """Open a database.

        Args:
            url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`.
            create: Make the file and the tables where they are missing.

        Raises:
            StoreError: The database is missing, damaged, locked, or older or newer than this
                program; the message says what to do.
        """
        database = database_at(url)
        try:
            migrate.prepare(database, create=create)
            return cls(database, migrate.open_optuna(database))
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close every connection. Calling it again is harmless."""
        self._database.close()
        migrate.close_optuna(self._rdb_storage)

    def __enter__(self) -> "Store":
        """The store itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Without a password."""
        return f"Store({self.safe_url!r})"

    @property
    def url(self) -> str:
        """The URL with its password: for other processes, never for messages."""
        return self._database.url.render_as_string(hide_password=False)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of the database into `StoreError`, also where Optuna's API raises them.

        The methods of this class do so themselves; wrap calls of `Study` and `Trial` in it.
        """
        with self._database.translated():
            yield

    # Studies

    def create_study(
        self, record: StudyRecord, directions: Sequence[str], metric_names: Sequence[str]
    ) -> optuna.Study:
        """Make a study, or resume the one of this name.

        A resumed study takes over spec, versions and revision of the record, and gets a message
        if versions or revision changed.

        Args:
            record: What it is started with.
            directions: `maximize` or `minimize` for each objective.
            metric_names: Name of each objective.

        Raises:
            StudyMismatchError: The study exists with another space, direction or data.
        """
        with self.translated():
            return studies.create_or_resume(
                self._database, self.optuna_storage, record, directions, metric_names
            )

    def load_study(self, name: str) -> optuna.Study:
        """Optuna's study of this name."""
        self._id_of(name)
        with self.translated():
            return optuna.load_study(study_name=name, storage=self.optuna_storage)

    def drive_study(self, name: str) -> tuple[optuna.Study, DrivingStorage]:
        """Optuna's study of this name for the one process that drives it, and its storage."""
        study_id = self._id_of(name)
        with self.translated():
            storage = DrivingStorage(self._rdb_storage, self._database, study_id)
            return optuna.load_study(study_name=name, storage=storage), storage

    def record(self, name: str) -> StudyRecord | None:
        """What a study was started with, or None if there is no such study."""
        with self.translated():
            return self._database.read(lambda connection: studies.find(connection, name))

    def delete_study(self, name: str) -> None:
        """Delete a study from Optuna's tables and ours; its files are left.

        Raises:
            StoreError: A process drives it just now.
        """
        with self.driver_lock(name), self.translated():
            self.optuna_storage.delete_study(self._id_of(name))
        if self.record(name) is not None:
            raise StoreError(
                "the study could not be deleted",
                where=f"study {name} in {self.safe_url}",
                next_step="another table may refer to its trials; see the tables of the database",
            )

    @contextmanager
    def driver_lock(self, study: str) -> Iterator[None]:
        """Be the one process that drives a study, until the block or the process ends.

        Workers that still look alive in the database are marked as ended, before and after.

        Raises:
            StoreError: Another process drives the study.
        """
        with ExitStack() as stack:
            try:
                with self.translated():
                    stack.enter_context(self._database.driver_lock(study))
            except LockHeldError as error:
                raise self._driven(study, error.holder) from error
            self._release_workers(study)
            try:
                yield
            finally:
                self._release_workers(study)

    def driver(self, study: str) -> Holder | None:
        """The process that drives a study, or None."""
        with self.translated():
            return self._database.driver(study)

    # Writers

    def trial_started(self, study: str, task: TrialTask, worker: str) -> None:
        """A trial begins after its checkpoint, or anew; all that was later is removed."""

        def write(connection: Connection, study_id: int) -> None:
            trial_id = self._trial_id(study_id, task.number)
            writers.trial_started(connection, study_id, trial_id, task, worker)

        self._write(study, write)

    def epochs_finished(self, study: str, reports: Sequence[EpochReport]) -> None:
        """Trials that were started finished an epoch; NaN and infinity become NULL.

        Whatever an earlier attempt left of later epochs is removed.
        """
        self._write(study, lambda c, study_id: writers.epochs_finished(c, study_id, reports))

    def trial_ended(self, study: str, result: TrialResult, worker: str) -> None:
        """A trial left its slot. Call it before `tell`, so that no told trial lacks its result."""
        self._write(study, lambda c, study_id: writers.trial_ended(c, study_id, result, worker))

    def trial_failed(self, study: str, number: int, error: str, traceback: str, log: str) -> None:
        """A trial raised an error. Call it before `tell`."""
        self._write(
            study,
            lambda c, study_id: writers.trial_failed(c, study_id, number, error, traceback, log),
        )

    def checkpoints_written(self, study: str, reports: Sequence[EpochReport]) -> None:
        """Trials go on from the checkpoints that these reports name, if they are taken up again.

        Call it after `epochs_finished`, and after what was decided about the epoch is written.
        """
        self._write(study, lambda c, study_id: writers.checkpoints_written(c, study_id, reports))

    def checkpoint_dropped(self, study: str, number: int) -> None:
        """A trial has no checkpoint any more; if it is taken up again, it begins anew."""
        self._write(study, lambda c, study_id: writers.checkpoint_dropped(c, study_id, number))

    def weights_dropped(self, study: str, number: int) -> None:
        """The file of a trial's weights is about to be removed."""
        self._write(study, lambda c, study_id: writers.weights_dropped(c, study_id, number))

    def worker_ready(
        self, study: str, worker: str, pid: int, host: str, device: str, engine: str
    ) -> None:
        """A worker's process can train."""
        values = {"pid": pid, "host": host, "device": device, "engine": engine}
        now = datetime.now(UTC)
        self._write(
            study, lambda c, study_id: writers.worker_ready(c, study_id, worker, values, now)
        )

    def worker_lost(self, study: str, worker: str, reason: str) -> None:
        """A worker's process died."""
        self._write(study, lambda c, study_id: writers.worker_lost(c, study_id, worker, reason))

    def run_started(self, study: str, split: TimeSplit) -> int:
        """A run of a study began.

        Args:
            study: Name of the study.
            split: How its time was spent so far.

        Returns:
            The id that `run_timed` takes.
        """
        now = datetime.now(UTC)
        return self._write(study, lambda c, study_id: writers.run_started(c, study_id, split, now))

    def run_timed(self, study: str, run_id: int, split: TimeSplit) -> None:
        """How a run's time was spent, up to now."""
        self._write(study, lambda c, _: writers.run_timed(c, run_id, split))

    def log(
        self,
        study: str,
        level: str,
        message: str,
        number: int | None = None,
        worker: str | None = None,
    ) -> None:
        """Keep a message, of a trial or a worker if it concerns one."""
        row = {"level": level, "message": message, "number": number, "worker": worker}
        now = datetime.now(UTC)
        self._write(study, lambda c, study_id: writers.log(c, study_id, row, now))

    # Readers

    def study_rows(self) -> Rows:
        """All studies in order of creation.

        Returns:
            Rows with `name`, `counts` (trials by state, as in `trial_rows`), `objectives` (a list
            of `metric` and `direction`), `best_number` and `best_value` (by the first objective,
            without diverged trials), `data`, `data_is_fallback`, `created`, `updated`.
        """
        with self.translated():
            return self._database.read(queries.study_rows)

    def trial_rows(self, study: str, failed_only: bool = False) -> Rows:
        """The trials of a study by number.

        Returns:
            Rows with the columns of table `sweep_trials` except ids, `traceback` and `log`, and
            with Optuna's `state`, `values`, `params` and `user_attrs`. A trial that was asked for
            and has not started is WAITING, though RUNNING for Optuna; its `config` is empty and
            its `started` None. Times are aware; `epochs` grows while a trial runs.
        """
        states = (TrialState.FAIL,) if failed_only else None
        return self._read(
            study,
            lambda c, study_id: queries.trial_rows(c, study_id, self._frozen(study_id, states)),
        )

    def trial_row(self, study: str, number: int) -> dict[str, Any]:
        """One trial as in `trial_rows`, with `traceback` and `log`.

        Raises:
            StoreError: There is no such trial.
        """

        def read(connection: Connection, study_id: int) -> dict[str, Any]:
            try:
                trial_id = self._trial_id(study_id, number)
            except KeyError:
                raise StoreError(
                    f"there is no trial {number}",
                    where=f"study {study} in {self.safe_url}",
                    next_step=f"`sweep trials {study}` lists them",
                ) from None
            frozen = self.optuna_storage.get_trial(trial_id)
            (row,) = queries.trial_rows(connection, study_id, [frozen])
            return row | queries.trial_texts(connection, study_id, number)

        return self._read(study, read)

    def unfinished(self, study: str) -> Rows:
        """Trials that are RUNNING in Optuna: after a kill or an interrupt, those to take up again.

        Returns:
            Rows as in `trial_rows`, with Optuna's `trial_id`. `config` is empty where the trial
            was asked for and never started.
        """

        def read(connection: Connection, study_id: int) -> Rows:
            frozen = self._frozen(study_id, (TrialState.RUNNING,))
            return [
                row | {"trial_id": self._trial_id(study_id, row["number"])}
                for row in queries.trial_rows(connection, study_id, frozen)
            ]

        return self._read(study, read)

    def epoch_rows(self, study: str, number: int | None = None) -> Rows:
        """The learning curves of all trials, or of one, by number and epoch."""
        return self._read(study, lambda c, study_id: queries.epoch_rows(c, study_id, number))

    def worker_rows(self, study: str) -> Rows:
        """The processes of all workers; those alive have no `ended_at`."""
        return self._read(study, queries.worker_rows)

    def run_rows(self, study: str) -> Rows:
        """The runs of a study in order, with the fields of `TimeSplit` and their times."""
        return self._read(study, queries.run_rows)

    def log_rows(self, study: str, number: int | None = None, limit: int = 100) -> Rows:
        """The last messages of a study, or of one trial, oldest first."""
        return self._read(study, lambda c, study_id: queries.log_rows(c, study_id, number, limit))

    # Inside

    def _write(self, study: str, action: Callable[[Connection, int], Result]) -> Result:
        """Run one transaction, which holds the study's lock, with the study's id."""

        def write(connection: Connection) -> Result:
            return action(connection, self._study_id(connection, study, lock=True))

        with self.translated():
            return self._database.write(write)

    def _read(self, study: str, action: Callable[[Connection, int], Result]) -> Result:
        """Read one state of the database, with the study's id."""
        with self.translated():
            return self._database.read(lambda c: action(c, self._study_id(c, study)))

    def _id_of(self, study: str) -> int:
        return self._read(study, lambda _, study_id: study_id)

    def _study_id(self, connection: Connection, name: str, *, lock: bool = False) -> int:
        study_id = studies.find_id(connection, name, lock=lock)
        if study_id is None:
            raise studies.unknown_study(name, studies.names(connection), self.safe_url)
        return study_id

    def _trial_id(self, study_id: int, number: int) -> int:
        return self.optuna_storage.get_trial_id_from_study_id_trial_number(study_id, number)

    def _frozen(
        self, study_id: int, states: tuple[TrialState, ...] | None = None
    ) -> list[FrozenTrial]:
        return self.optuna_storage.get_all_trials(study_id, deepcopy=False, states=states)

    def _release_workers(self, study: str) -> None:
        def write(connection: Connection) -> None:
            study_id = studies.find_id(connection, study, lock=True)
            if study_id is not None:
                writers.workers_released(connection, study_id)

        with self.translated():
            self._database.write(write)

    def _driven(self, study: str, holder: Holder) -> StoreError:
        who, next_step = "a process that has just started", "wait for it, or end it with Ctrl-C"
        if holder.pid is not None and holder.is_here:
            who = f"process {holder.pid}"
            next_step += f" (from elsewhere: kill -INT {holder.pid})"
        elif holder.pid is not None:
            who = f"process {holder.pid} on {holder.host}"
            next_step += " there"
        return StoreError(
            "another process drives the study",
            where=f"study {study} in {self.safe_url}",
            received=who,
            next_step=next_step,
        )
