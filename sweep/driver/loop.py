"""The loop of a run: ask, dispatch, report, prune, tell."""

import math
import time
from collections.abc import Sequence

from sweep.budget import WANTED_ENDINGS, Budget, Ending
from sweep.data import DataRef
from sweep.driver.ledger import Ledger, Retired
from sweep.driver.progress import Progress, Watcher
from sweep.driver.ready import ReadyQueue
from sweep.driver.roster import Roster, Seat
from sweep.driver.source import OpenTrial, TrialSource
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
from sweep.spec.model import StudySpec
from sweep.spec.tree import most_epochs
from sweep.store import RETRY_OF, BudgetSpentError, StudyRun
from sweep.trial import EpochReport, StopReason

CANCELLED = "cancelled"
POLL_SECONDS = 0.5
LOOK_SECONDS = 1.0
TAKE_OVER_SECONDS = 5.0
MOST_LOSSES = 2


class Loop:
    """Drives a study as one of its runs; used once, by `run_study`."""

    def __init__(
        self,
        spec: StudySpec,
        run: StudyRun,
        ledger: Ledger,
        source: TrialSource,
        executor: Executor,
        data: DataRef,
        watcher: Watcher,
        stop: StopFlag,
        times: TimeKeeper,
        *,
        waits: bool,
    ) -> None:
        """Look at how far the study is; nothing trains before `run`."""
        self._spec = spec
        self._run = run
        self._ledger = ledger
        self._standings = ledger.standings
        self._source = source
        self._executor = executor
        self._data = data
        self._watcher = watcher
        self._stop = stop
        self._waits = waits
        self._budget = Budget.of(spec)
        self._asked = self._budget.trials
        self._roster = Roster(executor.workers)
        self._ready = ReadyQueue()
        run.limit(self._asked)
        self._times = times
        self._outlook = run.outlook()
        self._looked_at = self._taken_over_at = -math.inf
        self._budget_is_spent = False
        self._lost: set[int] = set()
        self._broken_off: list[OpenTrial] = []
        self._retired: list[Retired] = []
        self._most_epochs = most_epochs(spec)
        self._started = time.monotonic()
        self._trains_since: float | None = None

    @property
    def ending(self) -> Ending | None:
        """Why the run is about to end, or None if it goes on."""
        wanted = WANTED_ENDINGS.get(self._outlook.wanted)
        # Trials that are broken off count as finished too.
        if wanted is not Ending.CANCELLED and self._standings.finished >= self._asked:
            return Ending.TRIALS
        if wanted is not None:
            return wanted
        if self._stop.requested:
            return Ending.INTERRUPTED
        best = self._standings.best
        spent = self._budget.ending(best.values[0] if best else None, self._outlook)
        if spent is None and not self._waits and self._has_nothing_to_do:
            return Ending.NOTHING_LEFT
        return spent

    @property
    def _has_nothing_to_do(self) -> bool:
        idle = not (self._roster.running or len(self._ready) or self._source.has_left)
        return idle and (self._budget_is_spent or self._unassigned <= 0)

    def run(self) -> Progress:
        """Train until the run ends; returns the last progress."""
        self._watcher.update(self.progress())
        while not self._is_over():
            concluded = self._ledger.concluded
            self.look_around()
            # Whoever reports is served before the next trial is asked for.
            for event in self._executor.poll(0.0 if self._asks_ahead else POLL_SECONDS):
                with self._times.storage:
                    self._handle(event)
            self._conclude()
            self._direct_waiting()
            if self._asks_ahead:
                self._ask()
                self._direct_waiting()
            self._write_down()
            if self._ledger.concluded > concluded:
                self._run.timed(self._times.split())
            self._watcher.update(self.progress())
        if self.ending is Ending.CANCELLED:
            self._cancel()
        self._run.timed(self._times.split())
        return self.progress()

    def _is_over(self) -> bool:
        ending = self.ending
        if ending in (Ending.TRIALS, Ending.CANCELLED):
            return True
        return ending is not None and not self._roster.running

    def _cancel(self) -> None:
        """Let all that this run holds fail."""
        self._broken_off += self._roster.take_all()
        self._broken_off += self._ready.take_all()
        self._broken_off += self._source.take_left()
        for open_trial in self._broken_off:
            self._ledger.fail(open_trial, CANCELLED, "", "")

    def tidy(self) -> None:
        """Remove what workers wrote about trials after these were broken off."""
        for open_trial in self._broken_off:
            self._ledger.tidy(open_trial)

    def look_around(self) -> None:
        """Renew the lease, see what other runs did, and take over from those that are gone."""
        with self._times.storage:
            self._run.keep_alive(self._times.split())
            now = time.monotonic()
            if now - self._looked_at >= LOOK_SECONDS:
                self._looked_at = now
                self._ledger.take_in()
                self._outlook = self._run.outlook()
                self._budget_is_spent = False
            takes_over = self.ending in (None, Ending.NOTHING_LEFT)
            if takes_over and now - self._taken_over_at >= TAKE_OVER_SECONDS:
                self._taken_over_at = now
                if count := self._source.take_over(self._free_slots, self._busy):
                    what = "one interrupted trial" if count == 1 else f"{count} interrupted trials"
                    self._watcher.message(f"taking up {what}")

    def _handle(self, event: Event) -> None:
        worker = event.worker
        match event:
            case WorkerReady():
                self._run.worker_ready(worker, event.pid, event.host, event.device, event.engine)
                self._roster.ready(event)
                self._times.ready(worker)
                self._trains_since = self._trains_since or time.monotonic()
            case CohortReported():
                self._times.reported(worker, event.train_seconds, event.compile_seconds)
                seat = self._roster.seat(worker)
                seat.retire = self._judge(event.reports, seat)
                seat.waiting = True
                if any(report.checkpoint for report in event.reports):
                    # The next but one takes the place of the one that the database knows.
                    self._run.flush()
                self._direct(worker, seat)
            case TrialRetired():
                open_trial = self._roster.seat(worker).release(event.result.number)
                self._retired.append(Retired(open_trial, event.result, worker))
            case TrialFailed():
                seat = self._roster.seat(worker)
                open_trial = seat.release(event.number)
                if seat.waiting:
                    self._times.waits(worker)
                self._ledger.fail(open_trial, event.error, event.traceback, event.log)
            case WorkerLost():
                self._lose(event)

    def _conclude(self) -> None:
        """Write down at once all that has retired."""
        retired, self._retired = self._retired, []
        if retired:
            with self._times.storage:
                self._ledger.conclude(retired)

    def _judge(self, reports: Sequence[EpochReport], seat: Seat) -> tuple[Retirement, ...]:
        verdicts = self._ledger.judge(reports, seat.trials)
        sets_aside = self._sets_aside
        judged = []
        for verdict, report in zip(verdicts, reports, strict=True):
            if report.number in self._lost:
                self._lost.discard(report.number)
                self._watcher.message(f"trial {report.number} was taken over by another run")
                verdict = Retirement(report.number, StopReason.INTERRUPTED)
            elif sets_aside:
                verdict = verdict or Retirement(report.number, StopReason.INTERRUPTED)
            judged.append(verdict)
        return tuple(verdict for verdict in judged if verdict is not None)

    def _write_down(self) -> None:
        """Write what was judged, beside the training that goes on."""
        with self._times.storage:
            self._run.flush()
            lost = self._run.take_lost()
            self._ready.drop(lost)
            self._lost |= lost & {open_trial.task.number for open_trial in self._roster.trials}

    def _lose(self, event: WorkerLost) -> None:
        """A worker died: its trials are taken up again, unless they get nowhere with any."""
        self._run.worker_lost(event.worker, event.reason)
        self._watcher.message(f"worker {event.worker} {event.reason}; a new one takes its place")
        seat = self._roster.seats[event.worker]
        restarts = []
        for open_trial in seat.trials.values() if seat else ():
            if not self._run.holds(open_trial.trial._trial_id):
                continue
            if open_trial.lost_in_a_row >= MOST_LOSSES:
                reason = f"worker lost in attempt {open_trial.task.attempt}: {event.reason}"
                self._ledger.fail(open_trial, reason, "", event.log)
            else:
                stall = event.reason if event.has_stalled else ""
                restarts.append(open_trial.next_attempt(stall))
        self._ready.put_first(restarts)
        self._roster.lost(event.worker)
        self._times.lost(event.worker)

    @property
    def _busy(self) -> set[int]:
        """Trials in slots: one that was lost cannot come back before it has left its slot."""
        return {open_trial.trial._trial_id for open_trial in self._roster.trials}

    @property
    def _sets_aside(self) -> bool:
        """Whether trials in training are to be interrupted, to go on later."""
        return self.ending not in (None, Ending.STOPPED)

    def _direct_waiting(self) -> None:
        for worker, seat in self._roster.seats.items():
            if seat is not None and seat.waiting:
                self._direct(worker, seat)

    def _direct(self, worker: str, seat: Seat) -> None:
        admitted = self._next_trials(seat) if self.ending is None else []
        directive = Directive(seat.retire, tuple(t.task for t in admitted))
        if not (admitted or seat.retire or seat.staying):
            return
        for open_trial in admitted:
            seat.admit(open_trial)
        self._executor.direct(worker, directive)
        with self._run.gathering():
            for open_trial in admitted:
                self._run.trial_started(open_trial.trial._trial_id, open_trial.task, worker)
        seat.directed()
        self._times.directed(worker, trains=not seat.waiting)

    def _next_trials(self, seat: Seat) -> list[OpenTrial]:
        """What a worker starts; one that trains nothing waits for as many as it has slots."""
        if not seat.trials and len(self._ready) < min(seat.free, self._unassigned):
            return []
        return self._ready.take(seat.free, seat.rank)

    @property
    def _unassigned(self) -> int:
        """Trials of the budget that are neither finished nor in a slot of any run."""
        elsewhere = self._run.others_open
        return self._asked - self._standings.finished - self._roster.running - elsewhere

    @property
    def _free_slots(self) -> int:
        """Slots that neither train nor have a trial ready."""
        return max(0, self._roster.capacity - self._roster.running - len(self._ready))

    @property
    def _asks_ahead(self) -> bool:
        """Whether trials are to be asked for: the budget has some, and few are ready."""
        missing = self._missing
        # Several at once cost little more than one; but who trains nothing waits for the last.
        enough = min((len(self._ready) + missing) // 2, self._source.most_at_once)
        is_time = missing > 0 and (missing >= enough or self._roster.has_idle)
        return is_time and not self._budget_is_spent and self.ending is None

    @property
    def _missing(self) -> int:
        """Trials that are to be ready beside those that are."""
        return min(self._unassigned, self._roster.ahead) - len(self._ready)

    def _ask(self) -> None:
        with self._times.sampling:
            try:
                opened = self._source.next(self._missing, self._busy)
            except BudgetSpentError:
                # Another run was faster; when it fails to finish its trial, there is one more.
                self._budget_is_spent = True
                return
        for open_trial in opened:
            # `sweep retry` may have enqueued it after this run had counted the failure.
            self._standings.failures.discard(open_trial.trial.user_attrs.get(RETRY_OF))
            self._ready.add(open_trial)

    def progress(self) -> Progress:
        """The study now."""
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
            ending=self.ending,
            time=self._times.split(),
        )

    def _eta_seconds(self) -> float | None:
        """The time for what is left, if trials train as long as those of this run did.

        The start of the workers is left out: it is over when anything is known.
        """
        trained, concluded = self._ledger.trial_epochs, self._ledger.concluded
        if not trained or self._trains_since is None:
            return None
        in_slots = self._roster.trials
        in_training = sum(len(open_trial.reports) for open_trial in in_slots)
        per_trial = float(self._most_epochs)
        if concluded:
            earlier = sum(open_trial.earlier for open_trial in in_slots)
            per_trial = (trained + earlier - in_training) / concluded
        left = (self._asked - self._standings.finished) * per_trial - in_training
        seconds = time.monotonic() - self._trains_since
        return max(left, 0.0) * seconds / trained
