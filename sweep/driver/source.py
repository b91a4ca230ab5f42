"""Where trials come from: interrupted ones first, then enqueued ones, then the sampler."""

import math
from collections import deque
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from sweep.driver.history import History
from sweep.driver.sampling import make_samplers, most_at_once
from sweep.engines.fused.key import fusion_key
from sweep.space import SearchSpace
from sweep.spec.model import StudySpec
from sweep.store import Store, StudyRun
from sweep.trial import EpochReport, TrialConfig, TrialTask, trial_seed

_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")
GRID_INDEX: Final = "grid_index"


@dataclass(slots=True)
class OpenTrial:
    """A trial that was asked for and not yet told.

    Attributes:
        trial: Optuna's side of it.
        task: What a worker is given.
        last_step: The last epoch that Optuna knows of, over all attempts.
        earlier: How many of its epochs were trained before its present attempt began.
        losses: How many workers in a row it lost without getting further than before.
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
    losses: int = 0

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
        restarted = self.restarted(task, last_step, self.reports)
        return replace(restarted, losses=self.lost_in_a_row)

    @property
    def lost_in_a_row(self) -> int:
        """Workers that it has lost in a row without progress, if it loses this one too."""
        return 1 if len(self.reports) > self.last_step else self.losses + 1

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
        run: StudyRun,
        store: Store,
        grouping: Grouping | None,
        artifacts: str,
    ) -> None:
        """Begin without a trial.

        Args:
            spec: The study.
            space: Its search space.
            run: This process's part in it.
            store: Knows how far interrupted trials are.
            grouping: Groups trials; None for what suits the study's engine.
            artifacts: Where the study's files are.
        """
        self._spec = spec
        self._space = space
        self._study = run.study
        self._run = run
        self._store = store
        self._grouping = grouping or grouping_of(spec)
        self._artifacts = artifacts
        self._left: deque[FrozenTrial] = deque()
        maximize = spec.objectives[0].direction == "maximize"
        is_single = len(spec.objectives) == 1
        self._history = History(run.finished, maximize=maximize) if is_single else None
        self._may_be_more = False

    def take_over(self, most: int, but: Collection[int] = ()) -> int:
        """Take up to `most` trials that runs which are gone left open; returns how many.

        Args:
            most: How many at most.
            but: Ids of trials that are left to others.
        """
        taken = self._run.take_over(most, but)
        self._left.extend(taken)
        self._may_be_more = len(taken) == most
        return len(taken)

    @property
    def most_at_once(self) -> int:
        """How many trials are asked for at once, at most."""
        return most_at_once(self._spec)

    @property
    def has_left(self) -> bool:
        """Whether trials that were taken over wait."""
        return bool(self._left)

    def take_left(self) -> list[OpenTrial]:
        """All trials that were taken over and wait."""
        left = [self._taken_up(trial) for trial in self._left]
        self._left.clear()
        return left

    def next(self, most: int = 1, but: Collection[int] = ()) -> list[OpenTrial]:
        """The next trials: one taken over, or enqueued and new ones.

        Several that are new are asked for at once, so that they cost little; the sampler chooses
        each of them without knowing the others.

        Args:
            most: How many, at least one, if the budget has as many.
            but: Ids of trials that are not to be taken over.

        Raises:
            BudgetSpentError: All runs together have finished, or train, what was asked for.
        """
        if not self._left and self._may_be_more:
            self.take_over(1, but)
        while self._left:
            left = self._left.popleft()
            # One that was taken over here may have been lost again.
            if self._run.holds(left._trial_id):
                return [self._taken_up(left)]
        waiting = self._waiting()
        if self._spec.sampler.name == "grid" and not waiting:
            return self._open([self._next_combination()])
        if waiting:
            return self._open([self._study.ask()])
        count = self._run.reserve(min(most, self.most_at_once))
        return self._open([self._study.ask() for _ in range(count)])

    def _taken_up(self, left: FrozenTrial) -> OpenTrial:
        """A trial that another run left: to go on from its checkpoint, if it has one."""
        if GRID_INDEX in left.user_attrs:
            trial = self._with_combination(left._trial_id, left.user_attrs[GRID_INDEX])
        else:
            trial = optuna.trial.Trial(self._study, left._trial_id)
        (open_trial,) = self._open([trial])
        last_step = max(left.intermediate_values, default=0)
        row = self._store.trial_row(self._spec.study, trial.number)
        if row["checkpoint"] is None:
            return replace(open_trial, last_step=last_step)
        epochs = self._store.epoch_rows(self._spec.study, trial.number)
        task = replace(
            open_trial.task,
            checkpoint=row["checkpoint"],
            checkpoint_epoch=row["checkpoint_epoch"],
        )
        return open_trial.restarted(task, last_step, [_report(epoch) for epoch in epochs])

    def _open(self, trials: Sequence[optuna.trial.Trial]) -> list[OpenTrial]:
        samplers = make_samplers(self._spec, [trial.number for trial in trials], self._history)
        with self._run.batch():
            return [self._suggest(*pair) for pair in zip(trials, samplers, strict=True)]

    def _suggest(self, trial: optuna.trial.Trial, sampler: BaseSampler) -> OpenTrial:
        # The sampler is asked when the space suggests its first parameter, so it can be set here.
        self._study.sampler = sampler
        config = self._space.suggest(trial)
        seed = trial_seed(self._spec.seed, trial.number)
        task = TrialTask(trial.number, config, seed, artifacts=self._artifacts)
        return OpenTrial(trial, task, last_step=0, group=self._grouping(config))

    def _waiting(self) -> list[FrozenTrial]:
        waiting = (optuna.trial.TrialState.WAITING,)
        return self._study.get_trials(deepcopy=False, states=waiting)

    def _next_combination(self) -> optuna.trial.Trial:
        """A trial of the first combination that no run has taken yet."""
        trial_id, index = self._run.storage.create_counted_trial(GRID_INDEX)
        return self._with_combination(trial_id, index)

    def _with_combination(self, trial_id: int, index: int) -> optuna.trial.Trial:
        params = next(islice(self._space.enumerate(), index, None))
        # As `enqueue_trial` fixes them.
        self._run.storage.set_trial_system_attr(trial_id, "fixed_params", dict(params))
        return optuna.trial.Trial(self._study, trial_id)


def _report(row: Mapping[str, Any]) -> EpochReport:
    """An epoch as it was reported."""
    names = ("number", "epoch", "seconds", "learning_rate", *_METRICS)
    values: dict[str, Any] = {n: math.nan if row[n] is None else row[n] for n in names}
    return EpochReport(**values)
