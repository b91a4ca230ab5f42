"""The weights of the best trials, kept as the study goes."""

import logging
import re
import tempfile
from pathlib import Path
from typing import Final

from sweep.errors import UsageError
from sweep.spec.model import StudySpec
from sweep.spec.names import is_kept_weights
from sweep.store import Store

logger = logging.getLogger(__name__)

# Whole files and those that a killed worker left unfinished.
_OURS: Final = re.compile(r"\.?trial-\d+\..+")


class WeightsKeeper:
    """Keeps the `.keras` files of the best complete trials by the first objective.

    The database is written before a file is removed, and a file is complete before the database
    names it: a kill leaves at worst a file that nobody names, which the next run removes.
    """

    def __init__(self, spec: StudySpec, store: Store, directory: Path) -> None:
        """Take stock of what earlier runs kept.

        Args:
            spec: The study.
            store: Names the files kept.
            directory: Where they lie; made if missing.

        Raises:
            UsageError: It cannot be made, or nothing can be written in it.
        """
        self._study = spec.study
        self._keep = spec.keep_weights
        self._sign = 1.0 if spec.objectives[0].direction == "maximize" else -1.0
        self._store = store
        # Whoever reads the names later may do so from another working directory.
        self._directory = directory = directory.absolute()
        self._values: dict[int, float] = {}
        self._files: dict[int, Path] = {}
        _make(directory)
        for row in store.trial_rows(spec.study):
            if row["weights"] and row["values"]:
                self._values[row["number"]] = row["values"][0]
                path = Path(row["weights"]).absolute()
                if is_kept_weights(path, spec.study, row["number"]):
                    self._files[row["number"]] = path
                else:
                    logger.warning("trial %d names weights at %s: left", row["number"], path)
        self._drop_surplus()
        named = set(self._files.values())
        for path in directory.iterdir():
            if _OURS.fullmatch(path.name) and path not in named:
                logger.info("removing %s, which no trial names", path)
                path.unlink()

    def place_for(self, number: int, value: float) -> Path | None:
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
            if path := self._files.pop(surplus, None):
                path.unlink(missing_ok=True)
            del self._values[surplus]

    def _path(self, number: int) -> Path:
        return self._directory / f"trial-{number}.keras"


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise UsageError(
            "the directory for weights and logs cannot be written",
            where=str(directory),
            received=error.strerror,
            next_step="name another one with --artifacts",
        ) from error
