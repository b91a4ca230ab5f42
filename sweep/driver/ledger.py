"""What the trials of a study do, judged and written down: our tables first, Optuna last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import TrialState

from sweep.data import DataRef
from sweep.driver.checkpoints import CheckpointKeeper
from sweep.driver.notify import Notifier, scores
from sweep.driver.objective import (
    diverged_values,
    intermediate_value,
    kept_epoch,
    objective_values,
)
from sweep.driver.progress import Watcher
from sweep.driver.retry import retried_numbers
from sweep.driver.source import OpenTrial
from sweep.driver.standings import STOP_REASON, Standings
from sweep.driver.weights import WeightsKeeper
from sweep.executors.artifacts import Checkpoints
from sweep.executors.base import Retirement
from sweep.executors.places import Place
from sweep.space import SearchSpace
from sweep.spec.model import StudySpec
from sweep.store import Store, StudyRun
from sweep.trial import EpochReport, StopReason, TrialResult


@dataclass(frozen=True, slots=True)
class Retired:
    """A trial that has left its slot.

    Attributes:
        trial: The trial.
        result: How it ended.
        worker: Who trained it.
    """

    trial: OpenTrial
    result: TrialResult
    worker: str


class Ledger:
    """Writes every trial's course to the database, and keeps count.

    Attributes:
        standings: The study's finished trials.
        trial_epochs: Epochs trained by this run.
        concluded: Trials that ran to an end in this run.
    """

    def __init__(
        self,
        spec: StudySpec,
        space: SearchSpace,
        run: StudyRun,
        store: Store,
        data: DataRef,
        watcher: Watcher,
        notifier: Notifier,
        place: Place,
    ) -> None:
        """Take stock of what earlier runs left."""
        self._spec = spec
        self._run = run
        self._study = run.study
        self._data = data
        self._watcher = watcher
        self._notifier = notifier
        self._weights = WeightsKeeper(spec, store, place)
        self._checkpoints = CheckpointKeeper(spec.study, store, Checkpoints.at(place.address))
        maximize = spec.objectives[0].direction == "maximize"
        self._space = space
        self.standings = Standings.of(run.study.get_trials(deepcopy=False), space, maximize)
        self.trial_epochs = 0
        self.concluded = 0

    def judge(
        self, reports: Sequence[EpochReport], trials: Mapping[int, OpenTrial]
    ) -> list[Retirement | None]:
        """Judge an epoch of a cohort: which of its trials stop. `flush` writes it down.

        Args:
            reports: The epoch of each trial.
            trials: The cohort by trial number.

        Returns:
            For each report what is to be done, None if the trial goes on. Of a trial that
            another run has taken over, None: see `StudyRun.take_lost`.
        """
        ids = [trials[report.number].trial._trial_id for report in reports]
        with self._run.gathering():
            for trial_id, report in zip(ids, reports, strict=True):
                if not self._run.holds(trial_id):
                    continue
                if trials[report.number].has_lost_its_checkpoint(report):
                    trials[report.number].goes_on_from(None, epoch=0)
                    self._run.checkpoint_dropped(trial_id, report.number)
            self._run.epochs_finished(ids, reports)
            verdicts = [self._judge(report, trials[report.number]) for report in reports]
            judged = zip(reports, verdicts, strict=True)
            kept = [report for report, v in judged if report.checkpoint and v is None]
            of_kept = [trials[report.number].trial._trial_id for report in kept]
            self._run.checkpoints_written(of_kept, kept)
        for report in kept:
            trials[report.number].goes_on_from(report.checkpoint, report.epoch)
        return verdicts

    def take_in(self) -> None:
        """Count the trials that other runs have finished."""
        for trial in self._run.pull():
            self.standings.count(trial, self._space)
            if trial.state == TrialState.COMPLETE:
                self._weights.take_in(trial.number)
        if self.standings.failures:
            self.standings.failures -= retried_numbers(self._study.get_trials(deepcopy=False))

    def _judge(self, report: EpochReport, open_trial: OpenTrial) -> Retirement | None:
        self.trial_epochs += 1
        if not self._run.holds(open_trial.trial._trial_id):
            return None
        open_trial.add(report)
        pruned = self._report_to_pruner(report, open_trial)
        if report.finished is not None:
            return self._retirement(report.finished, open_trial)
        if pruned:
            return Retirement(report.number, StopReason.PRUNED)
        return None

    def _report_to_pruner(self, report: EpochReport, open_trial: OpenTrial) -> bool:
        """Tell Optuna of an epoch; whether its pruner would stop the trial here.

        Of the epochs that a restarted trial repeats, Optuna knows already. All but the last were
        judged, and the trial went on; the last may have been its end, if the verdict was lost
        before it was carried out. A verdict is kept, since some pruners give each only once.
        """
        value = intermediate_value(self._spec.objectives[0], report)
        if len(self._spec.objectives) > 1 or value is None:
            return False
        trial = open_trial.trial
        if report.epoch < open_trial.last_step:
            return False
        if report.epoch > open_trial.last_step:
            self._run.report(trial._trial_id, report.epoch, value)
        elif trial.user_attrs.get(STOP_REASON) == StopReason.PRUNED:
            return True
        is_judged = report.epoch >= self._spec.pruner.min_epochs
        pruned = is_judged and self._run.should_prune(trial._trial_id)
        if pruned:
            trial.set_user_attr(STOP_REASON, StopReason.PRUNED.value)
        return pruned

    def _retirement(self, reason: StopReason, open_trial: OpenTrial) -> Retirement:
        number = open_trial.task.number
        if reason is StopReason.DIVERGED:
            return Retirement(number, reason)
        objective = self._spec.objectives[0]
        kept = kept_epoch(open_trial.config, open_trial.reports)
        value = objective_values([objective], open_trial.reports, kept=kept, parameters=0)[0]
        return Retirement(number, reason, self._weights.place_for(number, value))

    def conclude(self, retired: Sequence[Retired]) -> None:
        """Write down how trials ended, in one transaction: our tables first, Optuna's state last.

        What ended that another run has taken over meanwhile counts for nothing.
        """
        mine = [each for each in retired if self._holds(each.trial)]
        values = {each.result.number: self._values(each) for each in mine}
        if mine:
            with self._run.batch():
                for each in mine:
                    self._write_end(each, values[each.result.number])
        for each in retired:
            number = each.result.number
            if number in values and self._has_ended(each.trial):
                self._count(each, values[number])
                self.tidy(each.trial)
            elif not self._holds(each.trial):
                self._tidy_lost(each.trial)

    def _write_end(self, retired: Retired, values: list[float] | None) -> None:
        trial, result = retired.trial.trial, retired.result
        self._run.trial_ended(trial._trial_id, result, retired.worker)
        if result.reason is StopReason.INTERRUPTED:
            return
        trial.set_user_attr(STOP_REASON, result.reason.value)
        trial.set_user_attr("seconds", round(result.seconds, 3))
        state = TrialState.PRUNED if values is None else TrialState.COMPLETE
        self._study.tell(trial, values, state=state)

    def _holds(self, open_trial: OpenTrial) -> bool:
        return self._run.holds(open_trial.trial._trial_id)

    def _has_ended(self, open_trial: OpenTrial) -> bool:
        return self._run.storage.seen(open_trial.trial._trial_id).state.is_finished()

    def _count(self, retired: Retired, values: list[float] | None) -> None:
        self.concluded += 1
        open_trial, result = retired.trial, retired.result
        if values is None:
            self.standings.pruned += 1
            self._announce(open_trial, f"pruned after epoch {result.epochs}")
            return
        if result.weights is not None:
            self._weights.keep(result.number, values[0])
        is_best = self.standings.add(
            result.number, values, lambda: open_trial.config, result.reason
        )
        ended = f"{result.reason.value.replace('_', ' ')} after epoch {result.epochs}"
        names: list[str] = [objective.metric for objective in self._spec.objectives]
        metrics = dict(zip(names, values, strict=True))
        best = ", the best so far" * is_best
        self._announce(open_trial, f"{ended}: {scores(metrics)}{best}")
        if is_best:
            text = f"trial {result.number} is the best so far: {scores(metrics)}"
            facts = {"trial": result.number, "values": metrics, "params": open_trial.trial.params}
            self._notifier.tell("new_best", text, facts)

    def _values(self, retired: Retired) -> list[float] | None:
        """The objective values of a trial; None for one that has none of its own."""
        objectives, reports, result = self._spec.objectives, retired.trial.reports, retired.result
        if result.reason in (StopReason.PRUNED, StopReason.INTERRUPTED):
            return None
        if result.reason is StopReason.DIVERGED:
            return diverged_values(
                objectives, reports, classes=self._data.classes, parameters=result.parameters
            )
        return objective_values(
            objectives, reports, kept=result.kept_epoch, parameters=result.parameters
        )

    def fail(self, open_trial: OpenTrial, error: str, traceback: str, log: str) -> None:
        """Write down why a trial failed."""
        number, trial = open_trial.task.number, open_trial.trial
        if is_mine := self._holds(open_trial):
            with self._run.batch():
                self._run.trial_failed(trial._trial_id, number, error, traceback, log)
                self._study.tell(trial, state=TrialState.FAIL)
        if not (is_mine and self._has_ended(open_trial)):
            self._tidy_lost(open_trial)
            return
        self.tidy(open_trial)
        self.standings.failures.add(number)
        self._announce(open_trial, f"failed: {error} (sweep show {number})")
        self._notifier.tell(
            "failure", f"trial {number} failed: {error}", {"trial": number, "error": error}
        )

    def tidy(self, open_trial: OpenTrial) -> None:
        """Remove the files of a trial that has ended, its kept weights excepted."""
        task = open_trial.task
        self._weights.tidy(task.number)
        self._checkpoints.drop(task.number, is_known=task.checkpoint is not None)

    def _tidy_lost(self, open_trial: OpenTrial) -> None:
        """Remove what was written here about a trial that another run has ended meanwhile."""
        number = open_trial.task.number
        self._weights.tidy(number)
        self._checkpoints.tidy(number)

    def _announce(self, open_trial: OpenTrial, text: str) -> None:
        self._watcher.message(f"trial {open_trial.task.number} {text}")
