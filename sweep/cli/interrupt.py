"""Ctrl-C and SIGTERM: a run winds down at the first and leaves at the second; others leave."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sweep.driver.stop import StopFlag


@contextmanager
def winding_down(stop: StopFlag) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a request, the second into `KeyboardInterrupt`.

    The handler prints nothing: it may run in the middle of a frame. Watchers say what happens.
    """

    def handle(_: int, __: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.request()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def leaving_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into `KeyboardInterrupt`: the first process of a container would ignore it."""

    def handle(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
