"""The loop of a study: ask, dispatch, report, prune, tell."""

import time
from collections import deque
from dataclasses import replace
from pathlib import Path

import optuna

from sweep.data import DataRef
from sweep.driver.objective import (
    diverged_values,
    intermediate_value,
    kept_epoch,
    objective_values,
)
from sweep.driver.progress import Progress, Watcher
from sweep.driver.provenance import study_record
from sweep.driver.retry import RETRY_OF
from sweep.driver.roster import Roster, Seat
from sweep.driver.sampling import check_sampler, make_pruner
from sweep.driver.source import OpenTrial, TrialSource
from sweep.driver.standings import STOP_REASON, Standings
from sweep.driver.stop import StopFlag
from sweep.driver.weights import WeightsKeeper
from sweep.executors.base import (
    CohortReported,
    Directive,
    Event,
    Executor,
    Retirement,
    TrialFailed,
    TrialRetired,
    WorkerLost,
    WorkerReady,
)
from sweep.space import SearchSpace
from sweep.spec.model import StudySpec
from sweep.spec.tree import most_epochs
from sweep.store import Store
from sweep.trial import EpochReport, StopReason, TrialResult

POLL_SECONDS = 0.5
MOST_ATTEMPTS = 2


def run_study(
    spec: StudySpec,
    *,
    store: Store,
    executor: Executor,
    data: DataRef,
    watcher: Watcher,
    artifacts: Path,
    stop: StopFlag,
) -> Progress:
    """Run a study, or what is left of it, until its budget is used up.

    Every epoch is in the database before the worker goes on, so a kill at any moment costs at most
    the epochs of the trials in training: the next call starts those again under their numbers.

    Args:
        spec: The study.
        store: Where it is kept.
        executor: Who trains; started here if there is anything to train, and closed.
        data: What to train on.
        watcher: Is told how it goes.
        artifacts: Directory for the weights of the best trials.
        stop: Ends the run early.

    Returns:
        The last progress.

    Raises:
        UsageError: The sampler needs a package that is not installed.
        StudyMismatchError: The study exists with another space, objective or data.
        StoreError: The database cannot be used, or another process runs this study.
        ExecutorError: Workers cannot be started or kept alive.
    """
    space = SearchSpace.from_spec(spec)
    check_sampler(spec)
    # Optuna's own calls meet full disks and locked files too.
    with store.driver_lock(spec.study), store.translated():
        study = store.create_study(
            study_record(spec, data),
            directions=[o.direction for o in spec.objectives],
            metric_names=[o.metric for o in spec.objectives],
        )
        study.pruner = make_pruner(spec)
        driver = _Driver(spec, space, study, store, executor, data, watcher, artifacts, stop)
        if driver.finished:
            return driver.progress()
        with executor:
            return driver.run()


class _Driver:
    def __init__(
        self,
        spec: StudySpec,
        space: SearchSpace,
        study: optuna.Study,
        store: Store,
        executor: Executor,
        data: DataRef,
        watcher: Watcher,
        artifacts: Path,
        stop: StopFlag,
    ) -> None:
        self._spec = spec
        self._study = study
        self._store = store
        self._executor = executor
        self._data = data
        self._watcher = watcher
        self._stop = stop
        self._source = TrialSource(spec, space, study, store)
        self._weights = WeightsKeeper(spec, store, artifacts / spec.study)
        maximize = spec.objectives[0].direction == "maximize"
        self._standings = Standings.of(study.get_trials(deepcopy=False), space, maximize)
        combinations = space.combinations()
        self._asked = spec.budget.trials
        if spec.sampler.name == "grid" and combinations is not None:
            self._asked = min(self._asked, combinations)
        self._roster = Roster(executor.workers)
        self._restarts: deque[OpenTrial] = deque()
        self._most_epochs = most_epochs(spec)
        self._started = time.monotonic()
        self._trains_since: float | None = None
        self._trial_epochs = 0
        self._concluded = 0

    @property
    def _stopping(self) -> bool:
        wall = self._spec.budget.wall_seconds
        out_of_time = wall is not None and time.monotonic() - self._started >= wall
        return self._stop.requested or out_of_time

    @property
    def finished(self) -> bool:
        """Whether the budget of trials is used up."""
        return self._standings.finished >= self._asked

    def run(self) -> Progress:
        if self._source.resumable:
            count = self._source.resumable
            what = "one interrupted trial" if count == 1 else f"{count} interrupted trials"
            self._watcher.message(f"starting {what} again")
        self._watcher.update(self.progress())
        while not (self.finished or (self._stopping and not self._roster.running)):
            for event in self._executor.poll(POLL_SECONDS):
                self._handle(event)
            self._direct_waiting()
            self._watcher.update(self.progress())
        return self.progress()

    def _handle(self, event: Event) -> None:
        study, worker = self._spec.study, event.worker
        match event:
            case WorkerReady():
                self._store.worker_ready(
                    study, worker, event.pid, event.host, event.device, event.engine
                )
                self._roster.ready(event)
                self._trains_since = self._trains_since or time.monotonic()
            case CohortReported():
                self._store.epochs_finished(study, event.reports)
                seat = self._roster.seat(worker)
                verdicts = [self._judge(r, seat.trials[r.number]) for r in event.reports]
                seat.retire = tuple(v for v in verdicts if v is not None)
                seat.waiting = True
            case TrialRetired():
                open_trial = self._roster.seat(worker).release(event.result.number)
                self._conclude(open_trial, event.result, worker)
            case TrialFailed():
                open_trial = self._roster.seat(worker).release(event.number)
                self._fail(open_trial, event.error, event.traceback, event.log)
            case WorkerLost():
                self._lose(event)

    def _judge(self, report: EpochReport, open_trial: OpenTrial) -> Retirement | None:
        """Take in one epoch and decide whether the trial stops."""
        open_trial.reports.append(report)
        self._trial_epochs += 1
        pruned = self._report_to_pruner(report, open_trial)
        if report.finished is not None:
            return self._retirement(report.finished, open_trial)
        if pruned:
            return Retirement(report.number, StopReason.PRUNED)
        if self._stopping:
            return Retirement(report.number, StopReason.INTERRUPTED)
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

    def _conclude(self, open_trial: OpenTrial, result: TrialResult, worker: str) -> None:
        """Write down how a trial ended: our tables first, Optuna's state last."""
        self._store.trial_ended(self._spec.study, result, worker)
        if result.reason is StopReason.INTERRUPTED:
            return
        self._concluded += 1
        trial = open_trial.trial
        trial.set_user_attr(STOP_REASON, result.reason.value)
        trial.set_user_attr("seconds", round(result.seconds, 3))
        if result.reason is StopReason.PRUNED:
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            self._standings.pruned += 1
            self._announce(open_trial, f"pruned after epoch {result.epochs}")
            return
        values = self._values(open_trial, result)
        self._study.tell(trial, values)
        if result.weights is not None:
            self._weights.keep(result.number, values[0])
        is_best = self._standings.add(
            result.number, values, lambda: open_trial.config, result.reason
        )
        ended = f"{result.reason.value.replace('_', ' ')} after epoch {result.epochs}"
        scores = ", ".join(
            f"{o.metric} {v:.4g}" for o, v in zip(self._spec.objectives, values, strict=True)
        )
        self._announce(open_trial, f"{ended}: {scores}" + (", the best so far" * is_best))

    def _values(self, open_trial: OpenTrial, result: TrialResult) -> list[float]:
        objectives, reports = self._spec.objectives, open_trial.reports
        if result.reason is StopReason.DIVERGED:
            return diverged_values(
                objectives, reports, classes=self._data.classes, parameters=result.parameters
            )
        return objective_values(
            objectives, reports, kept=result.kept_epoch, parameters=result.parameters
        )

    def _announce(self, open_trial: OpenTrial, text: str) -> None:
        self._watcher.message(f"trial {open_trial.task.number} {text}")

    def _fail(self, open_trial: OpenTrial, error: str, traceback: str, log: str) -> None:
        number = open_trial.task.number
        self._store.trial_failed(self._spec.study, number, error, traceback, log)
        self._study.tell(open_trial.trial, state=optuna.trial.TrialState.FAIL)
        self._standings.failures.add(number)
        self._announce(open_trial, f"failed: {error} (sweep show {number})")

    def _lose(self, event: WorkerLost) -> None:
        """A worker died: its trials start again once, then they fail with the reason."""
        self._store.worker_lost(self._spec.study, event.worker, event.reason)
        self._watcher.message(f"worker {event.worker} {event.reason}; a new one takes its place")
        seat = self._roster.seats[event.worker]
        for open_trial in list(seat.trials.values()) if seat else []:
            attempt = open_trial.task.attempt
            if attempt >= MOST_ATTEMPTS:
                reason = f"worker lost in attempt {attempt}: {event.reason}"
                self._fail(open_trial, reason, "", event.log)
            else:
                last_step = max(open_trial.last_step, *(r.epoch for r in open_trial.reports), 0)
                task = replace(open_trial.task, attempt=attempt + 1)
                self._restarts.append(OpenTrial(open_trial.trial, task, last_step))
        self._roster.lost(event.worker)

    def _direct_waiting(self) -> None:
        for worker, seat in self._roster.seats.items():
            if seat is not None and seat.waiting:
                self._direct(worker, seat)

    def _direct(self, worker: str, seat: Seat) -> None:
        admitted = [] if self._stopping else self._next_trials(seat.free)
        directive = Directive(seat.retire, tuple(t.task for t in admitted))
        if not (admitted or seat.retire or seat.staying):
            return
        for open_trial in admitted:
            self._store.trial_started(self._spec.study, open_trial.task, worker)
            seat.admit(open_trial)
        self._executor.direct(worker, directive)
        seat.directed()

    def _next_trials(self, slots: int) -> list[OpenTrial]:
        trials: list[OpenTrial] = []
        while len(trials) < slots:
            if self._restarts:
                trials.append(self._restarts.popleft())
            elif self._unassigned > len(trials):
                trials.append(self._next_trial())
            else:
                break
        return trials

    def _next_trial(self) -> OpenTrial:
        open_trial = self._source.next()
        # `sweep retry` may have enqueued it after this run had counted the failure.
        self._standings.failures.discard(open_trial.trial.user_attrs.get(RETRY_OF))
        return open_trial

    @property
    def _unassigned(self) -> int:
        """Trials of the budget that are neither finished, nor running, nor to be restarted."""
        open_trials = self._roster.running + len(self._restarts)
        return self._asked - self._standings.finished - open_trials

    def progress(self) -> Progress:
        standings, data = self._standings, self._data
        remark = " (FALLBACK: not the data that was asked for)" if data.is_fallback else ""
        return Progress(
            study=self._spec.study,
            data=data.name + remark,
            asked=self._asked,
            complete=standings.complete,
            diverged=standings.diverged,
            pruned=standings.pruned,
            failed=standings.failed,
            running=self._roster.running,
            best=standings.best,
            workers=self._roster.views(),
            trial_epochs=self._trial_epochs,
            seconds=time.monotonic() - self._started,
            eta_seconds=self._eta_seconds(),
            stopping=self._stopping,
        )

    def _eta_seconds(self) -> float | None:
        """The time for what is left, if trials train as long as those of this run did.

        The start of the workers is left out: it is over when anything is known.
        """
        if not self._trial_epochs or self._trains_since is None:
            return None
        in_slots = [
            t for seat in self._roster.seats.values() if seat for t in seat.trials.values()
        ]
        in_training = sum(len(open_trial.reports) for open_trial in in_slots)
        per_trial = float(self._most_epochs)
        if self._concluded:
            per_trial = (self._trial_epochs - in_training) / self._concluded
        left = (self._asked - self._standings.finished) * per_trial - in_training
        seconds = time.monotonic() - self._trains_since
        return max(left, 0.0) * seconds / self._trial_epochs
