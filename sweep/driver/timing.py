"""Where the time of a run goes."""

import time
from dataclasses import dataclass

from sweep.store.records import TimeSplit


class Stopwatch:
    """Adds up the wall time of the blocks that it manages; blocks are not nested."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.seconds = 0.0
        self._began = 0.0

    def __enter__(self) -> None:
        """Start."""
        self._began = time.monotonic()

    def __exit__(self, *exception: object) -> None:
        """Stop."""
        self.seconds += time.monotonic() - self._began


@dataclass(slots=True)
class _Shift:
    """A worker process from when it was ready; `busy_since` is None while it waits."""

    since: float
    busy_since: float | None = None

    def seconds(self, now: float) -> float:
        """Its time, without an epoch that was not reported."""
        return (now if self.busy_since is None else self.busy_since) - self.since


class TimeKeeper:
    """Keeps the `TimeSplit` of a run.

    The time of a worker counts from when it is ready to its last report or to now, whichever it
    waits for: an epoch in training, or lost with its worker, counts when it is reported or never.

    Attributes:
        sampling: Times the driver while it asks the sampler.
        storage: Times the driver while it writes to the database and asks the pruner.
    """

    def __init__(self, workers: int) -> None:
        """Begin now.

        Args:
            workers: Number of workers.
        """
        self.sampling = Stopwatch()
        self.storage = Stopwatch()
        self._workers = workers
        self._started = time.monotonic()
        self._shifts: dict[str, _Shift] = {}
        self._past_seconds = 0.0
        self._train_seconds = 0.0
        self._compile_seconds = 0.0

    def ready(self, worker: str) -> None:
        """A worker can train."""
        self._shifts[worker] = _Shift(time.monotonic())

    def directed(self, worker: str, *, trains: bool) -> None:
        """A worker was told what to do; it reports when that is done if it `trains`."""
        if trains:
            self._shifts[worker].busy_since = time.monotonic()

    def reported(self, worker: str, train_seconds: float, compile_seconds: float) -> None:
        """A worker finished an epoch."""
        self._shifts[worker].busy_since = None
        self._train_seconds += train_seconds
        self._compile_seconds += compile_seconds

    def waits(self, worker: str) -> None:
        """A worker lost all its trials and waits."""
        self._shifts[worker].busy_since = None

    def lost(self, worker: str) -> None:
        """A worker is gone."""
        shift = self._shifts.pop(worker, None)
        if shift is not None:
            self._past_seconds += shift.seconds(time.monotonic())

    def split(self) -> TimeSplit:
        """How the time was spent up to now."""
        now = time.monotonic()
        whole = self._past_seconds + sum(shift.seconds(now) for shift in self._shifts.values())
        return TimeSplit(
            workers=self._workers,
            seconds=now - self._started,
            training_seconds=self._train_seconds,
            compiling_seconds=self._compile_seconds,
            idle_seconds=max(0.0, whole - self._train_seconds - self._compile_seconds),
            sampling_seconds=self.sampling.seconds,
            storage_seconds=self.storage.seconds,
        )
