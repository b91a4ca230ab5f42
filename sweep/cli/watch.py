"""Watchers of a running study: in place on a terminal, as plain lines elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.text import Text

from sweep.budget import Ending
from sweep.cli.frame import Frame, last_words
from sweep.cli.output import note
from sweep.cli.text import duration, plural
from sweep.driver.progress import Progress

REDRAW_SECONDS = 0.1
QUIET_SECONDS = 60.0
"""How long the plain view stays silent while nothing ends."""


class LiveWatcher:
    """Shows progress in place on a terminal; messages scroll by above it. A context manager."""

    def __init__(self, frame: Frame, console: Console | None = None) -> None:
        """Draw `frame` on `console`, which is standard error if not given."""
        self._frame = frame
        self._console = console or Console(stderr=True, highlight=False)
        self._live = self._make_live()
        self._size = self._console.size
        self._drawn_at = 0.0

    def _make_live(self) -> Live:
        return Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )

    def __enter__(self) -> "LiveWatcher":
        """Take over the bottom of the terminal."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Erase the frame and give the terminal back."""
        self._live.stop()

    def update(self, progress: Progress) -> None:
        """Draw the frame, at most ten times a second."""
        now = time.monotonic()
        if now - self._drawn_at < REDRAW_SECONDS:
            return
        self._drawn_at = now
        self._draw(progress)

    def message(self, text: str) -> None:
        """Print a line above the frame."""
        self._console.print(Text(text))

    def _draw(self, progress: Progress) -> None:
        size = self._console.size
        if size != self._size:
            self._start_over()
        # The last column stays free: some terminals wrap a line that fills it.
        self._live.update(self._frame.render(progress, size.width - 1, size.height), refresh=True)

    def _start_over(self) -> None:
        """Clear the screen after a change of size: where the old frame's lines went is unknown."""
        self._size = self._console.size
        self._live.stop()
        self._console.control(Control.home(), Control.clear())
        self._live = self._make_live()
        self._live.start()


class PlainWatcher:
    """Writes a line when the study starts, for each message, when it is stopping, and each minute.

    Messages wait for the progress that follows them, so that each line tells how far the study is.
    """

    def __init__(self) -> None:
        """Begin with nothing to tell."""
        self._waiting: list[str] = []
        self._started = False
        self._ending: Ending | None = None
        self._spoken_at = time.monotonic()

    def __enter__(self) -> "PlainWatcher":
        """Nothing to take over."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what still waits."""
        self._flush("")

    def update(self, progress: Progress) -> None:
        """Write what is new since the last call."""
        if not self._started:
            self._started = True
            note(
                f"{progress.study} on {progress.data}: {plural(progress.asked, 'trial')} asked, "
                f"{progress.finished} finished, {plural(len(progress.workers), 'worker')}"
            )
            if all(worker.state == "starting" for worker in progress.workers):
                note("the workers load Keras, which takes 10 seconds or more")
        self._flush(f"[{progress.finished}/{progress.asked}] ")
        if time.monotonic() - self._spoken_at >= QUIET_SECONDS:
            self._say(_standing(progress))
        if progress.ending is not self._ending:
            self._ending = progress.ending
            if (text := last_words(progress)) is not None:
                note(text)

    def message(self, text: str) -> None:
        """Keep a line for the next update."""
        self._waiting.append(text)

    def _flush(self, prefix: str) -> None:
        for text in self._waiting:
            self._say(prefix + text)
        self._waiting.clear()

    def _say(self, text: str) -> None:
        note(text)
        self._spoken_at = time.monotonic()


def _standing(progress: Progress) -> str:
    """How far the study is, in one line."""
    eta = progress.eta_seconds
    return (
        f"[{progress.finished}/{progress.asked}] {plural(progress.running, 'trial')} in training, "
        f"{plural(progress.trial_epochs, 'epoch')} in {duration(progress.seconds)}"
        + (f", about {duration(eta)} left" if eta else "")
    )


def make_watcher(frame: Frame) -> LiveWatcher | PlainWatcher:
    """The live view if standard error is a terminal that can move its cursor, else plain lines."""
    console = Console(stderr=True, highlight=False)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveWatcher(frame, console)
    return PlainWatcher()
