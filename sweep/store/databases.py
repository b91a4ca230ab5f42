"""Which class answers to a storage URL."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL

from sweep.errors import StoreError
from sweep.store.database import Database
from sweep.store.location import parse_url, safe_url
from sweep.store.password import with_password
from sweep.store.sqlite import SqliteDatabase


def database_at(url: str) -> Database:
    """The database that a URL names; it is not connected to.

    Raises:
        StoreError: It is no URL, or names a database that `sweep` cannot use, or not without
            another package, or the file with its password cannot be read.
    """
    parsed = parse_url(url)
    return _KINDS[parsed.get_backend_name()](parsed)


def artifacts_directory(url: str) -> Path:
    """Where the files of a database's studies lie by default.

    For a file, that is `NAME-artifacts` next to it, for a database of a server
    `DATABASE-artifacts` in the working directory.

    Raises:
        StoreError: As `database_at`.
    """
    return database_at(url).artifacts_directory()


def _postgresql(url: URL) -> Database:
    """Loads `psycopg`, which is an extra."""
    try:
        from sweep.store.postgresql import PostgresqlDatabase
    except ImportError as error:
        # Also raised where psycopg is installed, and the C library that it needs is not.
        raise StoreError(
            "PostgreSQL needs a package that is not installed",
            where=safe_url(url.render_as_string(hide_password=False)),
            expected="the package psycopg",
            received=str(error),
            next_step="pip install 'sweep[postgresql]'",
        ) from error
    return PostgresqlDatabase(with_password(url))


_KINDS: Final[Mapping[str, Callable[[URL], Database]]] = {
    "sqlite": SqliteDatabase,
    "postgresql": _postgresql,
}
