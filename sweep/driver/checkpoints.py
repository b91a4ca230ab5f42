"""The checkpoints of trials in training: known to the database, removed when a trial has ended."""

import logging
from typing import Final

from sweep.errors import CheckpointError
from sweep.executors.artifacts import Checkpoints
from sweep.store import Store

_log = logging.getLogger(__name__)

_ENDED: Final = ("COMPLETE", "PRUNED", "FAIL")


class CheckpointKeeper:
    """Removes the checkpoints of trials that have ended: there are at most two of each other.

    A file is removed before the database forgets its name, so that a kill in between leaves
    nothing that nobody knows of.
    """

    def __init__(self, study: str, store: Store, checkpoints: Checkpoints) -> None:
        """Remove what earlier runs left of trials that have ended.

        Args:
            study: Name of the study.
            store: Names the checkpoints.
            checkpoints: Where they are.
        """
        self._study = study
        self._store = store
        self._checkpoints = checkpoints
        for row in store.trial_rows(study):
            if row["checkpoint"] and row["state"] in _ENDED:
                self.drop(row["number"], is_known=True)

    def tidy(self, number: int) -> None:
        """Remove a trial's checkpoints if it has ended, whoever ended it."""
        row = self._store.trial_row(self._study, number)
        if row["state"] in _ENDED:
            self.drop(number, is_known=row["checkpoint"] is not None)

    def drop(self, number: int, *, is_known: bool) -> None:
        """Remove a trial's checkpoints; if that fails, the next run tries it again.

        Args:
            number: Number of the trial.
            is_known: Whether the database names one of them. Else a worker that was lost may
                still have written one.
        """
        try:
            self._checkpoints.remove(number)
        except CheckpointError as error:
            _log.warning("the checkpoints of trial %d are still there: %s", number, error)
            return
        if is_known:
            self._store.checkpoint_dropped(self._study, number)
