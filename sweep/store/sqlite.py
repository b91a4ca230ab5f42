"""SQLite as `sweep` uses it: connections, engines, and what can be wrong with the file.

Write-ahead logging lets any number of processes read while one writes. `synchronous = NORMAL`
writes without waiting for the disk at each commit: a process killed at any moment, even by
SIGKILL, loses no committed transaction; a power loss or a crash of the operating system may lose
the last ones, never the consistency of the file.
"""

import sqlite3
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from sweep.errors import StoreError
from sweep.store.location import database_path, safe_url

BUSY_SECONDS: Final = 60.0
PRAGMAS: Final = ("foreign_keys = ON", "synchronous = NORMAL")
READER: Final = {"sweep_reader": True}


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


def optuna_engine_arguments() -> dict[str, Any]:
    """What Optuna's storage passes to SQLAlchemy for its engine."""
    return {"connect_args": {"timeout": BUSY_SECONDS, "factory": SweepConnection}}


def make_engine(url: URL) -> Engine:
    """An engine whose transactions are SQLite's own.

    A transaction takes the write lock when it begins, so that it waits for its turn instead of
    failing half-way; with `READER` among its execution options it sees one state of the database
    throughout and waits for nobody.
    """
    arguments = {"timeout": BUSY_SECONDS, "factory": SweepConnection, "isolation_level": None}
    engine = create_engine(url, connect_args=arguments)
    event.listen(engine, "begin", _begin)
    return engine


def make_migration_engine(url: URL) -> Engine:
    """An engine for migrations, without foreign keys in force.

    SQLite alters a table by copying it and dropping the old one; with foreign keys in force, the
    drop would delete every row that refers to the table.
    """
    arguments = {"timeout": BUSY_SECONDS, "isolation_level": None}
    engine = create_engine(url, connect_args=arguments)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    reader = connection.get_execution_options().get("sweep_reader", False)
    connection.exec_driver_sql("BEGIN" if reader else "BEGIN IMMEDIATE")


def check_file(url: URL, *, create: bool) -> None:
    """Find out before connecting whether the file can be a database.

    Raises:
        StoreError: The directory is missing, the path is no file, or the file is missing and
            must not be made.
    """
    path = database_path(url)
    where = safe_url(str(url))
    if not path.parent.is_dir():
        raise StoreError(
            "the directory of the database does not exist",
            where=where,
            received=str(path.parent),
            next_step="make the directory, or name another file with --storage",
        )
    if path.exists() and not path.is_file():
        raise StoreError(
            "the path of the database is not a file",
            where=where,
            received=str(path),
            next_step=f"name a file in it: sqlite:///{path}/sweep.db" if path.is_dir() else None,
        )
    if not path.exists() and not create:
        raise StoreError(
            "there is no database yet",
            where=where,
            received=f"no file {path}",
            next_step="start a study with `sweep run FILE`, or name another --storage",
        )


def ensure_wal(engine: Engine) -> None:
    """Switch the database to write-ahead logging, which it then keeps."""
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone() != ("wal",):
            cursor.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
