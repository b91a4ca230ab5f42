"""What the database's own errors mean for the user."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sweep.errors import StoreError

# By the beginning of SQLite's name for the error, the special before the general.
_MEANINGS: Final[tuple[tuple[str, str, str], ...]] = (
    ("SQLITE_NOTADB", "the file is not an SQLite database", "name another file"),
    (
        "SQLITE_CORRUPT",
        "the database is damaged",
        "restore a copy, or save what can be read with `sqlite3 FILE .recover`",
    ),
    ("SQLITE_FULL", "the disk is full", "free some space; `sweep run` then goes on"),
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


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn errors of SQLAlchemy, and of Optuna's storage, into `StoreError`.

    Args:
        where: The database concerned, without a password.

    Raises:
        StoreError: The block raised an error of the database.
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, sqlite3.Error) as error:
        raise _store_error(error, where) from error


def _store_error(error: BaseException, where: str) -> StoreError:
    cause = _sqlite_error(error)
    name = getattr(cause, "sqlite_errorname", "")
    for beginning, what, next_step in _MEANINGS:
        if name.startswith(beginning):
            return StoreError(what, where=where, received=str(cause), next_step=next_step)
    return StoreError("the database refused a statement", where=where, received=str(cause))


def _sqlite_error(error: BaseException) -> BaseException:
    """The innermost error, the one that SQLite itself raised if there is one."""
    while True:
        inner = error.orig if isinstance(error, DBAPIError) else error.__cause__
        if inner is None:
            return error
        error = inner
