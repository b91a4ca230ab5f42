"""What every executor must do, as a suite to inherit: see `test_process.py`.

The processes are real and so are the signals. A test waits for events, never for a time.
"""

import io
import os
import random
import signal
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import psutil
import pytest
import softmax_engine as faults
from processes import is_gone, wait_until

from sweep.data import DataRef
from sweep.errors import ExecutorError
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
from sweep.executors.s3_address import S3Address
from sweep.trial import EpochReport, StopReason, TrialConfig, TrialTask

if TYPE_CHECKING:
    from s3_server import TestBucket

PATIENCE_SECONDS = 60.0
Kind = TypeVar("Kind", bound=Event)


def task(number: int, *, depth: int = 20, epochs: int = 1000) -> TrialTask:
    config = TrialConfig(depth=depth, epochs=epochs, learning_rate=0.05)
    return TrialTask(number=number, config=config, seed=100 + number)


class Conversation:
    """An executor and the events that came from it and were not looked at yet."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self._events: deque[Event] = deque()

    def expect(self, kind: type[Kind]) -> Kind:
        """The next event, which must be of this kind."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._events:
            assert time.monotonic() < deadline, f"no {kind.__name__} came"
            self._events.extend(self.executor.poll(1.0))
        event = self._events.popleft()
        assert isinstance(event, kind), event
        return event

    def direct(self, worker: str, *admit: TrialTask, retire: tuple[Retirement, ...] = ()) -> None:
        self.executor.direct(worker, Directive(retire=retire, admit=admit))

    def train(self, worker: str, training: TrialTask) -> list[EpochReport]:
        """Train one trial to its end, alone."""
        reports: list[EpochReport] = []
        self.direct(worker, training)
        while True:
            reports += self.expect(CohortReported).reports
            if (reason := reports[-1].finished) is not None:
                self.direct(worker, retire=(Retirement(training.number, reason),))
                assert self.expect(TrialRetired).result.number == training.number
                return reports
            self.direct(worker)


class Launch(Protocol):
    """Starts an executor on engines of `softmax_engine`; it is closed after the test."""

    def __call__(
        self,
        engine: str = "softmax",
        *,
        workers: int = 1,
        stall_seconds: float = 60.0,
        heartbeat_seconds: float = 30.0,
        factory: str = "softmax_engine:make_engine",
    ) -> Conversation: ...


def metrics(reports: list[EpochReport]) -> list[tuple[int, float, float, float, float]]:
    return [(r.epoch, r.loss, r.accuracy, r.val_loss, r.val_accuracy) for r in reports]


class ExecutorContract:
    """Inherit it, and give a fixture `launch` that makes the executor under test."""

    def test_every_worker_reports_ready_once(self, launch: Launch) -> None:
        talk = launch("softmax-3", workers=2)
        names = talk.executor.workers
        assert len(set(names)) == 2
        ready = [talk.expect(WorkerReady), talk.expect(WorkerReady)]
        assert {event.worker for event in ready} == set(names)
        assert len({event.pid for event in ready} | {os.getpid()}) == 3
        assert all((e.engine, e.capacity) == ("softmax", 3) for e in ready)
        assert talk.executor.workers == names
        assert talk.executor.poll(0.0) == []

    def test_a_trial_gives_the_figures_of_its_engine(self, launch: Launch, data: DataRef) -> None:
        engine = faults.make_engine("softmax", data, "here")
        engine.admit(task(7, epochs=3))
        expected = [report for _ in range(3) for report in engine.run_epoch()]
        talk = launch()
        reports = talk.train(talk.expect(WorkerReady).worker, task(7, epochs=3))
        assert metrics(reports) == metrics(expected)
        assert reports[-1].finished is StopReason.COMPLETED

    def test_a_slot_is_refilled_in_the_directive_that_prunes(
        self, launch: Launch, tmp_path: Path
    ) -> None:
        talk = launch("softmax-2")
        worker = talk.expect(WorkerReady).worker
        talk.direct(worker, task(1), task(2))
        assert [r.number for r in talk.expect(CohortReported).reports] == [1, 2]
        kept = tmp_path / "1.keras"
        pruned = Retirement(1, StopReason.PRUNED, kept)
        talk.direct(worker, task(3), retire=(pruned,))
        result = talk.expect(TrialRetired).result
        assert (result.number, result.reason, result.epochs) == (1, StopReason.PRUNED, 1)
        assert result.weights == str(kept)
        assert np.load(kept).shape == (108, 3)
        reports = talk.expect(CohortReported).reports
        assert [(r.number, r.epoch) for r in reports] == [(2, 2), (3, 1)]

    def test_a_trial_goes_on_from_s3_on_another_worker(
        self, launch: Launch, data: DataRef, s3: "TestBucket"
    ) -> None:
        engine = faults.make_engine("softmax", data, "here")
        engine.admit(task(1, epochs=4))
        expected = [report for _ in range(4) for report in engine.run_epoch()]
        talk = launch(factory="softmax_engine:make_engine_that_saves_every_epoch")
        worker = talk.expect(WorkerReady).worker
        training = replace(task(1, epochs=4), artifacts=s3.address)
        talk.direct(worker, training)
        talk.expect(CohortReported)
        talk.direct(worker)
        (second,) = talk.expect(CohortReported).reports
        assert (second.checkpoint, second.epoch) == ("checkpoint-1-b", 2)
        talk.executor.close()
        talk = launch()
        worker = talk.expect(WorkerReady).worker
        talk.direct(worker, replace(training, checkpoint=second.checkpoint, checkpoint_epoch=2))
        reports = list(talk.expect(CohortReported).reports)
        talk.direct(worker)
        reports += talk.expect(CohortReported).reports
        assert metrics(reports) == metrics(expected[2:])
        file = S3Address.parse(s3.address).under("trial-1.keras")
        talk.direct(worker, retire=(Retirement(1, StopReason.COMPLETED, file),))
        result = talk.expect(TrialRetired).result
        assert (result.weights, result.remark) == (str(file), "")
        assert np.load(io.BytesIO(s3.content(file.key))).shape == (108, 3)

    def test_a_worker_tells_training_from_compiling(self, launch: Launch) -> None:
        talk = launch("faulty")
        worker = talk.expect(WorkerReady).worker
        started = time.monotonic()
        talk.direct(worker, task(1, depth=faults.COMPILES))
        first = talk.expect(CohortReported)
        talk.direct(worker)
        second = talk.expect(CohortReported)
        assert 0.4 <= first.compile_seconds
        assert first.train_seconds + first.compile_seconds <= time.monotonic() - started
        assert 0.2 <= second.train_seconds
        assert second.compile_seconds < 0.1

    def test_a_worker_without_trials_waits_in_silence(self, launch: Launch) -> None:
        talk = launch()
        worker = talk.expect(WorkerReady).worker
        talk.direct(worker)
        assert talk.executor.poll(0.3) == []
        talk.train(worker, task(1, epochs=1))
        assert talk.executor.poll(0.3) == []
        talk.train(worker, task(2, epochs=1))

    def test_a_directive_that_nobody_asked_for_is_refused(self, launch: Launch) -> None:
        talk = launch("faulty")
        with pytest.raises(ExecutorError, match="no worker"):
            talk.direct("elsewhere", task(1))
        with pytest.raises(ExecutorError, match="does not wait"):
            talk.direct(talk.executor.workers[0], task(1))
        worker = talk.expect(WorkerReady).worker
        talk.direct(worker, task(1, depth=faults.SLOW))
        with pytest.raises(ExecutorError, match="does not wait"):
            talk.direct(worker, task(2))

    def test_a_trial_that_breaks_in_training_fails_alone(self, launch: Launch) -> None:
        talk = launch("faulty")
        ready = talk.expect(WorkerReady)
        talk.direct(ready.worker, task(1, depth=faults.RAISES_WHILE_TRAINING))
        failed = talk.expect(TrialFailed)
        assert (failed.worker, failed.number) == (ready.worker, 1)
        assert failed.error == "FloatingPointError: training broke in the second line"
        assert "in run_epoch" in failed.traceback
        assert failed.traceback.rstrip().endswith("in the second line")
        assert "written by a library" in failed.log
        talk.train(ready.worker, task(2, epochs=2))
        assert not is_gone(ready.pid)

    def test_a_broken_cohort_gives_one_event_for_each_trial(self, launch: Launch) -> None:
        talk = launch("faulty-3")
        worker = talk.expect(WorkerReady).worker
        talk.direct(worker, task(1), task(2, depth=faults.RAISES_WHILE_TRAINING), task(3))
        assert [talk.expect(TrialFailed).number for _ in range(3)] == [1, 2, 3]
        talk.train(worker, task(4, epochs=1))

    def test_a_trial_that_cannot_be_built_leaves_the_others(self, launch: Launch) -> None:
        talk = launch("faulty-2")
        worker = talk.expect(WorkerReady).worker
        talk.direct(worker, task(1, depth=faults.RAISES_AT_ADMISSION), task(2))
        failed = talk.expect(TrialFailed)
        assert failed.number == 1
        assert failed.error == "TrialError: the trial cannot be built received: depth 101"
        assert [r.number for r in talk.expect(CohortReported).reports] == [2]

    def test_trials_that_an_engine_gives_up_leave_the_others(self, launch: Launch) -> None:
        talk = launch("faulty-3")
        worker = talk.expect(WorkerReady).worker
        depth = faults.CANNOT_BE_COMPILED
        talk.direct(worker, task(1, depth=depth), task(2), task(3, depth=depth))
        failed = [talk.expect(TrialFailed), talk.expect(TrialFailed)]
        assert [event.number for event in failed] == [1, 3]
        assert failed[0].error == "TrialError: the program cannot be compiled"
        assert [r.number for r in talk.expect(CohortReported).reports] == [2]
        talk.direct(worker, task(4, depth=depth), retire=(Retirement(2, StopReason.PRUNED),))
        assert talk.expect(TrialRetired).result.number == 2
        assert talk.expect(TrialFailed).number == 4
        talk.train(worker, task(5, epochs=1))

    def test_a_retirement_that_breaks_loses_the_cohort(self, launch: Launch) -> None:
        talk = launch("faulty-2")
        worker = talk.expect(WorkerReady).worker
        talk.direct(worker, task(1, depth=faults.RAISES_AT_RETIREMENT), task(2))
        talk.expect(CohortReported)
        talk.direct(worker, retire=(Retirement(1, StopReason.PRUNED),))
        failed = [talk.expect(TrialFailed), talk.expect(TrialFailed)]
        assert [event.number for event in failed] == [1, 2]
        assert "No space left on device" in failed[0].error
        talk.train(worker, task(3, epochs=1))

    def test_the_log_of_a_failure_is_its_end_and_bounded(self, launch: Launch) -> None:
        talk = launch("faulty")
        talk.direct(talk.expect(WorkerReady).worker, task(1, depth=faults.WIDE_LOG))
        lines = talk.expect(TrialFailed).log.splitlines()
        assert len(lines) == 100
        assert lines[-2:] == ["line", "the end"]

    def test_a_worker_killed_at_any_moment_is_replaced(self, launch: Launch) -> None:
        moments = random.Random(9)
        talk = launch("faulty-2")
        ready = talk.expect(WorkerReady)
        for first in (1, 3):
            talk.direct(ready.worker, task(first, depth=faults.SLOW), task(first + 1))
            time.sleep(moments.uniform(0.0, 0.3))
            os.kill(ready.pid, signal.SIGKILL)
            killed = time.monotonic()
            lost = talk.expect(WorkerLost)
            assert time.monotonic() - killed < 2.0
            assert lost.worker == ready.worker
            assert lost.numbers == (first, first + 1)
            assert lost.reason == "was killed by SIGKILL"
            replacement = talk.expect(WorkerReady)
            assert replacement.worker == ready.worker
            assert replacement.pid != ready.pid
            ready = replacement
        talk.train(ready.worker, task(5, epochs=2))

    def test_what_a_worker_said_before_it_died_comes_first(self, launch: Launch) -> None:
        talk = launch()
        ready = talk.expect(WorkerReady)
        talk.direct(ready.worker, task(1))
        time.sleep(0.3)
        os.kill(ready.pid, signal.SIGKILL)
        assert wait_until(lambda: is_gone(ready.pid), 5.0)
        assert talk.expect(CohortReported).reports[0].number == 1
        talk.direct(ready.worker, task(2), retire=(Retirement(1, StopReason.PRUNED),))
        assert talk.expect(WorkerLost).numbers == (1, 2)

    def test_an_admission_to_a_worker_whose_death_is_not_known_yet_comes_back(
        self, launch: Launch
    ) -> None:
        talk = launch(workers=2)
        ready = [talk.expect(WorkerReady), talk.expect(WorkerReady)]
        for event in ready:
            os.kill(event.pid, signal.SIGKILL)
        assert wait_until(lambda: all(is_gone(event.pid) for event in ready), 5.0)
        first = talk.expect(WorkerLost)
        assert first.numbers == ()
        (other,) = set(talk.executor.workers) - {first.worker}
        talk.direct(other, task(2))
        second = talk.expect(WorkerLost)
        assert (second.worker, second.numbers) == (other, (2,))

    def test_a_crash_in_native_code_names_its_signal(self, launch: Launch) -> None:
        talk = launch("faulty")
        talk.direct(talk.expect(WorkerReady).worker, task(1, depth=faults.KILLS_ITSELF))
        lost = talk.expect(WorkerLost)
        assert (lost.numbers, lost.reason) == ((1,), "was killed by SIGSEGV")
        assert "Fatal Python error: Segmentation fault" in lost.log
        talk.train(talk.expect(WorkerReady).worker, task(2, epochs=1))

    def test_a_stopped_worker_is_replaced(self, launch: Launch) -> None:
        talk = launch("faulty", heartbeat_seconds=1.5)
        ready = talk.expect(WorkerReady)
        talk.direct(ready.worker, task(1, depth=faults.SLOW))
        os.kill(ready.pid, signal.SIGSTOP)
        lost = talk.expect(WorkerLost)
        assert (lost.numbers, lost.reason) == ((1,), "hung, without a heartbeat for 1.5 seconds")
        assert is_gone(ready.pid)
        talk.train(talk.expect(WorkerReady).worker, task(2, epochs=1))

    def test_a_worker_that_hangs_is_replaced_and_says_where(self, launch: Launch) -> None:
        talk = launch("faulty", heartbeat_seconds=2.0, stall_seconds=1.0)
        worker = talk.expect(WorkerReady).worker
        talk.direct(worker, task(1, depth=faults.HANGS))
        lost = talk.expect(WorkerLost)
        assert (lost.numbers, lost.reason) == ((1,), "hung, without progress for 1 seconds")
        assert "in hang_in_here" in lost.log
        talk.expect(WorkerReady)
        assert talk.executor.poll(2.2) == [], "waiting is no stall"
        talk.direct(worker, task(2, depth=faults.HOLDS_INTERPRETER))
        lost = talk.expect(WorkerLost)
        assert (lost.numbers, lost.reason) == ((2,), "hung, without a heartbeat for 2 seconds")

    def test_slow_work_with_progress_is_no_stall(self, launch: Launch) -> None:
        talk = launch("faulty", heartbeat_seconds=2.0, stall_seconds=0.6)
        talk.direct(talk.expect(WorkerReady).worker, task(1, depth=faults.SLOW))
        assert talk.executor.poll(1.5) == []

    def test_a_driver_that_was_busy_finds_its_workers_alive(self, launch: Launch) -> None:
        talk = launch(heartbeat_seconds=0.5)
        worker = talk.expect(WorkerReady).worker
        talk.direct(worker, task(1))
        time.sleep(1.2)
        for _ in range(3):
            assert talk.expect(CohortReported).reports[0].number == 1
            talk.direct(worker)

    def test_time_in_which_nobody_listened_is_no_silence(self, launch: Launch) -> None:
        talk = launch(heartbeat_seconds=2.0)
        ready = talk.expect(WorkerReady)
        os.kill(ready.pid, signal.SIGSTOP)
        assert talk.executor.poll(0.1) == []
        time.sleep(2.5)
        assert talk.executor.poll(0.0) == []
        os.kill(ready.pid, signal.SIGCONT)
        assert talk.executor.poll(0.5) == []
        talk.train(ready.worker, task(1, epochs=1))

    def test_a_worker_that_cannot_start_ends_the_sweep_with_its_log(self, launch: Launch) -> None:
        talk = launch(factory="softmax_engine:make_broken_engine")
        for _ in range(2):
            lost = talk.expect(WorkerLost)
            assert lost.numbers == ()
            assert lost.reason == "exited with status 1"
        with pytest.raises(ExecutorError) as error:
            talk.expect(WorkerReady)
        assert "3 times" in error.value.what
        assert "EOFError: No data left in file" in str(error.value.received)

    def test_a_worker_may_need_a_second_start(self, launch: Launch) -> None:
        talk = launch(factory="softmax_engine:make_engine_at_second_start")
        assert talk.expect(WorkerLost).reason == "exited with status 7"
        talk.train(talk.expect(WorkerReady).worker, task(1, epochs=1))

    def test_close_stops_every_worker_whatever_it_does(self, launch: Launch) -> None:
        talk = launch("faulty", workers=2)
        ready = [talk.expect(WorkerReady) for _ in range(2)]
        talk.direct(ready[0].worker, task(1, depth=faults.SLOW))
        os.kill(ready[1].pid, signal.SIGSTOP)
        talk.executor.close()
        assert not any(psutil.pid_exists(event.pid) for event in ready)
        talk.executor.close()

    def test_close_before_the_workers_are_ready(self, launch: Launch) -> None:
        started = time.monotonic()
        launch().executor.close()
        assert time.monotonic() - started < 10.0
