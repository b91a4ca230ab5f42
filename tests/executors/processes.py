"""Waiting for what other processes do."""

import time
from collections.abc import Callable

import psutil


def is_gone(pid: int) -> bool:
    """Whether the process has ended; an orphan's remains may wait for a lazy init."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
