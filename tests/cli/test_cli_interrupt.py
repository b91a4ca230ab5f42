"""Ctrl-C during a run."""

import os
import signal

import pytest

from sweep.cli.interrupt import winding_down
from sweep.driver.stop import StopFlag


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_once_asks_twice_leaves(number):
    before = signal.getsignal(number)
    stop = StopFlag()
    with winding_down(stop):
        os.kill(os.getpid(), number)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
