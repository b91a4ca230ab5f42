"""Locks between processes of any machine, kept by PostgreSQL for as long as a session lives.

Each is held by a connection of its own. When the process ends, however it ends, the system closes
the connection and the server lets go; when its machine or the network vanishes, the server finds
out by TCP's keep-alives, within the half minute that `sweep.store.postgresql` asks for.
"""

import hashlib
import os
import re
import socket
import threading
import time
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from sweep.errors import StoreError
from sweep.store.database import PATIENCE_SECONDS, Patience
from sweep.store.locks import TRIES, TRY_EVERY_SECONDS, Holder, LockHeldError

LOOK_EVERY_SECONDS: Final = 5.0
# PostgreSQL cuts names of clients there.
_LONGEST_NAME: Final = 63
_HOLDER: Final = text(
    "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND (CAST(CAST(l.classid AS bigint) << 32 AS bigint) | CAST(l.objid AS bigint)) = :key"
)


def client_name() -> str:
    """How this process is called in the server's list of its clients."""
    return f"sweep {os.getpid()}@{socket.gethostname()}"[:_LONGEST_NAME]


def _holder_named(name: str) -> Holder:
    found = re.fullmatch(r"sweep (\d+)@(.+)", name)
    return Holder(int(found[1]), found[2]) if found else Holder(None, None)


def find_holder(connection: Connection, name: str) -> Holder | None:
    """Who holds the lock of this name, or None."""
    client = connection.execute(_HOLDER, {"key": _key(connection, name)}).scalar()
    return None if client is None else _holder_named(client)


def _key(connection: Connection, name: str) -> int:
    """A number for the name; the tables of each schema have locks of their own."""
    schema = connection.execute(text("SELECT current_schema()")).scalar()
    digest = hashlib.sha256(f"sweep/{schema}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


class AdvisoryLock:
    """A lock of the server's. May be looked after from several threads."""

    def __init__(self, engine: Engine, name: str) -> None:
        """Nothing is held before `acquire`.

        Args:
            engine: Makes a connection each time, without transactions.
            name: What is locked.
        """
        self._engine = engine
        self._name = name
        self._connection: Connection | None = None
        self._mutex = threading.Lock()
        self._seen_at = 0.0

    def acquire(self, *, wait: bool) -> None:
        """Take the lock.

        Args:
            wait: Wait for as long as it takes, instead of one second: a killed holder's
                connection takes the server a moment.

        Raises:
            LockHeldError: Another session kept the lock.
        """
        connection = self._engine.connect()
        try:
            key = _key(connection, self._name)
            if wait:
                connection.execute(text("SET lock_timeout = 0"))
                connection.execute(text("SET statement_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
            else:
                self._try(connection, key)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._seen_at = time.monotonic()

    def _try(self, connection: Connection, key: int) -> None:
        query = text("SELECT pg_try_advisory_lock(:key)")
        for _ in range(TRIES):
            if connection.execute(query, {"key": key}).scalar():
                return
            time.sleep(TRY_EVERY_SECONDS)
        raise LockHeldError(find_holder(connection, self._name) or Holder(None, None))

    def keep(self, *, at_once: bool) -> None:
        """Make sure that the lock is still held; take it anew if the session was lost.

        Between two looks another process can have taken it, for five seconds at most if this one
        writes all the time.

        Args:
            at_once: Look even if that was done a moment ago.

        Raises:
            StoreError: Another process took it.
        """
        with self._mutex:
            if not at_once and time.monotonic() - self._seen_at < LOOK_EVERY_SECONDS:
                return
            if self._lives():
                self._seen_at = time.monotonic()
                return
            self._take_again()

    def _lives(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute(text("SELECT 1"))
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            self._connection.close()
            self._connection = None
            return False
        return True

    def _take_again(self) -> None:
        patience = Patience(PATIENCE_SECONDS)
        while True:
            try:
                self.acquire(wait=False)
                return
            except LockHeldError as error:
                # Where a wire was cut, the server finds out later that our own session is dead.
                ours = error.holder == _holder_named(client_name())
                if not ours or not patience.wait():
                    raise self._lost_to(error.holder) from error

    def _lost_to(self, holder: Holder) -> StoreError:
        return StoreError(
            "another process took over while the connection to the database was lost",
            where=self._name,
            received=f"process {holder.pid} on {holder.host}",
            next_step="let that one finish: what this process wrote is kept",
        )

    def release(self) -> None:
        """Let go; a session that was lost has let go already."""
        with self._mutex:
            if self._connection is not None:
                with suppress(DBAPIError):
                    self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
                self._connection.close()
                self._connection = None
