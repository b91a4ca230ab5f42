"""Optuna's median pruner for studies with many trials: same verdicts, without a look at all."""

from bisect import insort
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


class HistoryMedianPruner(BasePruner):
    """Prunes a trial whose best value so far is worse than the median of the complete trials.

    The verdicts are those of `optuna.pruners.MedianPruner` with the same arguments; see there.
    """

    def __init__(
        self, finished: Sequence[FrozenTrial], *, startup_trials: int, warmup_steps: int
    ) -> None:
        """Begin with no trial read.

        Args:
            finished: Finished trials in the order in which they became known; it grows.
            startup_trials: Complete trials before any is pruned.
            warmup_steps: Steps before a trial is pruned.
        """
        self._finished = finished
        self._startup_trials = startup_trials
        self._warmup_steps = warmup_steps
        self._read = 0
        self._complete = 0
        self._values: dict[int, list[float]] = defaultdict(list)

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether a trial should stop after its last step."""
        self._update()
        step = trial.last_step
        is_early = step is None or step < self._warmup_steps
        if (
            self._complete == 0
            or self._complete < self._startup_trials
            or step is None
            or is_early
        ):
            return False
        own = np.array(list(trial.intermediate_values.values()), dtype=float)
        if np.isnan(own).all():
            return True
        others = self._values[step]
        if not others:
            return False
        half = (len(others) - 1) // 2, len(others) // 2
        median = (others[half[0]] + others[half[1]]) / 2
        if study.direction == StudyDirection.MAXIMIZE:
            return bool(np.nanmax(own) < median)
        return bool(np.nanmin(own) > median)

    def _update(self) -> None:
        for trial in self._finished[self._read :]:
            self._read += 1
            if trial.state is TrialState.COMPLETE:
                self._complete += 1
                for step, value in trial.intermediate_values.items():
                    if value == value:
                        insort(self._values[step], value)
