"""The loop of a study: ask, dispatch, report, prune, tell."""

import time
from collections.abc import Sequence
from pathlib import Path

from sweep.data import DataRef
from sweep.driver.ledger import Ledger
from sweep.driver.notify import Notifier, tell_finish
from sweep.driver.progress import Progress, Watcher
from sweep.driver.provenance import study_record
from sweep.driver.ready import ReadyQueue
from sweep.driver.retry import RETRY_OF
from sweep.driver.roster import Roster, Seat
from sweep.driver.sampling import check_sampler, make_pruner
from sweep.driver.source import Grouping, OpenTrial, TrialSource
from sweep.driver.stop import StopFlag
from sweep.driver.timing import TimeKeeper
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
from sweep.trial import EpochReport, StopReason

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
    grouping: Grouping | None = None,
    notifier: Notifier | None = None,
) -> Progress:
    """Run a study, or what is left of it, until its budget is used up.

    Every epoch is in the database before the worker goes on, so a kill at any moment costs at most
    the epochs of the trials in training since their last checkpoints, from which the next call
    lets them go on under their numbers.
    Trials are asked for ahead, so that no slot waits for the sampler.

    Args:
        spec: The study.
        store: Where it is kept.
        executor: Who trains; started here if there is anything to train, and closed.
        data: What to train on.
        watcher: Is told how it goes.
        artifacts: Directory for checkpoints and for the weights of the best trials.
        stop: Ends the run early.
        grouping: Trials of equal groups are preferably trained by the same worker; those that
            the study's engine trains in one program if not given.
        notifier: Tells others what happens; already started. Nobody is told if not given.

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
        store.create_study(
            study_record(spec, data),
            directions=[o.direction for o in spec.objectives],
            metric_names=[o.metric for o in spec.objectives],
        )
        study, storage = store.drive_study(spec.study)
        study.pruner = make_pruner(spec)
        notifier = notifier or Notifier(spec.study, ())
        ledger = Ledger(spec, space, study, storage, store, data, watcher, notifier, artifacts)
        source = TrialSource(spec, space, study, storage, store, grouping, ledger.artifacts)
        driver = _Driver(spec, space, ledger, source, store, executor, data, watcher, stop)
        if driver.finished:
            return driver.progress()
        with executor:
            progress = driver.run()
        tell_finish(notifier, progress, [objective.metric for objective in spec.objectives])
        return progress


class _Driver:
    def __init__(
        self,
        spec: StudySpec,
        space: SearchSpace,
        ledger: Ledger,
        source: TrialSource,
        store: Store,
        executor: Executor,
        data: DataRef,
        watcher: Watcher,
        stop: StopFlag,
    ) -> None:
        self._spec = spec
        self._ledger = ledger
        self._standings = ledger.standings
        self._source = source
        self._store = store
        self._executor = executor
        self._data = data
        self._watcher = watcher
        self._stop = stop
        combinations = space.combinations()
        self._asked = spec.budget.trials
        if spec.sampler.name == "grid" and combinations is not None:
            self._asked = min(self._asked, combinations)
        self._roster = Roster(executor.workers)
        self._ready = ReadyQueue()
        self._times = TimeKeeper(len(executor.workers))
        self._most_epochs = most_epochs(spec)
        self._started = time.monotonic()
        self._trains_since: float | None = None

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
        study = self._spec.study
        if count := self._source.interrupted:
            what = "one interrupted trial" if count == 1 else f"{count} interrupted trials"
            self._watcher.message(f"taking up {what}")
        self._watcher.update(self.progress())
        run_id = self._store.run_started(study, self._times.split())
        while not (self.finished or (self._stopping and not self._roster.running)):
            concluded = self._ledger.concluded
            # Whoever reports is served before the next trial is asked for.
            for event in self._executor.poll(0.0 if self._asks_ahead else POLL_SECONDS):
                with self._times.storage:
                    self._handle(event)
            self._direct_waiting()
            if self._asks_ahead:
                self._ask()
                self._direct_waiting()
            if self._ledger.concluded > concluded:
                self._store.run_timed(study, run_id, self._times.split())
            self._watcher.update(self.progress())
        self._store.run_timed(study, run_id, self._times.split())
        return self.progress()

    def _handle(self, event: Event) -> None:
        study, worker = self._spec.study, event.worker
        match event:
            case WorkerReady():
                self._store.worker_ready(
                    study, worker, event.pid, event.host, event.device, event.engine
                )
                self._roster.ready(event)
                self._times.ready(worker)
                self._trains_since = self._trains_since or time.monotonic()
            case CohortReported():
                self._times.reported(worker, event.train_seconds, event.compile_seconds)
                seat = self._roster.seat(worker)
                seat.retire = self._judge(event.reports, seat)
                seat.waiting = True
            case TrialRetired():
                open_trial = self._roster.seat(worker).release(event.result.number)
                self._ledger.conclude(open_trial, event.result, worker)
            case TrialFailed():
                seat = self._roster.seat(worker)
                open_trial = seat.release(event.number)
                if seat.waiting:
                    self._times.waits(worker)
                self._ledger.fail(open_trial, event.error, event.traceback, event.log)
            case WorkerLost():
                self._lose(event)

    def _judge(self, reports: Sequence[EpochReport], seat: Seat) -> tuple[Retirement, ...]:
        verdicts = self._ledger.judge(reports, seat.trials)
        if self._stopping:
            verdicts = [
                verdict or Retirement(report.number, StopReason.INTERRUPTED)
                for verdict, report in zip(verdicts, reports, strict=True)
            ]
        return tuple(verdict for verdict in verdicts if verdict is not None)

    def _lose(self, event: WorkerLost) -> None:
        """A worker died: its trials are taken up once, then they fail with the reason."""
        self._store.worker_lost(self._spec.study, event.worker, event.reason)
        self._watcher.message(f"worker {event.worker} {event.reason}; a new one takes its place")
        seat = self._roster.seats[event.worker]
        restarts = []
        for open_trial in seat.trials.values() if seat else ():
            attempt = open_trial.task.attempt
            if attempt >= MOST_ATTEMPTS:
                reason = f"worker lost in attempt {attempt}: {event.reason}"
                self._ledger.fail(open_trial, reason, "", event.log)
            else:
                stall = event.reason if event.has_stalled else ""
                restarts.append(open_trial.next_attempt(stall))
        self._ready.put_first(restarts)
        self._roster.lost(event.worker)
        self._times.lost(event.worker)

    def _direct_waiting(self) -> None:
        for worker, seat in self._roster.seats.items():
            if seat is not None and seat.waiting:
                self._direct(worker, seat)

    def _direct(self, worker: str, seat: Seat) -> None:
        admitted = [] if self._stopping else self._next_trials(seat)
        directive = Directive(seat.retire, tuple(t.task for t in admitted))
        if not (admitted or seat.retire or seat.staying):
            return
        for open_trial in admitted:
            with self._times.storage:
                self._store.trial_started(self._spec.study, open_trial.task, worker)
            seat.admit(open_trial)
        self._executor.direct(worker, directive)
        seat.directed()
        self._times.directed(worker, trains=not seat.waiting)

    def _next_trials(self, seat: Seat) -> list[OpenTrial]:
        """What a worker starts; one that trains nothing waits for as many as it has slots."""
        if not seat.trials and len(self._ready) < min(seat.free, self._unassigned):
            return []
        return self._ready.take(seat.free, seat.rank)

    @property
    def _unassigned(self) -> int:
        """Trials of the budget that are neither finished nor in a slot."""
        return self._asked - self._standings.finished - self._roster.running

    @property
    def _asks_ahead(self) -> bool:
        """Whether a trial is to be asked for: the budget has one, and few are ready."""
        wanted = min(self._unassigned, self._roster.ahead)
        return len(self._ready) < wanted and not self._stopping

    def _ask(self) -> None:
        with self._times.sampling:
            open_trial = self._source.next()
        # `sweep retry` may have enqueued it after this run had counted the failure.
        self._standings.failures.discard(open_trial.trial.user_attrs.get(RETRY_OF))
        self._ready.add(open_trial)

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
            trial_epochs=self._ledger.trial_epochs,
            seconds=time.monotonic() - self._started,
            eta_seconds=self._eta_seconds(),
            stopping=self._stopping,
            time=self._times.split(),
        )

    def _eta_seconds(self) -> float | None:
        """The time for what is left, if trials train as long as those of this run did.

        The start of the workers is left out: it is over when anything is known.
        """
        trained, concluded = self._ledger.trial_epochs, self._ledger.concluded
        if not trained or self._trains_since is None:
            return None
        in_slots = [
            t for seat in self._roster.seats.values() if seat for t in seat.trials.values()
        ]
        in_training = sum(len(open_trial.reports) for open_trial in in_slots)
        per_trial = float(self._most_epochs)
        if concluded:
            earlier = sum(open_trial.earlier for open_trial in in_slots)
            per_trial = (trained + earlier - in_training) / concluded
        left = (self._asked - self._standings.finished) * per_trial - in_training
        seconds = time.monotonic() - self._trains_since
        return max(left, 0.0) * seconds / trained
