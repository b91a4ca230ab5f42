"""Locks between processes of one machine, released by the kernel however their holder ends."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sweep.errors import StoreError

TRIES: Final = 20
TRY_EVERY_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        pid: Its id, or None if it is not known.
        host: Name of its machine, or None if it is not known.
    """

    pid: int | None
    host: str | None

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine."""
        return self.host == socket.gethostname()


class LockHeldError(Exception):
    """Another process holds the lock; the argument is its `Holder`."""

    @property
    def holder(self) -> Holder:
        """The process that holds the lock."""
        holder: Holder = self.args[0]
        return holder


@contextmanager
def file_lock(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock that the file stands for; the file is made, and removed afterwards.

    A process started by `exec` does not inherit the lock, a forked one does.

    Args:
        path: The file. One left behind by a killed process is no hindrance.
        wait: Wait for as long as it takes, instead of one second.

    Raises:
        LockHeldError: Another process kept the lock.
        StoreError: The file cannot be made or written.
    """
    with ExitStack() as stack:
        try:
            descriptor = _acquire(path, wait)
            stack.callback(os.close, descriptor)
            stack.callback(path.unlink, missing_ok=True)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise StoreError(
                "the disk is full"
                if is_full
                else "the lock file of the database cannot be written",
                where=str(path),
                expected=f"room in {path.parent}, and the right to make a file there",
                received=str(error),
                next_step="free some space"
                if is_full
                else "give yourself that right, or name another --storage",
            ) from error
        yield


def file_holder(path: Path) -> Holder | None:
    """The process that holds the lock, or None if nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(descriptor)
    finally:
        os.close(descriptor)
    return None


def _acquire(path: Path, wait: bool) -> int:
    """An open, locked descriptor of the file that has this name now."""
    tries = 0
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_current(descriptor, path):
                return descriptor
        except BlockingIOError:
            # Someone who only asks for the holder keeps the lock too, for a moment.
            tries += 1
            if tries == TRIES:
                holder = _read_holder(descriptor)
                os.close(descriptor)
                raise LockHeldError(holder) from None
            time.sleep(TRY_EVERY_SECONDS)
        os.close(descriptor)


def _is_current(descriptor: int, path: Path) -> bool:
    """Whether the file was not removed, by its last holder, before it was locked."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _read_holder(descriptor: int) -> Holder:
    text = os.pread(descriptor, 20, 0)
    return Holder(int(text) if text.isdigit() else None, socket.gethostname())
