"""What the trials of a study do, judged and written down: our tables first, Optuna last."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import optuna

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
from sweep.driver.source import OpenTrial
from sweep.driver.standings import STOP_REASON, Standings
from sweep.driver.weights import WeightsKeeper
from sweep.executors.artifacts import Checkpoints
from sweep.executors.base import Retirement
from sweep.space import SearchSpace
from sweep.spec.model import StudySpec
from sweep.store import DrivingStorage, Store
from sweep.trial import EpochReport, StopReason, TrialResult


class Ledger:
    """Writes every trial's course to the database, and keeps count.

    Attributes:
        standings: The study's finished trials.
        artifacts: Where the files of the study are.
        trial_epochs: Epochs trained by this run.
        concluded: Trials that ran to an end in this run.
    """

    def __init__(
        self,
        spec: StudySpec,
        space: SearchSpace,
        study: optuna.Study,
        storage: DrivingStorage,
        store: Store,
        data: DataRef,
        watcher: Watcher,
        notifier: Notifier,
        artifacts: Path,
    ) -> None:
        """Take stock of what earlier runs left."""
        self._spec = spec
        self._study = study
        self._storage = storage
        self._store = store
        self._data = data
        self._watcher = watcher
        self._notifier = notifier
        # Whoever reads its name later may do so from another working directory.
        directory = (artifacts / spec.study).absolute()
        self.artifacts = str(directory)
        self._weights = WeightsKeeper(spec, store, directory)
        self._checkpoints = CheckpointKeeper(spec.study, store, Checkpoints.at(self.artifacts))
        maximize = spec.objectives[0].direction == "maximize"
        self.standings = Standings.of(study.get_trials(deepcopy=False), space, maximize)
        self.trial_epochs = 0
        self.concluded = 0

    def judge(
        self, reports: Sequence[EpochReport], trials: Mapping[int, OpenTrial]
    ) -> list[Retirement | None]:
        """Write down an epoch of a cohort, and decide which of its trials stop.

        Args:
            reports: The epoch of each trial.
            trials: The cohort by trial number.

        Returns:
            For each report what is to be done, None if the trial goes on.
        """
        study = self._spec.study
        for report in reports:
            if trials[report.number].has_lost_its_checkpoint(report):
                trials[report.number].goes_on_from(None, epoch=0)
                self._store.checkpoint_dropped(study, report.number)
        self._store.epochs_finished(study, reports)
        with self._storage.batch():
            verdicts = [self._judge(report, trials[report.number]) for report in reports]
        # Not before the verdict is known: a trial that goes on from there would never get it.
        kept = [r for r, v in zip(reports, verdicts, strict=True) if r.checkpoint and v is None]
        if kept:
            self._store.checkpoints_written(study, kept)
        for report in kept:
            trials[report.number].goes_on_from(report.checkpoint, report.epoch)
        return verdicts

    def _judge(self, report: EpochReport, open_trial: OpenTrial) -> Retirement | None:
        open_trial.add(report)
        self.trial_epochs += 1
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
            trial.report(value, report.epoch)
        elif trial.user_attrs.get(STOP_REASON) == StopReason.PRUNED:
            return True
        pruned = report.epoch >= self._spec.pruner.min_epochs and trial.should_prune()
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

    def conclude(self, open_trial: OpenTrial, result: TrialResult, worker: str) -> None:
        """Write down how a trial ended: our tables first, Optuna's state last."""
        self._store.trial_ended(self._spec.study, result, worker)
        if result.reason is StopReason.INTERRUPTED:
            return
        self._tell(open_trial, result)
        self._drop_checkpoints(open_trial)

    def _tell(self, open_trial: OpenTrial, result: TrialResult) -> None:
        self.concluded += 1
        trial = open_trial.trial
        with self._storage.batch():
            trial.set_user_attr(STOP_REASON, result.reason.value)
            trial.set_user_attr("seconds", round(result.seconds, 3))
        if result.reason is StopReason.PRUNED:
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            self.standings.pruned += 1
            self._announce(open_trial, f"pruned after epoch {result.epochs}")
            return
        values = self._values(open_trial, result)
        self._study.tell(trial, values)
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
            facts = {"trial": result.number, "values": metrics, "params": trial.params}
            self._notifier.tell("new_best", text, facts)

    def _values(self, open_trial: OpenTrial, result: TrialResult) -> list[float]:
        objectives, reports = self._spec.objectives, open_trial.reports
        if result.reason is StopReason.DIVERGED:
            return diverged_values(
                objectives, reports, classes=self._data.classes, parameters=result.parameters
            )
        return objective_values(
            objectives, reports, kept=result.kept_epoch, parameters=result.parameters
        )

    def fail(self, open_trial: OpenTrial, error: str, traceback: str, log: str) -> None:
        """Write down why a trial failed."""
        number = open_trial.task.number
        self._store.trial_failed(self._spec.study, number, error, traceback, log)
        self._study.tell(open_trial.trial, state=optuna.trial.TrialState.FAIL)
        self._drop_checkpoints(open_trial)
        self.standings.failures.add(number)
        self._announce(open_trial, f"failed: {error} (sweep show {number})")
        self._notifier.tell(
            "failure", f"trial {number} failed: {error}", {"trial": number, "error": error}
        )

    def _drop_checkpoints(self, open_trial: OpenTrial) -> None:
        task = open_trial.task
        self._checkpoints.drop(task.number, is_known=task.checkpoint is not None)

    def _announce(self, open_trial: OpenTrial, text: str) -> None:
        self._watcher.message(f"trial {open_trial.task.number} {text}")
