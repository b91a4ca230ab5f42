"""Where trials come from: interrupted ones first, then enqueued ones, then the sampler."""

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import optuna

from sweep.driver.sampling import make_sampler
from sweep.engines.fused.key import fusion_key
from sweep.space import SearchSpace
from sweep.spec.model import StudySpec
from sweep.store import DrivingStorage, Store
from sweep.trial import EpochReport, TrialConfig, TrialTask, trial_seed

_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(slots=True)
class OpenTrial:
    """A trial that was asked for and not yet told.

    Attributes:
        trial: Optuna's side of it.
        task: What a worker is given.
        last_step: The last epoch that Optuna knows of, over all attempts.
        earlier: How many of its epochs were trained before its present attempt began.
        group: Trials of equal groups are best trained by the same worker.
        overtaken: How often a later trial was started before it.
        reports: Its epochs, those before the checkpoint that it went on from included.
    """

    trial: optuna.trial.Trial
    task: TrialTask
    last_step: int
    group: Hashable = None
    overtaken: int = 0
    reports: list[EpochReport] = field(default_factory=list)
    earlier: int = 0

    @property
    def config(self) -> TrialConfig:
        """What it trains."""
        return self.task.config

    def add(self, report: EpochReport) -> None:
        """Take in an epoch, in the place of all that an earlier attempt knew from there on."""
        before = report.epoch - 1
        self.reports[before:] = [report]
        self.earlier = min(self.earlier, before)

    def has_lost_its_checkpoint(self, report: EpochReport) -> bool:
        """Whether the worker did not go on from the checkpoint that it was to go on from."""
        return report.epoch <= self.task.checkpoint_epoch

    def goes_on_from(self, checkpoint: str | None, epoch: int) -> None:
        """From now on a restart begins after this checkpoint's epoch; None for the first."""
        self.task = replace(self.task, checkpoint=checkpoint, checkpoint_epoch=epoch)

    def next_attempt(self, stall: str) -> "OpenTrial":
        """The trial as it starts once more after its worker was lost.

        Args:
            stall: How its engine hung; empty if it did not.
        """
        task = replace(self.task, attempt=self.task.attempt + 1, stall=stall)
        last_step = max(self.last_step, len(self.reports))
        return self.restarted(task, last_step, self.reports)

    def restarted(
        self, task: TrialTask, last_step: int, reports: Sequence[EpochReport]
    ) -> "OpenTrial":
        """The trial as it starts from the checkpoint of `task`, if that has one.

        Args:
            task: What a worker is given.
            last_step: The last epoch that Optuna knows of.
            reports: The epochs that it trained before.
        """
        epoch = task.checkpoint_epoch
        return replace(
            self, task=task, last_step=last_step, reports=list(reports[:epoch]), earlier=epoch
        )


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
        grouping: Grouping | None,
        artifacts: str,
    ) -> None:
        """Find the trials that a stopped run left in state RUNNING.

        Args:
            spec: The study.
            space: Its search space.
            study: Optuna's side of it.
            storage: What the study is held in.
            store: Knows how far interrupted trials are.
            grouping: Groups trials; None for what suits the study's engine.
            artifacts: Where the study's files are.
        """
        self._spec = spec
        self._space = space
        self._study = study
        self._storage = storage
        self._store = store
        self._grouping = grouping or grouping_of(spec)
        self._artifacts = artifacts
        self._left = deque(store.unfinished(spec.study))
        self._grid = self._rest_of_grid() if spec.sampler.name == "grid" else None

    @property
    def interrupted(self) -> int:
        """Trials that an earlier run started and that are still to go on."""
        return sum(row["state"] == "RUNNING" for row in self._left)

    def next(self) -> OpenTrial:
        """The next trial: one left by an earlier run, one enqueued, or a new one."""
        if self._left:
            return self._taken_up(self._left.popleft())
        if self._grid is not None and not self._has_waiting():
            index, params = next(self._grid)
            self._study.enqueue_trial(dict(params), user_attrs={"grid_index": index})
        return self._open(self._study.ask())

    def _taken_up(self, row: Mapping[str, Any]) -> OpenTrial:
        """A trial that an earlier run left: to go on from its checkpoint, if it has one."""
        trial = optuna.trial.Trial(self._study, row["trial_id"])
        open_trial = self._open(trial)
        known = self._study.get_trials(deepcopy=False)[trial.number].intermediate_values
        last_step = max(known, default=0)
        if row["checkpoint"] is None:
            return replace(open_trial, last_step=last_step)
        epochs = self._store.epoch_rows(self._spec.study, trial.number)
        task = replace(
            open_trial.task,
            checkpoint=row["checkpoint"],
            checkpoint_epoch=row["checkpoint_epoch"],
        )
        return open_trial.restarted(task, last_step, [_report(epoch) for epoch in epochs])

    def _open(self, trial: optuna.trial.Trial) -> OpenTrial:
        # The sampler is asked when the space suggests its first parameter, so it can be set here.
        self._study.sampler = make_sampler(self._spec, trial.number)
        with self._storage.batch():
            config = self._space.suggest(trial)
        seed = trial_seed(self._spec.seed, trial.number)
        task = TrialTask(trial.number, config, seed, artifacts=self._artifacts)
        return OpenTrial(trial, task, last_step=0, group=self._grouping(config))

    def _has_waiting(self) -> bool:
        waiting = (optuna.trial.TrialState.WAITING,)
        return bool(self._study.get_trials(deepcopy=False, states=waiting))

    def _rest_of_grid(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The combinations that no trial has taken yet, with their index."""
        trials = self._study.get_trials(deepcopy=False)
        taken = [t.user_attrs["grid_index"] for t in trials if "grid_index" in t.user_attrs]
        first = max(taken, default=-1) + 1
        return islice(enumerate(self._space.enumerate()), first, None)


def _report(row: Mapping[str, Any]) -> EpochReport:
    """An epoch as it was reported."""
    names = ("number", "epoch", "seconds", "learning_rate", *_METRICS)
    values: dict[str, Any] = {n: math.nan if row[n] is None else row[n] for n in names}
    return EpochReport(**values)
