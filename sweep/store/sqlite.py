"""SQLite as `sweep` uses it: connections, engines, and what can be wrong with the file.

Write-ahead logging lets any number of processes read while one writes. `synchronous = NORMAL`
writes without waiting for the disk at each commit: a process killed at any moment, even by
SIGKILL, loses no committed transaction; a power loss or a crash of the operating system may lose
the last ones, never the consistency of the file.
"""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

from optuna.storages import RDBStorage
from sqlalchemy import Connection, Engine, create_engine, event

from sweep.errors import StoreError
from sweep.store.database import Database, Meaning, innermost
from sweep.store.location import database_path
from sweep.store.locks import Holder, file_holder, file_lock

BUSY_SECONDS: Final = 60.0
PRAGMAS: Final = ("foreign_keys = ON", "synchronous = NORMAL")

_FULL: Final = "SQLITE_FULL"
# Where there is no room for the logs, SQLite says no more than that reading or writing failed.
_LOG_BYTES: Final = 1 << 16
_REFUSED: Final = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")

# By the beginning of SQLite's name for the error, the special before the general.
_MEANINGS: Final[tuple[tuple[str, str, str], ...]] = (
    ("SQLITE_NOTADB", "the file is not an SQLite database", "name another file"),
    (
        "SQLITE_CORRUPT",
        "the database is damaged",
        "restore a copy, or save what can be read with `sqlite3 FILE .recover`",
    ),
    (
        "SQLITE_READONLY",
        "the database cannot be written",
        "give yourself write access to the file and to its directory",
    ),
    (
        "SQLITE_CANTOPEN",
        "the database cannot be opened",
        "check that file and directory exist and that you may read and write them",
    ),
    ("SQLITE_PERM", "the database cannot be opened", "check the permissions of the file"),
    (
        "SQLITE_BUSY",
        "the database stayed locked by another process",
        "end the process that keeps it locked, for example an open transaction in a shell",
    ),
    ("SQLITE_IOERR", "reading or writing the database failed", "check the disk and its space"),
)


class SweepConnection(sqlite3.Connection):
    """A connection on which foreign keys, and so our cascades, are in force.

    Optuna makes its engine itself. Handing it this class as `factory` reaches every connection of
    that engine, and no other engine in the process.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Connect as `sqlite3.connect` does, then apply `PRAGMAS`."""
        super().__init__(*args, **kwargs)
        for pragma in PRAGMAS:
            self.execute(f"PRAGMA {pragma}")


class SqliteDatabase(Database):
    """An SQLite file.

    A transaction takes the file's write lock when it begins, so that it waits for its turn instead
    of failing half-way. A reader sees one state of the database throughout and waits for nobody.
    """

    reader_options: ClassVar[Mapping[str, Any]] = {"sweep_reader": True}
    grace_seconds: ClassVar[float] = 0.0

    @property
    def path(self) -> Path:
        """The file."""
        return database_path(self.url)

    def check(self, *, create: bool) -> None:
        """Find out before connecting whether the file can be a database.

        Raises:
            StoreError: The directory is missing, the path is no file, or the file is missing and
                must not be made.
        """
        path = self.path
        if not path.parent.is_dir():
            raise StoreError(
                "the directory of the database does not exist",
                where=self.where,
                received=str(path.parent),
                next_step="make the directory, or name another file with --storage",
            )
        if path.exists() and not path.is_file():
            inside = f"name a file in it: sqlite:///{path}/sweep.db" if path.is_dir() else None
            raise StoreError(
                "the path of the database is not a file",
                where=self.where,
                received=str(path),
                next_step=inside,
            )
        if not path.exists() and not create:
            raise StoreError(
                "there is no database yet",
                where=self.where,
                received=f"no file {path}",
                next_step="start a study with `sweep run FILE`, or name another --storage",
            )

    def is_blank(self) -> bool:
        """Whether there is no file."""
        return not self.path.exists()

    def make_engine(self) -> Engine:
        """An engine whose transactions are SQLite's own."""
        arguments = {"timeout": BUSY_SECONDS, "factory": SweepConnection, "isolation_level": None}
        engine = create_engine(self.url, connect_args=arguments)
        event.listen(engine, "begin", _begin)
        return engine

    def make_migration_engine(self) -> Engine:
        """An engine for migrations, without foreign keys in force.

        SQLite alters a table by copying it and dropping the old one; with foreign keys in force,
        the drop would delete every row that refers to the table.
        """
        arguments = {"timeout": BUSY_SECONDS, "isolation_level": None}
        engine = create_engine(self.url, connect_args=arguments)
        event.listen(engine, "begin", _begin)
        return engine

    def connect_optuna(self, *, create: bool = False) -> RDBStorage:
        """Optuna's storage, on connections with our pragmas; a new file keeps write-ahead logs."""
        if create:
            self._ensure_wal()
        return RDBStorage(
            self.url.render_as_string(hide_password=False),
            engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS, "factory": SweepConnection}},
            skip_compatibility_check=True,
            skip_table_creation=not create,
        )

    def schema_lock(self) -> AbstractContextManager[None]:
        """A file lock, so for the processes of this machine."""
        return file_lock(self.path.with_name(self.path.name + ".lock"), wait=True)

    def process_lock(self, name: str) -> AbstractContextManager[None]:
        """A file lock, so for the processes of this machine."""
        return file_lock(self._lock_path(name), wait=False)

    def lock_holder(self, name: str) -> Holder | None:
        """Whose id is in the lock's file."""
        return file_holder(self._lock_path(name))

    def now(self, connection: Connection) -> datetime:
        """This machine's, on which all of them run."""
        return datetime.now(UTC)

    def keep_locks(self, *, at_once: bool) -> None:
        """Nothing to do: the system does not take a lock from a process that lives."""

    def may_repeat(self, error: BaseException) -> bool:
        """Never: a file does not go away and come back, and SQLite itself waits for its lock."""
        return False

    def meaning(self, error: BaseException) -> Meaning:
        """What SQLite's name for the error means."""
        cause = innermost(error)
        name = getattr(cause, "sqlite_errorname", "")
        free = self._free_bytes()
        if name.startswith(_FULL) or (name.startswith("SQLITE_IOERR") and free < _LOG_BYTES):
            return Meaning(
                "the disk is full",
                f"{cause}; {free >> 10} KiB are free in {self.path.parent}",
                "free some space; `sweep run` then goes on",
                "room for the file and for the logs that SQLite keeps beside it",
            )
        if name.startswith(_REFUSED) and (refused := self._unwritable()):
            return Meaning(
                "the database cannot be written",
                f"{cause}; no right to write {', '.join(refused)}",
                "give yourself that right, or copy the database to a place where you have it",
                "the right to write the file, the logs that SQLite keeps beside it and the "
                "directory, which reading needs too",
            )
        for beginning, what, next_step in _MEANINGS:
            if name.startswith(beginning):
                return Meaning(what, str(cause), next_step)
        return Meaning("the database refused a statement", str(cause))

    def _free_bytes(self) -> int:
        system = os.statvfs(self.path.parent)
        return system.f_bavail * system.f_frsize

    def _unwritable(self) -> list[str]:
        """What is there of the database that this process must not write.

        A log is made with the rights of the file, and keeps them when the file gets others.
        """
        path = self.path
        logs = [path.with_name(path.name + end) for end in ("-wal", "-shm")]
        there = [p for p in (path.parent, path, *logs) if p.exists()]
        return [str(p) for p in there if not os.access(p, os.W_OK)]

    @property
    def raises(self) -> tuple[type[Exception], ...]:
        """What Python's module for SQLite raises."""
        return (sqlite3.Error,)

    def artifacts_directory(self) -> Path:
        """`NAME-artifacts` next to the file."""
        return self.path.with_name(f"{self.path.stem}-artifacts")

    def _lock_path(self, name: str) -> Path:
        return self.path.with_name(f"{self.path.name}-{name}.lock")

    def _ensure_wal(self) -> None:
        """Switch the database to write-ahead logging, which it then keeps."""
        engine = self.make_engine()
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode")
            if cursor.fetchone() != ("wal",):
                cursor.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
            engine.dispose()


def _begin(connection: Connection) -> None:
    reader = connection.get_execution_options().get("sweep_reader", False)
    connection.exec_driver_sql("BEGIN" if reader else "BEGIN IMMEDIATE")
