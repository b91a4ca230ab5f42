"""Optuna's successive halving and Hyperband for studies with many trials: same verdicts, sooner.

Optuna looks at every trial of the study for each verdict at a rung. What has finished does not
change, so its values are kept in order here, and only open trials are looked at anew.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Sequence

import optuna
from optuna.pruners import BasePruner, HyperbandPruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


class HistoryHalvingPruner(BasePruner):
    """Asynchronous successive halving: one trial in `reduction_factor` passes each rung.

    The verdicts are those of `optuna.pruners.SuccessiveHalvingPruner` with the same arguments, and
    its notes on trials are left and read; see there.
    """

    def __init__(
        self,
        finished: Sequence[FrozenTrial],
        *,
        min_resource: int,
        reduction_factor: int,
        min_early_stopping_rate: int = 0,
        competes: Callable[[FrozenTrial], bool] = lambda trial: True,
    ) -> None:
        """Begin with no trial read.

        Args:
            finished: Finished trials in the order in which they became known; it grows.
            min_resource: Steps before the first rung.
            reduction_factor: One trial in so many passes a rung; each has so many times the steps.
            min_early_stopping_rate: Rungs that are left out at the beginning.
            competes: Whether a trial counts.
        """
        self._finished = finished
        self._first_rung = min_resource * reduction_factor**min_early_stopping_rate
        self._factor = reduction_factor
        self._competes = competes
        self._read = 0
        self._values: dict[str, list[float]] = defaultdict(list)

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether a trial should stop after its last step."""
        step = trial.last_step
        if step is None:
            return False
        value = trial.intermediate_values[step]
        rung = 0
        while _key(rung) in trial.system_attrs:
            rung += 1
        while step >= self._first_rung * self._factor**rung:
            if math.isnan(value):
                return True
            key = _key(rung)
            study._storage.set_trial_system_attr(trial._trial_id, key, value)
            if not self._passes(study, trial, key, value):
                return True
            rung += 1
        return False

    def _passes(self, study: optuna.Study, trial: FrozenTrial, key: str, value: float) -> bool:
        self._update()
        ended = self._values[key]
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        others = [
            attrs[key]
            for other in running
            if key in (attrs := other.system_attrs)
            and other._trial_id != trial._trial_id
            and self._competes(other)
        ]
        if study.direction == StudyDirection.MAXIMIZE:
            better = len(ended) - bisect_right(ended, value) + sum(v > value for v in others)
        else:
            better = bisect_left(ended, value) + sum(v < value for v in others)
        competing = len(ended) + len(others) + 1
        # Of fewer than `reduction_factor` the best passes.
        return bool(better < max(1, competing // self._factor))

    def _update(self) -> None:
        for trial in self._finished[self._read :]:
            self._read += 1
            if not self._competes(trial):
                continue
            for name, value in trial.system_attrs.items():
                if name.startswith(_PREFIX):
                    insort(self._values[name], value)


class HistoryHyperbandPruner(HyperbandPruner):
    """Hyperband: several successive halvings, of which each trial belongs to one.

    The verdicts are those of `optuna.pruners.HyperbandPruner` with the same arguments.
    """

    def __init__(
        self,
        finished: Sequence[FrozenTrial],
        *,
        min_resource: int,
        max_resource: int,
        reduction_factor: int,
    ) -> None:
        """Begin with no trial read.

        Args:
            finished: Finished trials in the order in which they became known; it grows.
            min_resource: Steps before the first rung of the first bracket.
            max_resource: Steps of a whole trial.
            reduction_factor: One trial in so many passes a rung.
        """
        super().__init__(
            min_resource=min_resource,
            max_resource=max_resource,
            reduction_factor=reduction_factor,
        )
        self._finished = finished
        self._brackets: list[HistoryHalvingPruner] = []

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether a trial should stop after its last step."""
        if not self._brackets:
            self._try_initialization(study)
            self._brackets = [
                HistoryHalvingPruner(
                    self._finished,
                    min_resource=self._min_resource,
                    reduction_factor=self._reduction_factor,
                    min_early_stopping_rate=bracket,
                    competes=self._is_in(study, bracket),
                )
                for bracket in range(len(self._pruners))
            ]
        return self._brackets[self._get_bracket_id(study, trial)].prune(study, trial)

    def _is_in(self, study: optuna.Study, bracket: int) -> Callable[[FrozenTrial], bool]:
        return lambda trial: self._get_bracket_id(study, trial) == bracket


_PREFIX = "completed_rung_"


def _key(rung: int) -> str:
    """Of the attribute in which Optuna keeps a trial's value at a rung."""
    return f"{_PREFIX}{rung}"
