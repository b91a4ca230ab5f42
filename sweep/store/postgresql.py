"""PostgreSQL as `sweep` uses it: connections, engines, locks.

The server's `synchronous_commit`, `on` unless its owner changed it, makes a commit wait for the
disk: what was committed survives the death of the process, of the server and a power loss. A
transaction in flight when the connection breaks is rolled back, and run again by
`Database.repeat`; between two transactions a server may restart and nobody notices but by waiting.

A role needs no more than a schema of its own, first in its `search_path`: tables are made there,
and locks are those that the server grants to every session.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

import psycopg
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import BaseModel
from psycopg.types.string import StrDumper, StrDumperUnknown
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect, text
from sqlalchemy.engine import URL, Dialect

from sweep.errors import StoreError
from sweep.store import sqlstates
from sweep.store.advisory import AdvisoryLock, client_name, find_holder
from sweep.store.database import Database, Meaning, Patience
from sweep.store.locks import Holder
from sweep.store.schema import VERSION_TABLE

CONNECT_SECONDS: Final = 10
LOCK_SECONDS: Final = 60
STATEMENT_SECONDS: Final = 300
STANDSTILL_SECONDS: Final = 60
# A peer that vanished is noticed after 15 + 3 * 5 seconds, by the client and by the server.
KEEPALIVES: Final = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}

_log = logging.getLogger(__name__)


class _TextDumper(StrDumper):
    """PostgreSQL keeps every character but one, which the log of a dying worker may hold."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}"))


class _UnknownTextDumper(StrDumperUnknown):
    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}"))


class PostgresqlDatabase(Database):
    """A database of a PostgreSQL server, in the first schema of the role's `search_path`.

    Transactions that must wait for each other lock Optuna's row of the study first, as Optuna does
    itself. A reader sees one state of the database throughout and waits for nobody.
    """

    reader_options: ClassVar[Mapping[str, Any]] = {
        "isolation_level": "REPEATABLE READ",
        "postgresql_readonly": True,
    }
    # A session that was lost is replaced before the next transaction.
    grace_seconds: ClassVar[float] = 30.0

    def __init__(self, url: URL) -> None:
        """Connect to nothing yet."""
        super().__init__(url)
        self._reached = False
        self._locks: list[AdvisoryLock] = []

    # Connecting

    def check(self, *, create: bool) -> None:
        """Connect, and see whether there is a schema for the tables.

        A server that was never reached is not waited for, unless it says that it is starting.

        Raises:
            StoreError: There is no schema.
        """
        with self.reading() as connection:
            if connection.execute(text("SELECT current_schema()")).scalar() is None:
                raise StoreError(
                    "there is no schema to keep the tables in",
                    where=self.where,
                    received=str(connection.execute(text("SHOW search_path")).scalar()),
                    next_step="as the database's owner: CREATE SCHEMA AUTHORIZATION "
                    f"{self.url.username or 'USER'}",
                )

    def is_blank(self) -> bool:
        """Whether the database lacks our tables."""
        with self.reading() as connection:
            return not inspect(connection).has_table(VERSION_TABLE)

    def make_engine(self) -> Engine:
        """An engine whose connections are checked before use."""
        engine = create_engine(self.url, **self._engine_arguments(STATEMENT_SECONDS))
        event.listen(engine, "connect", _replace_zero_characters)
        return self._waited_for(engine)

    def make_migration_engine(self) -> Engine:
        """An engine whose statements may take their time."""
        return self._waited_for(create_engine(self.url, **self._engine_arguments(0)))

    def connect_optuna(self, *, create: bool = False) -> RDBStorage:
        """Optuna's storage, on connections like ours."""
        if create:
            self._make_optunas_tables()
        storage = RDBStorage(
            self.url.render_as_string(hide_password=False),
            engine_kwargs=self._engine_arguments(STATEMENT_SECONDS),
            skip_compatibility_check=True,
            skip_table_creation=True,
        )
        self._waited_for(storage.engine)
        return storage

    def _make_optunas_tables(self) -> None:
        """Optuna's storage would leave its connection open where it may not make them."""
        engine = self.make_migration_engine()
        try:
            BaseModel.metadata.create_all(engine)
        finally:
            engine.dispose()

    def close(self) -> None:
        """Close the connections that are not in use. Calling it again is harmless."""
        super().close()
        self._session_engine.dispose()

    @cached_property
    def _session_engine(self) -> Engine:
        """Makes a connection each time, without transactions: for locks."""
        arguments = self._engine_arguments(STATEMENT_SECONDS)
        return self._waited_for(
            create_engine(
                self.url,
                poolclass=NullPool,
                isolation_level="AUTOCOMMIT",
                connect_args=arguments["connect_args"],
            )
        )

    def _engine_arguments(self, statement_seconds: int) -> dict[str, Any]:
        settings = {
            "timezone": "UTC",
            "lock_timeout": f"{LOCK_SECONDS}s",
            "statement_timeout": f"{statement_seconds}s",
            # A process that was stopped in the middle must not keep a study's row for ever.
            "idle_in_transaction_session_timeout": f"{STANDSTILL_SECONDS}s",
            **{f"tcp_{name}": value for name, value in KEEPALIVES.items()},
        }
        ours = " ".join(f"-c {name}={value}" for name, value in settings.items())
        theirs = self.url.query.get("options", "")
        defaults = {"connect_timeout": CONNECT_SECONDS, **KEEPALIVES}
        arguments = {
            **{name: value for name, value in defaults.items() if name not in self.url.query},
            "application_name": client_name(),
            "options": " ".join([ours, *([theirs] if isinstance(theirs, str) else theirs)]),
        }
        return {"connect_args": arguments, "pool_pre_ping": True}

    def _waited_for(self, engine: Engine) -> Engine:
        event.listen(engine, "do_connect", self._connect)
        return engine

    def _connect(
        self, dialect: Dialect, _: object, arguments: list[Any], options: dict[str, Any]
    ) -> Any:
        """Connect; a server that was there before is waited for."""
        patience = Patience(self.patience_seconds)
        while True:
            try:
                connection = dialect.connect(*arguments, **options)
            except psycopg.OperationalError as error:
                comes = self._reached and not sqlstates.is_refusal(error)
                if not (comes or sqlstates.is_passing_refusal(error)):
                    raise
                if not patience.tried:
                    said = sqlstates.meaning(error).received
                    _log.warning("waiting for the database %s: %s", self.where, said)
                if not patience.wait():
                    raise
            else:
                self._reached = True
                return connection

    # Locks

    @contextmanager
    def schema_lock(self) -> Iterator[None]:
        """An advisory lock, so for the processes of every machine."""
        lock = AdvisoryLock(self._session_engine, "tables")
        lock.acquire(wait=True)
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def process_lock(self, name: str) -> Iterator[None]:
        """An advisory lock, so for the processes of every machine.

        A session that was lost is replaced before the next transaction, if nobody else took the
        lock meanwhile.
        """
        lock = AdvisoryLock(self._session_engine, name)
        lock.acquire(wait=False)
        self._locks.append(lock)
        try:
            yield
        finally:
            self._locks.remove(lock)
            lock.release()

    def lock_holder(self, name: str) -> Holder | None:
        """Whose session holds the lock, as that session calls itself."""
        with self.reading() as connection:
            return find_holder(connection, name)

    def now(self, connection: Connection) -> datetime:
        """The server's."""
        now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return now

    def keep_locks(self, *, at_once: bool) -> None:
        """Look after the sessions that hold them."""
        for lock in tuple(self._locks):
            lock.keep(at_once=at_once)

    # Errors

    def may_repeat(self, error: BaseException) -> bool:
        """If the connection broke, or the server chose this transaction to end a deadlock."""
        return sqlstates.passes(error)

    def meaning(self, error: BaseException) -> Meaning:
        """What the SQLSTATE means, or the words of a server that refuses a connection."""
        return sqlstates.meaning(error)

    @property
    def raises(self) -> tuple[type[Exception], ...]:
        """What `psycopg` raises."""
        return (psycopg.Error,)

    # Files

    def artifacts_directory(self) -> Path:
        """`DATABASE-artifacts` in the working directory."""
        return Path.cwd() / f"{self.url.database}-artifacts"


def _replace_zero_characters(connection: Any, _: object) -> None:
    connection.adapters.register_dumper(str, _TextDumper)
    connection.adapters.register_dumper(str, _UnknownTextDumper)
