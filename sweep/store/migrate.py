"""Making the tables, checking their age, and bringing older ones up to date."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from optuna.storages import RDBStorage
from sqlalchemy import inspect, text
from sqlalchemy.engine import URL

from sweep.errors import StoreError
from sweep.store.failures import translated
from sweep.store.location import database_path, parse_url, safe_url
from sweep.store.locks import file_lock
from sweep.store.schema import REVISION, VERSION_TABLE
from sweep.store.sqlite import (
    READER,
    check_file,
    ensure_wal,
    make_engine,
    make_migration_engine,
    optuna_engine_arguments,
)

_UPGRADE: Final = "make a copy of the database, then run `sweep storage upgrade`"


def prepare(url: URL, *, create: bool) -> None:
    """Make sure that the database has our tables, of this program's age.

    Args:
        url: The database, as `parse_url` gives it.
        create: Make the file and the tables where they are missing.

    Raises:
        StoreError: The file cannot be used, holds no tables of ours, or older or newer ones.
    """
    where = safe_url(str(url))
    with translated(where):
        check_file(url, create=create)
        found = revision(url) if database_path(url).exists() else None
        if found is None and not create:
            raise _no_tables(where)
        if found is None:
            _create(url)
        elif found != REVISION:
            raise _wrong_age(where, "sweep", found, REVISION, older=found < REVISION)


def upgrade(url: str) -> tuple[str, str]:
    """Bring the tables of a database up to date, Optuna's and ours, and keep what they hold.

    Args:
        url: The storage URL.

    Returns:
        The versions before and after; equal if there was nothing to do.

    Raises:
        StoreError: The database cannot be used, or was made by a newer program.
    """
    parsed = parse_url(url)
    where = safe_url(url)
    with translated(where), _creation_lock(parsed):
        check_file(parsed, create=False)
        found = revision(parsed)
        if found is None:
            raise _no_tables(where)
        if found > REVISION:
            raise _wrong_age(where, "sweep", found, REVISION, older=False)
        storage = _connect_optuna(parsed)
        try:
            before = _versions(parsed, storage)
            if storage.get_current_version() not in storage.get_all_versions():
                raise _wrong_optuna_age(where, storage)
            with _logging_left_alone():
                storage.upgrade()
            _run_migrations(parsed)
            return before, _versions(parsed, storage)
        finally:
            close_optuna(storage)


def revision(url: URL) -> str | None:
    """The revision of our tables, or None if there are none."""
    engine = make_engine(url)
    try:
        with engine.connect().execution_options(**READER) as connection:
            if VERSION_TABLE not in inspect(connection).get_table_names():
                return None
            found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
            return None if found is None else str(found)
    finally:
        engine.dispose()


def open_optuna(url: URL) -> RDBStorage:
    """Optuna's storage of a database that has its tables.

    Raises:
        StoreError: The tables are older or newer than the installed Optuna.
    """
    where = safe_url(str(url))
    with translated(where):
        storage = _connect_optuna(url)
        if storage.get_current_version() == storage.get_head_version():
            return storage
        error = _wrong_optuna_age(where, storage)
        close_optuna(storage)
        raise error


def close_optuna(storage: RDBStorage) -> None:
    """Close the connections of Optuna's storage."""
    storage.remove_session()
    storage.engine.dispose()


def _connect_optuna(url: URL, *, create: bool = False) -> RDBStorage:
    """Optuna's storage, whatever the age of its tables."""
    return RDBStorage(
        url.render_as_string(hide_password=False),
        engine_kwargs=optuna_engine_arguments(),
        skip_compatibility_check=True,
        skip_table_creation=not create,
    )


def _create(url: URL) -> None:
    with _creation_lock(url):
        engine = make_engine(url)
        try:
            ensure_wal(engine)
        finally:
            engine.dispose()
        if revision(url) is None:
            close_optuna(_connect_optuna(url, create=True))
            _run_migrations(url)


def _run_migrations(url: URL) -> None:
    """Apply every missing revision in one transaction: all of them or none."""
    config = Config()
    directory = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", directory.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = make_migration_engine(url)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _creation_lock(url: URL) -> AbstractContextManager[None]:
    """One process at a time makes or alters the tables of a database."""
    path = database_path(url)
    return file_lock(path.with_name(path.name + ".lock"), wait=True)


@contextmanager
def _logging_left_alone() -> Iterator[None]:
    """Optuna's migrations configure logging for the whole process unless somebody did before."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def _versions(url: URL, storage: RDBStorage) -> str:
    return f"sweep {revision(url)}, optuna {storage.get_current_version()}"


def _no_tables(where: str) -> StoreError:
    return StoreError(
        "the database holds no study of sweep",
        where=where,
        next_step="start a study with `sweep run FILE`, or name another --storage",
    )


def _wrong_optuna_age(where: str, storage: RDBStorage) -> StoreError:
    found, head = storage.get_current_version(), storage.get_head_version()
    older = found in storage.get_all_versions()
    return _wrong_age(where, "Optuna", found, head, older=older)


def _wrong_age(where: str, whose: str, found: str, expected: str, *, older: bool) -> StoreError:
    age = "older" if older else "newer"
    return StoreError(
        f"{whose}'s tables in the database are {age} than this program",
        where=where,
        expected=f"version {expected}",
        received=f"version {found}",
        next_step=_UPGRADE if older else f"update {whose.lower()} to the version that made them",
    )
