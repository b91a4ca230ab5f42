"""The seam between the store and what holds its tables: SQLite or PostgreSQL."""

import logging
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from sweep.errors import StoreError
from sweep.store.location import safe_url
from sweep.store.locks import Holder

PATIENCE_SECONDS: Final = 60.0
FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 2.0

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error of the database means for the user.

    Attributes:
        what: One sentence that says what went wrong.
        received: The database's own words.
        next_step: What the user can do about it.
        expected: What would have been right.
    """

    what: str
    received: str
    next_step: str | None = None
    expected: str | None = None


class Patience:
    """Pauses that grow, until the time is up."""

    def __init__(self, seconds: float) -> None:
        """Begin to count.

        Args:
            seconds: How long to be patient, from the first pause on.
        """
        self._seconds = seconds
        self._until: float | None = None
        self._pause = FIRST_PAUSE_SECONDS

    @property
    def tried(self) -> bool:
        """Whether there was a pause already."""
        return self._until is not None

    def wait(self) -> bool:
        """Pause; returns False at once, without a pause, when the time is up."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._seconds
        if now >= self._until:
            return False
        # Drivers that lost the same server must not come back in step.
        time.sleep(self._pause * random.uniform(0.5, 1.0))
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        return True


class Database(ABC):
    """A database behind a store. Nothing is connected to before it is used.

    Attributes:
        url: The URL with its password: never for messages.
        where: The URL without it.
        reader_options: Execution options of a connection that sees one state throughout.
        grace_seconds: How long a process that lives may be without its lock.
        patience_seconds: How long a server that went away is waited for.
    """

    reader_options: ClassVar[Mapping[str, Any]]
    grace_seconds: ClassVar[float]

    def __init__(self, url: URL) -> None:
        """Keep the URL, as `parse_url` gives it."""
        self.url = url
        self.where = safe_url(url.render_as_string(hide_password=False))
        self.patience_seconds = PATIENCE_SECONDS

    def __repr__(self) -> str:
        """Without a password."""
        return f"{type(self).__name__}({self.where!r})"

    # Connecting

    @abstractmethod
    def check(self, *, create: bool) -> None:
        """Find out whether the database can be used.

        Args:
            create: Whether what is missing is going to be made.

        Raises:
            StoreError: It cannot.
        """

    @abstractmethod
    def is_blank(self) -> bool:
        """Whether nothing of ours is there yet."""

    @abstractmethod
    def make_engine(self) -> Engine:
        """An engine of which each transaction holds the locks of what it is going to write."""

    @abstractmethod
    def make_migration_engine(self) -> Engine:
        """An engine that may alter tables, for as long as it takes."""

    @abstractmethod
    def connect_optuna(self, *, create: bool = False) -> RDBStorage:
        """Optuna's storage, whatever the age of its tables; they are made if `create`."""

    @cached_property
    def engine(self) -> Engine:
        """The engine of the store's own transactions."""
        return self.make_engine()

    def close(self) -> None:
        """Close the connections of `engine`. Calling it again is harmless."""
        self.engine.dispose()

    # Locks between processes, released by the system however their holder ends.

    @abstractmethod
    def schema_lock(self) -> AbstractContextManager[None]:
        """Be the one process that makes or alters tables; waits for its turn."""

    @abstractmethod
    def process_lock(self, name: str) -> AbstractContextManager[None]:
        """Be the one process that holds the lock of this name.

        Raises:
            LockHeldError: Another one does.
        """

    @abstractmethod
    def lock_holder(self, name: str) -> Holder | None:
        """Who holds the lock of this name, or None if nobody does."""

    @abstractmethod
    def now(self, connection: Connection) -> datetime:
        """The time by the clock that all processes on this database share."""

    @abstractmethod
    def keep_locks(self, *, at_once: bool) -> None:
        """Make sure that locks taken here are still held; called before every transaction.

        Args:
            at_once: Whether to look even if that was done a moment ago.

        Raises:
            StoreError: Another process took one over, while the connection was lost.
        """

    # Transactions

    def write(self, action: Callable[[Connection], Result]) -> Result:
        """Run one transaction.

        If the connection breaks, it is run again. When that happens at the commit nobody knows
        whether the transaction counts, so `action` must bear to be run over its own outcome.
        """

        def attempt(_: bool) -> Result:
            with self.engine.begin() as connection:
                return action(connection)

        return self.repeat(attempt)

    def read(self, action: Callable[[Connection], Result]) -> Result:
        """Read one state of the database, again if the connection breaks."""

        def attempt(_: bool) -> Result:
            with self.reading() as connection:
                return action(connection)

        return self.repeat(attempt)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One state of the database, to read."""
        with self.engine.execution_options(**self.reader_options).connect() as connection:
            yield connection

    def repeat(self, attempt: Callable[[bool], Result]) -> Result:
        """Call something until it ends without losing its connection.

        Args:
            attempt: Does its work in one transaction; is told whether it was tried before.

        Raises:
            StoreError: A lock of this process was lost to another one.
        """
        patience = Patience(self.patience_seconds)
        while True:
            try:
                self.keep_locks(at_once=patience.tried)
                return attempt(patience.tried)
            except (SQLAlchemyError, StorageInternalError) as error:
                if not self.may_repeat(error) or not patience.wait():
                    raise
                _log.warning("a transaction is run again: %s", self.meaning(error).received)

    # Errors

    @abstractmethod
    def may_repeat(self, error: BaseException) -> bool:
        """Whether the transaction failed for a reason that passes by itself."""

    @abstractmethod
    def meaning(self, error: BaseException) -> Meaning:
        """What an error means, raised by SQLAlchemy, by Optuna's storage or by the driver."""

    @property
    @abstractmethod
    def raises(self) -> tuple[type[Exception], ...]:
        """What the database's driver raises itself."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """Errors of SQLAlchemy, of Optuna's storage and of the driver."""
        return (SQLAlchemyError, StorageInternalError, *self.raises)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of SQLAlchemy, of Optuna's storage and of the driver into `StoreError`.

        Raises:
            StoreError: The block raised an error of the database.
        """
        try:
            yield
        except self.errors as error:
            meaning = self.meaning(error)
            raise StoreError(
                meaning.what,
                where=self.where,
                expected=meaning.expected,
                received=meaning.received,
                next_step=meaning.next_step,
            ) from error

    # Files

    @abstractmethod
    def artifacts_directory(self) -> Path:
        """Where the files of the database's studies lie by default."""


def innermost(error: BaseException) -> BaseException:
    """The error that started it, the one of the database itself if there is one."""
    while True:
        orig = getattr(error, "orig", None)
        inner = orig if isinstance(orig, BaseException) else error.__cause__
        if inner is None:
            return error
        error = inner
