"""Where trials come from: interrupted ones first, then enqueued ones, then the sampler."""

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import optuna

from sweep.driver.sampling import make_sampler
from sweep.engines.fused.key import fusion_key
from sweep.space import SearchSpace
from sweep.spec.model import StudySpec
from sweep.store import DrivingStorage, Store
from sweep.trial import EpochReport, TrialConfig, TrialTask, trial_seed


@dataclass(slots=True)
class OpenTrial:
    """A trial that was asked for and not yet told.

    Attributes:
        trial: Optuna's side of it.
        task: What a worker is given.
        last_step: The last epoch that Optuna knows of, over all attempts.
        group: Trials of equal groups are best trained by the same worker.
        overtaken: How often a later trial was started before it.
        reports: The epochs of the present attempt.
    """

    trial: optuna.trial.Trial
    task: TrialTask
    last_step: int
    group: Hashable = None
    overtaken: int = 0
    reports: list[EpochReport] = field(default_factory=list)

    @property
    def config(self) -> TrialConfig:
        """What it trains."""
        return self.task.config


Grouping = Callable[[TrialConfig], Hashable]
"""The group of a trial: equal for those that share a compiled program."""


def grouping_of(spec: StudySpec) -> Grouping:
    """The groups that suit a study's engine; one for all if it compiles nothing."""
    return fusion_key if spec.engine == "fused" else lambda config: None


class TrialSource:
    """Hands out the trials of a study, one after the other."""

    def __init__(
        self,
        spec: StudySpec,
        space: SearchSpace,
        study: optuna.Study,
        storage: DrivingStorage,
        store: Store,
        grouping: Grouping,
    ) -> None:
        """Find the trials that a stopped run left in state RUNNING."""
        self._spec = spec
        self._space = space
        self._study = study
        self._storage = storage
        self._grouping = grouping
        self._left = deque(store.unfinished(spec.study))
        self._grid = self._rest_of_grid() if spec.sampler.name == "grid" else None

    @property
    def interrupted(self) -> int:
        """Trials that an earlier run started and that are still to be started again."""
        return sum(row["state"] == "RUNNING" for row in self._left)

    def next(self) -> OpenTrial:
        """The next trial: one left by an earlier run, one enqueued, or a new one."""
        if self._left:
            trial = optuna.trial.Trial(self._study, self._left.popleft()["trial_id"])
            known = self._study.get_trials(deepcopy=False)[trial.number].intermediate_values
            return self._open(trial, last_step=max(known, default=0))
        if self._grid is not None and not self._has_waiting():
            index, params = next(self._grid)
            self._study.enqueue_trial(dict(params), user_attrs={"grid_index": index})
        return self._open(self._study.ask())

    def _open(self, trial: optuna.trial.Trial, last_step: int = 0) -> OpenTrial:
        # The sampler is asked when the space suggests its first parameter, so it can be set here.
        self._study.sampler = make_sampler(self._spec, trial.number)
        with self._storage.batch():
            config = self._space.suggest(trial)
        seed = trial_seed(self._spec.seed, trial.number)
        task = TrialTask(trial.number, config, seed)
        return OpenTrial(trial, task, last_step, self._grouping(config))

    def _has_waiting(self) -> bool:
        waiting = (optuna.trial.TrialState.WAITING,)
        return bool(self._study.get_trials(deepcopy=False, states=waiting))

    def _rest_of_grid(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The combinations that no trial has taken yet, with their index."""
        trials = self._study.get_trials(deepcopy=False)
        taken = [t.user_attrs["grid_index"] for t in trials if "grid_index" in t.user_attrs]
        first = max(taken, default=-1) + 1
        return islice(enumerate(self._space.enumerate()), first, None)
