"""What PostgreSQL's errors mean for the user, and which of them pass by themselves."""

import re
from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError

from sweep.store.database import Meaning

# By the beginning of the SQLSTATE, the special before the general: what went wrong, what to do.
_MEANINGS: Final[tuple[tuple[str, str, str | None], ...]] = (
    (
        "28",
        "the database server refused the login",
        "check user and password in the URL; without a password there, PGPASSWORD, ~/.pgpass or "
        "the file that SWEEP_STORAGE_PASSWORD_FILE names gives it",
    ),
    ("3D000", "there is no such database on the server", "make it: createdb -O USER DATABASE"),
    (
        "3F000",
        "there is no schema to keep the tables in",
        "as the database's owner: CREATE SCHEMA AUTHORIZATION USER",
    ),
    (
        "42501",
        "the database role lacks a permission",
        "it needs a schema of its own, first in its search_path; as the database's owner: "
        "CREATE SCHEMA AUTHORIZATION USER",
    ),
    ("53100", "the disk of the database server is full", "free some; `sweep run` then goes on"),
    (
        "53300",
        "the database server has no connection left",
        "raise its max_connections, or end some clients",
    ),
    ("53", "the database server is short of resources", "see its log"),
    (
        "55P03",
        "the database stayed locked by another process",
        "end the process that keeps it locked, for example an open transaction in a shell",
    ),
    (
        "57014",
        "the database server ended a statement that took too long",
        "see its load and its log",
    ),
    (
        "57P",
        "the database server is shutting down or starting",
        "start it, then run the command again: what is written stays",
    ),
    ("25P03", "the database server ended a transaction that stood still", "run it again"),
    (
        "25006",
        "the database can only be read",
        "name the primary server: this one is a standby, or its transactions are read-only",
    ),
    ("40", "transactions of several processes got in each other's way", "run it again"),
    ("08", "the connection to the database server was lost", "run it again"),
    ("XX001", "the database is damaged", "restore a backup"),
    ("XX002", "the database is damaged", "restore a backup, or REINDEX"),
    ("58", "the database server could not read or write its files", "see its log and its disk"),
)
_NO_CONNECTION: Final = (
    "cannot connect to the database server",
    "check that it runs, and host, port and firewall",
)
# A connection that is refused has words and no SQLSTATE; these are the words in English.
_REFUSALS: Final[tuple[tuple[str, str], ...]] = (
    ("authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("is not permitted to log in", "28000"),
    ("role .* does not exist", "28000"),
    ("database .* does not exist", "3D000"),
    ("permission denied for database", "42501"),
)
_PASSING_REFUSALS: Final[tuple[tuple[str, str], ...]] = (
    ("is starting up", "57P03"),
    ("is shutting down", "57P03"),
    ("is in recovery mode", "57P03"),
    ("not yet accepting connections", "57P03"),
    ("too many clients", "53300"),
    ("too many connections", "53300"),
    ("remaining connection slots", "53300"),
)
_BREAKS: Final = (("server closed the connection", "08006"), ("connection is lost", "08006"))
# Ended by the server, deadlock or conflict: nothing was committed, or the connection is gone.
_PASSING: Final = ("08", "25P03", "40001", "40P01", "57P01", "57P02", "57P03", "57P05")


def passes(error: BaseException) -> bool:
    """Whether a transaction failed for a reason that passes: its connection broke, or a deadlock.

    That a new connection cannot be had is not among them: connecting has waited already.
    """
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, psycopg.Error):
        return (error.sqlstate or "").startswith(_PASSING)
    inner = error.orig if isinstance(error, DBAPIError) else error.__cause__
    return inner is not None and passes(inner)


def is_refusal(error: psycopg.OperationalError) -> bool:
    """Whether a connection was refused for a reason that does not pass by itself."""
    refused = "FATAL:" in str(error) or _state_in(str(error), _REFUSALS) != ""
    return refused and not is_passing_refusal(error)


def is_passing_refusal(error: psycopg.OperationalError) -> bool:
    """Whether a server answered that it cannot take the connection just now."""
    return _state_in(str(error), _PASSING_REFUSALS) != ""


def meaning(error: BaseException) -> Meaning:
    """What an error of `psycopg`, perhaps within others, means."""
    cause = _psycopg_error(error)
    if cause is None:
        return Meaning("the database refused a statement", str(error))
    received = " ".join(str(cause).split())
    state = cause.sqlstate or _state_in(received, (*_PASSING_REFUSALS, *_REFUSALS, *_BREAKS))
    for beginning, what, next_step in _MEANINGS:
        if state.startswith(beginning):
            return Meaning(what, received, next_step)
    if isinstance(cause, psycopg.OperationalError) and not cause.sqlstate:
        return Meaning(_NO_CONNECTION[0], received, _NO_CONNECTION[1])
    return Meaning("the database refused a statement", received)


def _state_in(words: str, table: tuple[tuple[str, str], ...]) -> str:
    """The SQLSTATE that goes with the words of an error, or an empty text."""
    return next((state for pattern, state in table if re.search(pattern, words)), "")


def _psycopg_error(error: BaseException) -> psycopg.Error | None:
    found: BaseException | None = error
    while found is not None and not isinstance(found, psycopg.Error):
        found = found.orig if isinstance(found, DBAPIError) else found.__cause__
    return found
