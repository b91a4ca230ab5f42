"""How a run is asked to end early."""

import threading


class StopFlag:
    """Set once, from a signal handler or another thread; the driver then winds down.

    Running trials finish their epoch and are interrupted; the next run goes on with them.
    """

    def __init__(self) -> None:
        """Start unset."""
        self._event = threading.Event()

    def request(self) -> None:
        """Ask the driver to wind down. Asking again is harmless."""
        self._event.set()

    @property
    def requested(self) -> bool:
        """Whether anybody asked."""
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Do nothing for so long, or until somebody asks."""
        self._event.wait(seconds)
