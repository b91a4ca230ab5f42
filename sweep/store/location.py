"""Storage URLs: what they name, and how they are shown without their passwords."""

import re
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from sweep.errors import StoreError

EXPECTED: Final = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
# What is written before `://`, and the kind of database that it is with the driver of our choice.
_DRIVERS: Final = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_SECRET_KEYS: Final = re.compile("pass|pwd|secret|token", re.IGNORECASE)


def storage_url(text: str) -> str:
    """The URL that a user means: a bare path is an SQLite file.

    `NAME:PASSWORD@HOST` is a URL whose beginning was forgotten, and must not be shown as a path.
    """
    is_url = "://" in text or re.match(r"[^/]*:.*@", text)
    return text if is_url else f"sqlite:///{text}"


def safe_url(url: str) -> str:
    """The URL with every password replaced by `***`, fit for messages and logs."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return _blacked_out(url)
    if _is_torn(parsed):
        return _blacked_out(url)
    secrets = {key: "***" for key in parsed.query if _SECRET_KEYS.search(key)}
    shown = parsed.update_query_dict(secrets).render_as_string(hide_password=True)
    return shown.replace("%2A%2A%2A", "***")


def _is_torn(url: URL) -> bool:
    """Whether a password has ended up in other parts of the URL, by an `@` or `/` in it."""
    return url.get_backend_name() != "sqlite" and "@" in f"{url.host}{url.database}"


def _blacked_out(url: str) -> str:
    """A URL that cannot be taken apart rightly, as with an `@` or `/` in its password."""
    url = re.sub(r"^(.*?://)?.*@", r"\1***@", url)
    return re.sub(r"(\w*(?:pass|pwd|secret|token)\w*=)[^&]*", r"\1***", url, flags=re.IGNORECASE)


def parse_url(url: str) -> URL:
    """Read a storage URL.

    Returns:
        The URL, naming the driver that `sweep` uses.

    Raises:
        StoreError: It is no URL, or names a database that `sweep` cannot use.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError(
            "the storage URL cannot be read",
            expected=EXPECTED,
            received=safe_url(url),
            next_step=None if ":" in url else f"write sqlite:///{safe_url(url)}",
        ) from None
    if parsed.drivername not in _DRIVERS:
        raise StoreError(
            f"sweep cannot use {parsed.drivername} databases",
            expected=EXPECTED,
            received=safe_url(url),
            next_step="name such a database with --storage or SWEEP_STORAGE",
        )
    if _is_torn(parsed):
        raise StoreError(
            "the storage URL cannot be taken apart",
            expected=EXPECTED,
            received=safe_url(url),
            next_step="write %40 for an @ in the password, %2F for a / and %3A for a :",
        )
    parsed = parsed.set(drivername=_DRIVERS[parsed.drivername])
    if parsed.get_backend_name() == "postgresql":
        return _named(parsed)
    if parsed.database in (None, "", ":memory:"):
        raise StoreError(
            "a database in memory would be lost, and no other process could read it",
            expected=EXPECTED,
            received=safe_url(url),
        )
    return parsed


def database_path(url: URL) -> Path:
    """The file of a parsed SQLite URL, without the `file:` of an SQLite URI."""
    return Path((url.database or "").removeprefix("file:")).absolute()


def _named(url: URL) -> URL:
    """A PostgreSQL URL that says which database it means."""
    if not url.database:
        raise StoreError(
            "the storage URL names no database",
            expected=EXPECTED,
            received=safe_url(url.render_as_string(hide_password=False)),
        )
    return url
