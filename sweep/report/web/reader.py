"""Studies as frames for visitors: read once for all, and again when something was written."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sweep.errors import NotFoundError
from sweep.report.frames import StudyFrames, study_frames
from sweep.store import Store

Answer = TypeVar("Answer")

MOST_STUDIES: Final = 8
"""So many studies may be compared at once, and are kept."""
MOST_ANSWERS: Final = 16
LEAST_SECONDS: Final = 15.0
"""A study that is in training is read so often at most: a large one takes seconds."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """Frames, what the database said of the study when they were read, and when that was."""

    frames: StudyFrames
    stamp: Hashable
    at: float


class Reader:
    """The studies that were looked at lately, and what was made of them.

    May be used from several threads: one works, and others who want the same find it done.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """Read studies of this store; `clock` gives seconds."""
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._readings: OrderedDict[str, _Reading] = OrderedDict()
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()

    def answer(
        self,
        what: str,
        names: Sequence[str],
        make: Callable[[Sequence[StudyFrames]], Answer],
    ) -> Answer:
        """What `make` says of studies, made once for as long as they stay the same.

        Args:
            what: Tells answers about the same studies apart.
            names: Their names, in order.
            make: Called with the studies that were read.

        Raises:
            NotFoundError: There is no such study.
            StoreError: The database cannot be read.
        """
        with self._lock:
            rows = {str(row["name"]): row for row in self._store.study_rows()}
            readings = [self._read(name, rows) for name in names]
            key = (what, *((name, one.at) for name, one in zip(names, readings, strict=True)))
            if key not in self._answers:
                self._answers[key] = make([reading.frames for reading in readings])
            self._answers.move_to_end(key)
            _forget(self._answers, MOST_ANSWERS)
            known: Answer = self._answers[key]
            return known

    def _read(self, name: str, rows: Mapping[str, Mapping[str, Any]]) -> _Reading:
        if name not in rows:
            self._readings.pop(name, None)
            raise NotFoundError(f"there is no study {name!r}")
        row, now = rows[name], self._clock()
        stamp = (
            row["study_id"],
            tuple(sorted(row["counts"].items())),
            row["updated"],
            row["spec"],
        )
        known = self._readings.get(name)
        is_same = known is not None and known.stamp == stamp
        if known is None or not (is_same or now - known.at < LEAST_SECONDS):
            known = self._readings[name] = _Reading(study_frames(self._store, name), stamp, now)
        self._readings.move_to_end(name)
        _forget(self._readings, MOST_STUDIES)
        return known


def _forget(kept: OrderedDict[Any, Any], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
