"""The weights of the best trials, kept as the study goes."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sweep.errors import SweepError
from sweep.executors.places import File, Place
from sweep.spec.model import StudySpec
from sweep.store import Store

logger = logging.getLogger(__name__)

# Whole files and those that a killed worker left unfinished.
_OURS: Final = re.compile(r"\.?trial-(\d+)\..+")
_OPEN: Final = ("RUNNING", "WAITING")


class WeightsKeeper:
    """Keeps the `.keras` files of the best complete trials by the first objective.

    The database is written before a file is removed, and a file is complete before the database
    names it: a kill leaves at worst a file that nobody names, which the next run removes. Each of
    the runs that drive a study takes in what the others kept, so that as many are left in the end
    as are to be kept.
    """

    def __init__(self, spec: StudySpec, store: Store, place: Place) -> None:
        """Take stock of what other runs kept.

        Args:
            spec: The study.
            store: Names the files kept.
            place: Where they lie; it is there and can be written.

        Raises:
            SweepError: What lies there cannot be listed.
        """
        self._study = spec.study
        self._keep = spec.keep_weights
        self._sign = 1.0 if spec.objectives[0].direction == "maximize" else -1.0
        self._store = store
        self._place = place
        self._values: dict[int, float] = {}
        self._files: dict[int, File] = {}
        # Listed first: whatever is written later belongs to a trial that is open still.
        left = self._of_trials()
        rows = store.trial_rows(spec.study)
        for row in rows:
            self._take_in(row)
        self._drop_surplus()
        self._remove_unnamed(left, rows)

    def take_in(self, number: int) -> None:
        """Rank a trial that another run has completed."""
        self._take_in(self._store.trial_row(self._study, number))
        self._drop_surplus()

    def _take_in(self, row: Mapping[str, Any]) -> None:
        number = row["number"]
        if not (row["weights"] and row["values"]):
            return
        self._values[number] = row["values"][0]
        file = self._place.kept_weights(row["weights"], self._study, number)
        if file is not None:
            self._files[number] = file
        else:
            logger.warning("trial %d names weights at %s: left", number, row["weights"])

    def tidy(self, number: int) -> None:
        """Remove files of a trial's weights that it does not name, if it has ended."""
        kept = self._files.get(number)
        try:
            found = self._of_trials()
        except SweepError as error:
            logger.warning("files of trial %d may be left: %s", number, error)
            return
        left = {file: n for file, n in found.items() if n == number and file != kept}
        if left:
            self._remove_unnamed(left, [self._store.trial_row(self._study, number)])

    def _of_trials(self) -> dict[File, int]:
        """The files of weights, whole or not, with the numbers of their trials."""
        found = ((name, _OURS.fullmatch(name)) for name in self._place.names())
        return {self._place.file(name): int(match[1]) for name, match in found if match}

    def _remove_unnamed(self, left: Mapping[File, int], rows: Sequence[Mapping[str, Any]]) -> None:
        """Remove files that no trial names, those of open trials excepted.

        Args:
            left: Files that were there before `rows` were read, and the numbers of their trials.
            rows: The trials, all of those numbers that exist.
        """
        is_open = {row["number"] for row in rows if row["state"] in _OPEN}
        named = {
            self._place.kept_weights(row["weights"], self._study, row["number"])
            for row in rows
            if row["weights"]
        }
        for file, number in left.items():
            if number not in is_open and file not in named:
                logger.info("removing %s, which no trial names", file)
                self._remove(file)

    def place_for(self, number: int, value: float) -> File | None:
        """Where to save the weights of a trial of this value, or None if it is not good enough."""
        better = sum(self._sign * other >= self._sign * value for other in self._values.values())
        return self._path(number) if better < self._keep else None

    def keep(self, number: int, value: float) -> None:
        """Note that a trial's weights were saved, and drop those that fell behind."""
        self._values[number] = value
        self._files[number] = self._path(number)
        self._drop_surplus()

    def _drop_surplus(self) -> None:
        ranked = sorted(self._values, key=lambda n: (-self._sign * self._values[n], n))
        for surplus in ranked[self._keep :]:
            self._store.weights_dropped(self._study, surplus)
            if file := self._files.pop(surplus, None):
                self._remove(file)
            del self._values[surplus]

    def _remove(self, file: File) -> None:
        """Remove a file, now or by the next run."""
        try:
            self._place.remove(file)
        except SweepError as error:
            logger.warning("%s is still there: %s", file, error)

    def _path(self, number: int) -> File:
        return self._place.file(f"trial-{number}.keras")
