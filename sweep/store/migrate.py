"""Making the tables, checking their age, and bringing older ones up to date."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from optuna.storages import RDBStorage
from sqlalchemy import inspect, text

from sweep.errors import StoreError
from sweep.store.database import Database
from sweep.store.databases import database_at
from sweep.store.schema import REVISION, VERSION_TABLE

_UPGRADE: Final = "make a copy of the database, then run `sweep storage upgrade`"


def prepare(database: Database, *, create: bool) -> None:
    """Make sure that the database has our tables, of this program's age.

    Args:
        database: The database.
        create: Make the file and the tables where they are missing.

    Raises:
        StoreError: The database cannot be used, holds no tables of ours, or older or newer ones.
    """
    with database.translated():
        database.check(create=create)
        found = None if database.is_blank() else revision(database)
        if found is None and not create:
            raise _no_tables(database)
        if found is None:
            _create(database)
        elif found != REVISION:
            raise _wrong_age(database, "sweep", found, REVISION, older=found < REVISION)


def upgrade(url: str) -> tuple[str, str]:
    """Bring the tables of a database up to date, Optuna's and ours, and keep what they hold.

    Args:
        url: The storage URL.

    Returns:
        The versions before and after; equal if there was nothing to do.

    Raises:
        StoreError: The database cannot be used, or was made by a newer program.
    """
    with _at(url) as database, database.schema_lock():
        database.check(create=False)
        found = revision(database)
        if found is None:
            raise _no_tables(database)
        if found > REVISION:
            raise _wrong_age(database, "sweep", found, REVISION, older=False)
        storage = database.connect_optuna()
        try:
            before = _versions(database, storage)
            if storage.get_current_version() not in storage.get_all_versions():
                raise _wrong_optuna_age(database, storage)
            with _logging_left_alone():
                storage.upgrade()
            _run_migrations(database)
            return before, _versions(database, storage)
        finally:
            close_optuna(storage)


def is_new(url: str) -> bool:
    """Whether a database has no tables of ours yet, and `sweep run` would make them.

    Raises:
        StoreError: The database cannot be used.
    """
    with _at(url) as database:
        database.check(create=True)
        return database.is_blank()


@contextmanager
def _at(url: str) -> Iterator[Database]:
    database = database_at(url)
    with closing(database), database.translated():
        yield database


def revision(database: Database) -> str | None:
    """The revision of our tables, or None if there are none."""
    try:
        with database.reading() as connection:
            if VERSION_TABLE not in inspect(connection).get_table_names():
                return None
            found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
            return None if found is None else str(found)
    finally:
        database.close()


def open_optuna(database: Database) -> RDBStorage:
    """Optuna's storage of a database that has its tables.

    Raises:
        StoreError: The tables are older or newer than the installed Optuna.
    """
    with database.translated():
        storage = database.connect_optuna()
        if storage.get_current_version() == storage.get_head_version():
            return storage
        error = _wrong_optuna_age(database, storage)
        close_optuna(storage)
        raise error


def close_optuna(storage: RDBStorage) -> None:
    """Close the connections of Optuna's storage."""
    storage.remove_session()
    storage.engine.dispose()


def _create(database: Database) -> None:
    with database.schema_lock():
        if revision(database) is None:
            close_optuna(database.connect_optuna(create=True))
            _run_migrations(database)


def _run_migrations(database: Database) -> None:
    """Apply every missing revision in one transaction: all of them or none."""
    config = Config()
    directory = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", directory.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = database.make_migration_engine()
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


@contextmanager
def _logging_left_alone() -> Iterator[None]:
    """Optuna's migrations configure logging for the whole process unless somebody did before."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def _versions(database: Database, storage: RDBStorage) -> str:
    return f"sweep {revision(database)}, optuna {storage.get_current_version()}"


def _no_tables(database: Database) -> StoreError:
    return StoreError(
        "the database holds no study of sweep",
        where=database.where,
        next_step="start a study with `sweep run FILE`, or name another --storage",
    )


def _wrong_optuna_age(database: Database, storage: RDBStorage) -> StoreError:
    found, head = storage.get_current_version(), storage.get_head_version()
    older = found in storage.get_all_versions()
    return _wrong_age(database, "Optuna", found, head, older=older)


def _wrong_age(
    database: Database, whose: str, found: str, expected: str, *, older: bool
) -> StoreError:
    age = "older" if older else "newer"
    return StoreError(
        f"{whose}'s tables in the database are {age} than this program",
        where=database.where,
        expected=f"version {expected}",
        received=f"version {found}",
        next_step=_UPGRADE if older else f"update {whose.lower()} to the version that made them",
    )
