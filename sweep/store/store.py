"""The store: one object for everything that `sweep` keeps in a database."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from sweep.errors import StoreError
from sweep.store import migrate, queries, studies, writers
from sweep.store.driving import DrivingStorage
from sweep.store.failures import translated
from sweep.store.location import database_path, parse_url, safe_url
from sweep.store.locks import LockHeldError, file_lock, holder
from sweep.store.records import StudyRecord, TimeSplit
from sweep.store.sqlite import READER, make_engine
from sweep.trial import EpochReport, TrialResult, TrialTask

Rows = list[dict[str, Any]]


class Store:
    """A database of studies: Optuna's tables and ours.

    Any number of processes may read while one drives a study. Every writer is one transaction,
    durable against the death of the process when it returns; `sweep.store.sqlite` says what a
    power loss may cost. An object may be used from several threads, and is a context manager.

    Attributes:
        safe_url: The URL without its password, for messages.
        optuna_storage: Optuna's storage of this database, which keeps finished trials in memory;
            for studies and for the dashboard.

    Every method raises `StoreError` if the database cannot be read or written, and, where it
    takes the name of a study, if there is no such study.
    """

    def __init__(self, url: URL, rdb_storage: RDBStorage) -> None:
        """Use `Store.open` instead, which checks the database first."""
        self._url = url
        self._rdb_storage = rdb_storage
        self._engine = make_engine(url)
        self.safe_url = safe_url(self.url)
        self.optuna_storage: BaseStorage = get_storage(rdb_storage)

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> "Store":
        """Open a database.

        Args:
            url: `sqlite:///FILE`.
            create: Make the file and the tables where they are missing.

        Raises:
            StoreError: The database is missing, damaged, locked, or older or newer than this
                program; the message says what to do.
        """
        parsed = parse_url(url)
        migrate.prepare(parsed, create=create)
        return cls(parsed, migrate.open_optuna(parsed))

    def close(self) -> None:
        """Close every connection. Calling it again is harmless."""
        self._engine.dispose()
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
        return self._url.render_as_string(hide_password=False)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of the database into `StoreError`, also where Optuna's API raises them.

        The methods of this class do so themselves; wrap calls of `Study` and `Trial` in it.
        """
        with translated(self.safe_url):
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
                self._engine, self.optuna_storage, record, directions, metric_names
            )

    def load_study(self, name: str) -> optuna.Study:
        """Optuna's study of this name."""
        with self._reading(name), self.translated():
            return optuna.load_study(study_name=name, storage=self.optuna_storage)

    def drive_study(self, name: str) -> tuple[optuna.Study, DrivingStorage]:
        """Optuna's study of this name for the one process that drives it, and its storage."""
        with self._reading(name) as (_, study_id):
            pass
        with self.translated():
            storage = DrivingStorage(self._rdb_storage, self._engine, study_id)
            return optuna.load_study(study_name=name, storage=storage), storage

    def record(self, name: str) -> StudyRecord | None:
        """What a study was started with, or None if there is no such study."""
        with self._connection() as connection:
            return studies.find(connection, name)

    def delete_study(self, name: str) -> None:
        """Delete a study from Optuna's tables and ours; its files are left.

        Raises:
            StoreError: A process drives it just now.
        """
        with self.driver_lock(name), self.translated():
            with self._reading(name) as (_, study_id):
                pass
            self.optuna_storage.delete_study(study_id)
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
                stack.enter_context(file_lock(self._lock_path(study), wait=False))
            except LockHeldError as error:
                raise self._driven(study, error.pid) from error
            self._release_workers(study)
            try:
                yield
            finally:
                self._release_workers(study)

    def driver_pid(self, study: str) -> int | None:
        """Id of the process that drives a study, or None."""
        return holder(self._lock_path(study))

    # Writers

    def trial_started(self, study: str, task: TrialTask, worker: str) -> None:
        """A trial begins after its checkpoint, or anew; all that was later is removed."""
        with self._writing(study) as (connection, study_id):
            trial_id = self._trial_id(study_id, task.number)
            writers.trial_started(connection, study_id, trial_id, task, worker)

    def epochs_finished(self, study: str, reports: Sequence[EpochReport]) -> None:
        """Trials that were started finished an epoch; NaN and infinity become NULL.

        Whatever an earlier attempt left of later epochs is removed.
        """
        with self._writing(study) as (connection, study_id):
            writers.epochs_finished(connection, study_id, reports)

    def trial_ended(self, study: str, result: TrialResult, worker: str) -> None:
        """A trial left its slot. Call it before `tell`, so that no told trial lacks its result."""
        with self._writing(study) as (connection, study_id):
            writers.trial_ended(connection, study_id, result, worker)

    def trial_failed(self, study: str, number: int, error: str, traceback: str, log: str) -> None:
        """A trial raised an error. Call it before `tell`."""
        with self._writing(study) as (connection, study_id):
            writers.trial_failed(connection, study_id, number, error, traceback, log)

    def checkpoints_written(self, study: str, reports: Sequence[EpochReport]) -> None:
        """Trials go on from the checkpoints that these reports name, if they are taken up again.

        Call it after `epochs_finished`, and after what was decided about the epoch is written.
        """
        with self._writing(study) as (connection, study_id):
            writers.checkpoints_written(connection, study_id, reports)

    def checkpoint_dropped(self, study: str, number: int) -> None:
        """A trial has no checkpoint any more; if it is taken up again, it begins anew."""
        with self._writing(study) as (connection, study_id):
            writers.checkpoint_dropped(connection, study_id, number)

    def weights_dropped(self, study: str, number: int) -> None:
        """The file of a trial's weights is about to be removed."""
        with self._writing(study) as (connection, study_id):
            writers.weights_dropped(connection, study_id, number)

    def worker_ready(
        self, study: str, worker: str, pid: int, host: str, device: str, engine: str
    ) -> None:
        """A worker's process can train."""
        values = {"pid": pid, "host": host, "device": device, "engine": engine}
        with self._writing(study) as (connection, study_id):
            writers.worker_ready(connection, study_id, worker, values)

    def worker_lost(self, study: str, worker: str, reason: str) -> None:
        """A worker's process died."""
        with self._writing(study) as (connection, study_id):
            writers.worker_lost(connection, study_id, worker, reason)

    def run_started(self, study: str, split: TimeSplit) -> int:
        """A run of a study began.

        Args:
            study: Name of the study.
            split: How its time was spent so far.

        Returns:
            The id that `run_timed` takes.
        """
        with self._writing(study) as (connection, study_id):
            return writers.run_started(connection, study_id, split)

    def run_timed(self, study: str, run_id: int, split: TimeSplit) -> None:
        """How a run's time was spent, up to now."""
        with self._writing(study) as (connection, _):
            writers.run_timed(connection, run_id, split)

    def log(
        self,
        study: str,
        level: str,
        message: str,
        number: int | None = None,
        worker: str | None = None,
    ) -> None:
        """Keep a message, of a trial or a worker if it concerns one."""
        with self._writing(study) as (connection, study_id):
            writers.log(connection, study_id, level, message, number, worker)

    # Readers

    def study_rows(self) -> Rows:
        """All studies in order of creation.

        Returns:
            Rows with `name`, `counts` (trials by state, as in `trial_rows`), `objectives` (a list
            of `metric` and `direction`), `best_number` and `best_value` (by the first objective,
            without diverged trials), `data`, `data_is_fallback`, `created`, `updated`.
        """
        with self._connection() as connection:
            return queries.study_rows(connection)

    def trial_rows(self, study: str, failed_only: bool = False) -> Rows:
        """The trials of a study by number.

        Returns:
            Rows with the columns of table `sweep_trials` except ids, `traceback` and `log`, and
            with Optuna's `state`, `values`, `params` and `user_attrs`. A trial that was asked for
            and has not started is WAITING, though RUNNING for Optuna; its `config` is empty and
            its `started` None. Times are aware; `epochs` grows while a trial runs.
        """
        states = (TrialState.FAIL,) if failed_only else None
        with self._reading(study) as (connection, study_id):
            return queries.trial_rows(connection, study_id, self._frozen(study_id, states))

    def trial_row(self, study: str, number: int) -> dict[str, Any]:
        """One trial as in `trial_rows`, with `traceback` and `log`.

        Raises:
            StoreError: There is no such trial.
        """
        with self._reading(study) as (connection, study_id):
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

    def unfinished(self, study: str) -> Rows:
        """Trials that are RUNNING in Optuna: after a kill or an interrupt, those to take up again.

        Returns:
            Rows as in `trial_rows`, with Optuna's `trial_id`. `config` is empty where the trial
            was asked for and never started.
        """
        with self._reading(study) as (connection, study_id):
            frozen = self._frozen(study_id, (TrialState.RUNNING,))
            return [
                row | {"trial_id": self._trial_id(study_id, row["number"])}
                for row in queries.trial_rows(connection, study_id, frozen)
            ]

    def epoch_rows(self, study: str, number: int | None = None) -> Rows:
        """The learning curves of all trials, or of one, by number and epoch."""
        with self._reading(study) as (connection, study_id):
            return queries.epoch_rows(connection, study_id, number)

    def worker_rows(self, study: str) -> Rows:
        """The processes of all workers; those alive have no `ended_at`."""
        with self._reading(study) as (connection, study_id):
            return queries.worker_rows(connection, study_id)

    def run_rows(self, study: str) -> Rows:
        """The runs of a study in order, with the fields of `TimeSplit` and their times."""
        with self._reading(study) as (connection, study_id):
            return queries.run_rows(connection, study_id)

    def log_rows(self, study: str, number: int | None = None, limit: int = 100) -> Rows:
        """The last messages of a study, or of one trial, oldest first."""
        with self._reading(study) as (connection, study_id):
            return queries.log_rows(connection, study_id, number, limit)

    # Inside

    @contextmanager
    def _writing(self, study: str) -> Iterator[tuple[Connection, int]]:
        """One transaction that begins with the write lock, and the study's id."""
        with self.translated(), self._engine.begin() as connection:
            yield connection, self._study_id(connection, study)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """One state of the database, to read."""
        reader = self._engine.execution_options(**READER)
        with self.translated(), reader.connect() as connection:
            yield connection

    @contextmanager
    def _reading(self, study: str) -> Iterator[tuple[Connection, int]]:
        with self._connection() as connection:
            yield connection, self._study_id(connection, study)

    def _study_id(self, connection: Connection, name: str) -> int:
        study_id = studies.find_id(connection, name)
        if study_id is None:
            raise studies.unknown_study(name, studies.names(connection), self.safe_url)
        return study_id

    def _trial_id(self, study_id: int, number: int) -> int:
        return self.optuna_storage.get_trial_id_from_study_id_trial_number(study_id, number)

    def _frozen(
        self, study_id: int, states: tuple[TrialState, ...] | None = None
    ) -> list[FrozenTrial]:
        return self.optuna_storage.get_all_trials(study_id, deepcopy=False, states=states)

    def _lock_path(self, study: str) -> Path:
        database = database_path(self._url)
        return database.with_name(f"{database.name}-{study}.lock")

    def _release_workers(self, study: str) -> None:
        with self.translated(), self._engine.begin() as connection:
            study_id = studies.find_id(connection, study)
            if study_id is not None:
                writers.workers_released(connection, study_id)

    def _driven(self, study: str, pid: int | None) -> StoreError:
        return StoreError(
            "another process drives the study",
            where=f"study {study} in {self.safe_url}",
            received=f"process {pid}" if pid else "a process that has just started",
            next_step="wait for it, or end it with Ctrl-C"
            + (f" (from elsewhere: kill -INT {pid})" if pid else ""),
        )
