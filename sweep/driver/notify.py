"""Telling others what happened in a study: what is told, and when."""

import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Literal, Protocol, get_args

from sweep.driver.progress import Progress

logger = logging.getLogger(__name__)

EventKind = Literal["finish", "new_best", "failure"]
EVENT_KINDS: Final[tuple[EventKind, ...]] = get_args(EventKind)
CLOSE_SECONDS: Final = 45.0


@dataclass(frozen=True, slots=True)
class Notification:
    """Something that happened.

    Attributes:
        kind: `finish` when a run ends, `new_best` for a new incumbent, `failure` for a failed
            trial or a run that broke off.
        study: Name of the study.
        text: What happened, one line.
        facts: The same for programs, JSON values by name.
        id: Its own, the same at every try to deliver it.
        time: When it happened, aware.
    """

    kind: EventKind
    study: str
    text: str
    facts: Mapping[str, Any]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def document(self) -> dict[str, Any]:
        """As JSON: `event`, `study`, `time`, `text` and the facts."""
        return {
            "event": self.kind,
            "study": self.study,
            "time": self.time.isoformat(timespec="milliseconds"),
            "text": self.text,
            **self.facts,
        }


class Target(Protocol):
    """Someone who is told. `str` names it without secrets."""

    def deliver(self, notification: Notification) -> None:
        """Deliver, trying again as long as that makes sense.

        Raises:
            DeliveryError: It could not be delivered.
        """


class DeliveryError(Exception):
    """A notification could not be delivered; the message says why, without secrets."""


def tell_finish(notifier: "Notifier", progress: Progress, metric_names: Sequence[str]) -> None:
    """Tell how a run ended: what counts against the budget, and the best trial."""
    counts = {
        name: getattr(progress, name)
        for name in ("asked", "finished", "complete", "diverged", "pruned", "failed")
    }
    text = (
        f"{progress.finished} of {progress.asked} trials finished: {progress.complete} complete, "
        f"{progress.pruned} pruned, {progress.failed} failed"
    )
    facts: dict[str, Any] = {"trials": counts, "seconds": round(progress.seconds, 1), "best": None}
    if progress.best is not None:
        metrics = dict(zip(metric_names, progress.best.values, strict=True))
        text += f"; the best is trial {progress.best.number}: {scores(metrics)}"
        facts["best"] = {"trial": progress.best.number, "values": metrics}
    notifier.tell("finish", text, facts)


def scores(metrics: Mapping[str, float]) -> str:
    """Metrics and values for people."""
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())


class Notifier:
    """Tells every target, in the background: a slow or broken one never holds the study up.

    What is not delivered when the process is killed is lost; the study is not. A context manager
    that waits at its end, for 45 seconds at most, until all is delivered.
    """

    def __init__(
        self,
        study: str,
        targets: Sequence[Target],
        kinds: Sequence[EventKind] = (),
        on_trouble: Callable[[str], None] = logger.warning,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        """Begin to deliver.

        Args:
            study: Name of the study.
            targets: Who is told.
            kinds: Of what they are told; everything if empty.
            on_trouble: Is told, from another thread, what could not be delivered.
            close_seconds: The longest wait at the end.
        """
        self._study = study
        self._targets = tuple(targets)
        self._kinds = frozenset(kinds or EVENT_KINDS)
        self._on_trouble = on_trouble
        self._close_seconds = close_seconds
        self._queue: queue.SimpleQueue[Notification | None] = queue.SimpleQueue()
        # A daemon: a target that never answers does not keep the process alive.
        self._thread = threading.Thread(target=self._deliver, name="notifier", daemon=True)

    def __enter__(self) -> "Notifier":
        """Start."""
        if self._targets:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Tell of an error that ends the run; wait for what is under way."""
        if isinstance(error, Exception):
            self.tell("failure", f"the run broke off: {error}".splitlines()[0], {})
        if self._targets:
            self._queue.put(None)
            self._thread.join(self._close_seconds)
            if self._thread.is_alive():
                self._on_trouble("notifications are still undelivered; leaving without them")

    def tell(self, kind: EventKind, text: str, facts: Mapping[str, Any]) -> None:
        """Something happened.

        Args:
            kind: What.
            text: One line.
            facts: JSON values by name.
        """
        if self._targets and kind in self._kinds:
            self._queue.put(Notification(kind, self._study, text, facts))

    def _deliver(self) -> None:
        while (notification := self._queue.get()) is not None:
            for target in self._targets:
                started = time.monotonic()
                try:
                    target.deliver(notification)
                except DeliveryError as error:
                    took = time.monotonic() - started
                    self._on_trouble(
                        f"{target} was not told of {notification.kind}, "
                        f"after {took:.0f} seconds: {error}"
                    )
