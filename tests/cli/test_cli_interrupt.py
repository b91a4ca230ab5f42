"""Ctrl-C and SIGTERM."""

import os
import signal

import pytest

from sweep.cli.interrupt import leaving_on_sigterm, winding_down
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


def test_sigterm_is_a_ctrl_c():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), leaving_on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
