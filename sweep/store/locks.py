"""Locks between processes of one machine, released by the kernel however their holder ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from sweep.errors import StoreError

TRIES: Final = 20
TRY_EVERY_SECONDS: Final = 0.05


class LockHeldError(Exception):
    """Another process holds the lock; the argument is its id, or None if it is not known."""

    @property
    def pid(self) -> int | None:
        """Id of the process that holds the lock."""
        pid: int | None = self.args[0]
        return pid


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
            raise StoreError(
                "the lock file of the database cannot be written",
                where=str(path),
                received=str(error),
                next_step="check the space on the disk, and your access to the directory",
            ) from error
        yield


def holder(path: Path) -> int | None:
    """Id of the process that holds the lock, or None if nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_pid(descriptor)
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
                pid = _read_pid(descriptor)
                os.close(descriptor)
                raise LockHeldError(pid) from None
            time.sleep(TRY_EVERY_SECONDS)
        os.close(descriptor)


def _is_current(descriptor: int, path: Path) -> bool:
    """Whether the file was not removed, by its last holder, before it was locked."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _read_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 20, 0)
    return int(text) if text.isdigit() else None
