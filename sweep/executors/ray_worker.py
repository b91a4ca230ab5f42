"""A worker on some node of a Ray cluster, as the executor sees it."""

import logging
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.executors.base import Directive, Event, TrialFailed, TrialRetired
from sweep.executors.ray_actor import ActorGoneError, Heard, Order
from sweep.executors.watched import WatchedWorker

if TYPE_CHECKING:
    from sweep.executors.ray_cluster import Cluster

_log = logging.getLogger(__name__)

_LISTEN_SECONDS = 2.0
_ANSWER_SECONDS = 5.0
_GRACE_SECONDS = 2.0
_LARGEST_LOG_BYTES = 1 << 24


class RayWorker(WatchedWorker):
    """A worker behind an actor, which is asked all the time what it has heard."""

    def __init__(self, order: Order, cluster: "Cluster", log_dir: Path) -> None:
        """Ask for the actor and return at once.

        Raises:
            OSError: The log cannot be written.
        """
        super().__init__(order.worker, log_dir)
        self.log.touch()
        self.is_placed = False
        self.unplaced_seconds = 0.0
        self._cluster = cluster
        self._actor = cluster.launch(order)
        self._silence_seconds = order.plan.silence_seconds
        self._listen_seconds = min(_LISTEN_SECONDS, order.plan.silence_seconds / 4)
        self._call: Any = None
        self._stop_call: Any = None
        self._silent_seconds = 0.0
        self._sent = 0
        self._save_to: dict[int, Path] = {}

    def call(self) -> Any:
        """The call that is answered when the worker says something; at the latest in seconds."""
        if self._call is None:
            # The first answer tells that there is an actor, and the worker needs long to start.
            wait_seconds = self._listen_seconds if self.is_placed else 0.0
            self._call = self._actor.listen.remote(wait_seconds)
        return self._call

    def send(self, directive: Directive) -> None:
        """Pass a directive on, without waiting and without asking whether it is wanted."""
        for retirement in directive.retire:
            if isinstance(retirement.save_to, Path):
                self._save_to[retirement.number] = retirement.save_to
        self._actor.direct.remote(self._sent, directive)
        self._sent += 1

    def listen(self, elapsed_seconds: float) -> list[Event]:
        """The events that have come, without waiting; sets `ended` when they were the last."""
        if not self._cluster.is_answered([self.call()], 0.0):
            self._judge(elapsed_seconds)
            return []
        self._silent_seconds = 0.0
        try:
            heard: Heard = self._cluster.answer(self._call)
        except ActorGoneError as error:
            self._add_to_log(f"\n{error.detail}\n".encode())
            self.was_taken = error.was_taken
            self._end(error.reason)
            return []
        self._call = None
        self.is_placed = True
        self._add_to_log(heard.log)
        events = [self._keep(event, heard.weights) for event in heard.events]
        for event in events:
            self.note(event)
        if heard.ended is not None:
            self.has_stalled = heard.has_stalled
            self._end(heard.ended)
        return events

    def _judge(self, elapsed_seconds: float) -> None:
        """Judge the actor by its silence; it judges the worker itself."""
        if not self.is_placed:
            self.unplaced_seconds += elapsed_seconds
            return
        self._silent_seconds += elapsed_seconds
        if self._silent_seconds > self._silence_seconds + self._listen_seconds + _ANSWER_SECONDS:
            self.was_taken = True
            self._end(f"was lost: its node has been silent for {self._silent_seconds:.0f} seconds")

    def _end(self, reason: str) -> None:
        self.ended = reason
        self._cluster.kill(self._actor)

    def _keep(self, event: Event, weights: dict[int, bytes]) -> Event:
        """Write kept weights to where the driver wants them."""
        if not isinstance(event, TrialRetired):
            return event
        number = event.result.number
        path = self._save_to.pop(number, None)
        if path is None or number not in weights:
            return event
        partial = path.with_suffix(".partial")
        try:
            partial.write_bytes(weights[number])
            partial.replace(path)
        except OSError as error:
            text = "".join(traceback.format_exception(error))
            return TrialFailed(self.name, number, f"{type(error).__name__}: {error}", text, "")
        result = replace(event.result, weights=str(path))
        return replace(event, result=result)

    def _add_to_log(self, text: bytes) -> None:
        """Add to the copy of the log; one that has grown too large starts over."""
        with self.log.open("ab") as file:
            if file.tell() + len(text) > _LARGEST_LOG_BYTES:
                file.truncate(0)
            file.write(text)

    def hang_up(self) -> None:
        """Ask the worker to end at once; `stop` makes sure of it."""
        if self.ended is None and self.is_placed:
            self._stop_call = self._actor.stop.remote(_GRACE_SECONDS)

    def stop(self, grace_seconds: float) -> None:
        """Wait for its end, and bring it about if it is late."""
        patience = 2 * _GRACE_SECONDS + grace_seconds + _ANSWER_SECONDS
        call = self._stop_call
        if call is not None and self._cluster.is_answered([call], patience):
            try:
                self._cluster.answer(call)
            except ActorGoneError as error:
                _log.info("worker %s, asked to stop, %s", self.name, error.reason)
        self._cluster.kill(self._actor)
