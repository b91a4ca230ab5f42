"""The store: one object for everything that `sweep` keeps in a database."""

import os
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import optuna
from optuna.storages import BaseStorage, RDBStorage, get_storage
from sqlalchemy import Connection

from sweep.errors import NotFoundError, StoreError
from sweep.store import live, migrate, queries, studies, writers
from sweep.store.database import PATIENCE_SECONDS, Database
from sweep.store.databases import database_at
from sweep.store.driving import DrivingStorage
from sweep.store.live import News, Seen
from sweep.store.locks import Holder
from sweep.store.optuna_tables import set_study_attributes
from sweep.store.queue import StudyQueue
from sweep.store.records import Outlook, StudyRecord, TimeSplit
from sweep.store.run import StudyRun
from sweep.store.share import StudyShare
from sweep.store.spending import outlook
from sweep.store.tables import StudyTables, study_tables
from sweep.store.trial_rows import trial_rows, trial_texts

Result = TypeVar("Result")
Rows = list[dict[str, Any]]


class Store:
    """A database of studies: Optuna's tables and ours.

    Any number of processes may read, and drive studies, the same one too. Every writer is one
    transaction, durable against the death of the process when it returns; `sweep.store.sqlite` and
    `sweep.store.postgresql` say what a power loss may cost. A server that goes away is waited for,
    and a transaction that it broke is run again: all writers here bear that. An object may be used
    from several threads, and is a context manager.

    Attributes:
        safe_url: The URL without its password, for messages.
        optuna_storage: Optuna's storage of this database, which keeps finished trials in memory;
            for studies and for the dashboard.
        queue: Which studies were submitted, and which agents serve them.

    Every method raises `StoreError` if the database cannot be read or written, and, where it
    takes the name of a study, `NotFoundError` if there is no such study.
    """

    def __init__(self, database: Database, rdb_storage: RDBStorage) -> None:
        """Use `Store.open` instead, which checks the database first."""
        self._database = database
        self._rdb_storage = rdb_storage
        self.safe_url = database.where
        self.optuna_storage: BaseStorage = get_storage(rdb_storage)
        self.queue = StudyQueue(database)

    @classmethod
    def open(
        cls, url: str, *, create: bool = True, patience_seconds: float = PATIENCE_SECONDS
    ) -> "Store":
        """Open a database.

        Args:
            url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`.
            create: Make the file and the tables where they are missing.
            patience_seconds: How long a server that goes away is waited for.

        Raises:
            StoreError: The database is missing, damaged, locked, or older or newer than this
                program; the message says what to do.
        """
        database = database_at(url)
        database.patience_seconds = patience_seconds
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
        self.study_id(name)
        with self.translated():
            return optuna.load_study(study_name=name, storage=self.optuna_storage)

    @contextmanager
    def driving(self, name: str, split: TimeSplit) -> Iterator[StudyRun]:
        """Take part in a study, as one of any number of runs, until the block or the process ends.

        Args:
            name: Name of the study.
            split: How the time of the run was spent so far.

        Raises:
            StoreError: The block raised an error of the database, or the above.
        """
        study_id = self.study_id(name)
        process = {"host": socket.gethostname(), "pid": os.getpid()}

        def begin(connection: Connection) -> int:
            return writers.run_started(connection, study_id, split, process, now)

        with self.translated():
            # Read before, so that a repeated transaction finds its own row by it.
            now = self._database.read(self._database.now)
        joined = StudyShare.joined(self._database, study_id, begin)
        with self.translated(), joined as share:
            storage = DrivingStorage(self._rdb_storage, self._database, share)
            study = optuna.load_study(study_name=name, storage=storage)
            yield StudyRun(study, storage, share, self._database)

    def drivers(self, study: str) -> list[Holder]:
        """The processes that drive a study."""
        with self.translated():
            return StudyShare.drivers(self._database, self.study_id(study))

    def record(self, name: str) -> StudyRecord | None:
        """What a study was started with, or None if there is no such study."""
        with self.translated():
            return self._database.read(lambda connection: studies.find(connection, name))

    def delete_study(self, name: str) -> None:
        """Delete a study from Optuna's tables and ours; its files are left.

        Raises:
            StoreError: A process drives it just now.
        """
        if drivers := self.drivers(name):
            raise self._driven(name, drivers[0])
        with self.translated():
            self.optuna_storage.delete_study(self.study_id(name))
        if self.record(name) is not None:
            raise StoreError(
                "the study could not be deleted",
                where=f"study {name} in {self.safe_url}",
                next_step="another table may refer to its trials; see the tables of the database",
            )

    # Writers

    def checkpoint_dropped(self, study: str, number: int) -> None:
        """A trial has no checkpoint any more; if it is taken up again, it begins anew."""
        self._write(study, lambda c, study_id: writers.checkpoint_dropped(c, study_id, number))

    def weights_dropped(self, study: str, number: int) -> None:
        """The file of a trial's weights is about to be removed."""
        self._write(study, lambda c, study_id: writers.weights_dropped(c, study_id, number))

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

    def set_study_attributes(self, study: str, attributes: Mapping[str, object]) -> None:
        """Set many of Optuna's system attributes of a study at once, all or none.

        Optuna's API writes each in a transaction of its own.
        """
        if attributes:
            self._write(study, lambda c, study_id: set_study_attributes(c, study_id, attributes))

    def study_rows(self) -> Rows:
        """All studies in order of creation.

        Returns:
            Rows with `study_id` (Optuna's), `name`, `spec` (of its last run), `counts` (trials by
            state, as in `trial_rows`), `retried` (how many of the failed ones another trial
            repeats), `objectives` (a list of `metric` and `direction`), `best_number` and
            `best_value` (by the first objective, without diverged trials), `data`,
            `data_is_fallback`, `created`, `updated`.
        """
        with self.translated():
            return self._database.read(queries.study_rows)

    def study_id(self, study: str) -> int:
        """Optuna's id of a study."""
        return self._read(study, lambda _, study_id: study_id)

    def trial_rows(self, study: str, failed_only: bool = False) -> Rows:
        """The trials of a study by number.

        Returns:
            Rows with the columns of table `sweep_trials` except ids, `traceback` and `log`, and
            with Optuna's `state`, `values`, `params` and `user_attrs`. A trial that was asked for
            and has not started is WAITING, though RUNNING for Optuna; its `config` is empty and
            its `started` None. Times are aware; `epochs` grows while a trial runs.
        """
        return self._read(
            study, lambda c, study_id: trial_rows(c, study_id, failed_only=failed_only)
        )

    def trial_ids(self, study: str) -> dict[int, int]:
        """Optuna's ids of the trials, by number."""
        return self._read(study, queries.trial_ids)

    def tables(self, study: str) -> StudyTables:
        """Trials, epochs, layers and workers of a study by column, fit for 10,000 trials."""
        return self._read(study, study_tables)

    def trial_row(self, study: str, number: int) -> dict[str, Any]:
        """One trial as in `trial_rows`, with `traceback` and `log`.

        Raises:
            NotFoundError: There is no such trial.
        """

        def read(connection: Connection, study_id: int) -> dict[str, Any]:
            rows = trial_rows(connection, study_id, number=number)
            if not rows:
                raise NotFoundError(
                    f"there is no trial {number}",
                    where=f"study {study} in {self.safe_url}",
                    next_step=f"`sweep trials {study}` lists them",
                )
            return rows[0] | trial_texts(connection, study_id, number)

        return self._read(study, read)

    def epoch_rows(self, study: str, number: int | None = None) -> Rows:
        """The learning curves of all trials, or of one, by number and epoch."""
        return self._read(study, lambda c, study_id: queries.epoch_rows(c, study_id, number))

    def layer_rows(self, study: str, number: int) -> Rows:
        """The layers of a trial's network with the kept weights, empty if it was not inspected.

        Returns:
            Rows with `layer`, `mean`, `std`, `dead`, `gradient_norm`; see
            `sweep.engines.inspection.inspector.Inspector`.
        """
        return self._read(study, lambda c, study_id: queries.layer_rows(c, study_id, number))

    def worker_rows(self, study: str) -> Rows:
        """The processes of all workers; those alive have no `ended_at`."""
        return self._read(study, queries.worker_rows)

    def run_rows(self, study: str) -> Rows:
        """The runs of a study in order, with the fields of `TimeSplit` and their times."""
        return self._read(study, queries.run_rows)

    def lease_rows(self, study: str) -> Rows:
        """Who trains which open trial: `number`, `run_id`, `host`, `pid`, `expires_at`."""
        return self._read(study, queries.lease_rows)

    def outlook(self, study: str) -> Outlook:
        """What is to become of a study, and what it has cost over all runs."""
        now = self._database.now
        return self._read(study, lambda c, study_id: outlook(c, study_id, now(c)))

    def news(self, study: str, seen: Seen) -> News:
        """What a study has that was not seen before; `Seen()` to begin with.

        The cost follows what is open and what has changed, so that it may be asked each second.
        """
        now = self._database.now
        return self._read(study, lambda c, study_id: live.news(c, study_id, seen, now(c)))

    def epochs_since(self, study: str, since: datetime) -> int:
        """How many epochs of a study were reported after a time."""
        return self._read(study, lambda c, study_id: live.epochs_since(c, study_id, since))

    def portraits(
        self, study: str, numbers: Collection[int]
    ) -> dict[int, tuple[dict[str, Any], Rows]]:
        """Configuration and epochs, as in `News`, of some trials of a study that were started."""
        return self._read(study, lambda c, study_id: live.portraits(c, study_id, numbers))

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

    def _study_id(self, connection: Connection, name: str, *, lock: bool = False) -> int:
        study_id = studies.find_id(connection, name, lock=lock)
        if study_id is None:
            raise studies.unknown_study(name, studies.names(connection), self.safe_url)
        return study_id

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
