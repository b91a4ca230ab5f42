"""The process executor: the contract, and what is special about processes of this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import softmax_engine as faults
from colour_data import write_data
from executor_contract import (
    Conversation,
    ExecutorContract,
    Launch,
    is_gone,
    metrics,
    task,
    wait_until,
)

from sweep.data import DataRef
from sweep.errors import ExecutorError
from sweep.executors.base import CohortReported, TrialFailed, WorkerLost, WorkerReady
from sweep.executors.process import ProcessExecutor
from sweep.trial import TrialConfig, TrialTask

HERE = Path(__file__).parent


@pytest.fixture
def launch(data: DataRef, tmp_path: Path) -> Iterator[Launch]:
    with ExitStack() as executors:

        def start(
            engine: str = "softmax",
            *,
            workers: int = 1,
            stall_seconds: float = 60.0,
            heartbeat_seconds: float = 30.0,
            factory: str = "softmax_engine:make_engine",
        ) -> Conversation:
            executor = ProcessExecutor(
                engine,
                data,
                workers=workers,
                log_dir=tmp_path / "logs",
                stall_seconds=stall_seconds,
                heartbeat_seconds=heartbeat_seconds,
                factory=factory,
            )
            return Conversation(executors.enter_context(executor))

        yield start


@pytest.fixture
def no_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no control group granted this machine's tests less than their cores."""
    monkeypatch.setattr("sweep.executors.devices.cpu_quota", lambda *_: None)


class TestProcessExecutor(ExecutorContract):
    """The contract holds for processes."""


@pytest.mark.usefixtures("no_quota")
def test_workers_are_pinned_and_run_one_thread(launch: Launch) -> None:
    allowed = os.sched_getaffinity(0)
    talk = launch(workers=2)
    for _ in range(2):
        ready = talk.expect(WorkerReady)
        process = psutil.Process(ready.pid)
        core = int(ready.device.removeprefix("cpu:"))
        assert ready.worker in ("cpu0", "cpu1")
        assert core in allowed
        threads = [os.sched_getaffinity(thread.id) for thread in process.threads()]
        assert threads == [{core}] * 2, "the main thread and the pulse"
        environment = process.environ()
        assert environment["CUDA_VISIBLE_DEVICES"] == "-1"
        assert environment["OMP_NUM_THREADS"] == "1"
        assert environment["TF_NUM_INTRAOP_THREADS"] == "1"
        assert environment["TF_NUM_INTEROP_THREADS"] == "1"
    assert os.sched_getaffinity(0) == allowed, "the parent is free again"


def test_a_worker_with_a_quota_may_run_on_every_core(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.executors.devices.first_threads", lambda *_: (0, 1, 2, 3))
    monkeypatch.setattr("sweep.executors.devices.cpu_quota", lambda *_: 1.0)
    ready = launch().expect(WorkerReady)
    assert ready.device == "cpu"
    assert os.sched_getaffinity(ready.pid) == os.sched_getaffinity(0)
    assert psutil.Process(ready.pid).environ()["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_workers_are_told_what_keras_runs_on(
    data: DataRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with ProcessExecutor(
        "softmax",
        data,
        backend=backend,
        workers=1,
        log_dir=tmp_path,
        factory="softmax_engine:make_engine",
    ) as executor:
        ready = Conversation(executor).expect(WorkerReady)
        environment = psutil.Process(ready.pid).environ()
    assert environment["KERAS_BACKEND"] == backend
    assert (environment.get("JAX_PLATFORMS") == "cpu") == (backend == "jax")


def test_the_log_of_the_process_before_is_kept(launch: Launch, tmp_path: Path) -> None:
    talk = launch("faulty")
    talk.direct(talk.expect(WorkerReady).worker, task(1, depth=faults.KILLS_ITSELF))
    talk.expect(WorkerLost)
    talk.expect(WorkerReady)
    logs = tmp_path / "logs"
    assert sorted(path.name for path in logs.iterdir()) == ["cpu0.log", "cpu0.log.1"]
    assert "Segmentation fault" in (logs / "cpu0.log.1").read_text()
    assert "Segmentation fault" not in (logs / "cpu0.log").read_text()


@pytest.mark.parametrize(
    ("depth", "reason"),
    [
        (faults.SPEAKS_NONSENSE, "sent a damaged message"),
        (faults.STOPS_IN_A_MESSAGE, "hung, without a heartbeat for 2 seconds"),
        (faults.DIES_IN_A_MESSAGE, "was killed by SIGKILL"),
    ],
)
def test_half_a_message_costs_one_worker(launch: Launch, depth: int, reason: str) -> None:
    talk = launch("faulty", heartbeat_seconds=2.0)
    talk.direct(talk.expect(WorkerReady).worker, task(1, depth=depth))
    lost = talk.expect(WorkerLost)
    assert lost.numbers == (1,)
    assert lost.reason.startswith(reason)
    talk.train(talk.expect(WorkerReady).worker, task(2, epochs=1))


def test_a_worker_that_does_not_read_holds_nobody_up(launch: Launch) -> None:
    talk = launch()
    ready = talk.expect(WorkerReady)
    os.kill(ready.pid, signal.SIGSTOP)
    started = time.monotonic()
    tasks = [task(number) for number in range(1500)]
    talk.direct(ready.worker, *tasks)
    assert talk.executor.poll(0.1) == []
    assert time.monotonic() - started < 5.0
    os.kill(ready.pid, signal.SIGCONT)
    failed = [talk.expect(TrialFailed).number for _ in tasks[1:]]
    assert failed == list(range(1, 1500)), "there is one slot; every task arrived"
    assert talk.expect(CohortReported).reports[0].number == 0


def test_a_flooded_log_starts_over(launch: Launch, tmp_path: Path) -> None:
    talk = launch("faulty", heartbeat_seconds=2.0)
    talk.direct(talk.expect(WorkerReady).worker, task(1, depth=faults.FLOODS_LOG))
    log = tmp_path / "logs" / "cpu0.log"
    assert wait_until(lambda: log.stat().st_size > 1 << 23, 10.0)
    assert wait_until(lambda: log.stat().st_size < 1 << 23, 10.0)


@pytest.mark.slow
@pytest.mark.usefixtures("no_quota")
def test_the_reference_engine_trains_in_two_workers(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    colours = write_data(directory, images=500, side=32)
    trial = TrialConfig(depth=2, width=16, activation="relu", epochs=2)
    with ProcessExecutor("reference", colours, workers=2, log_dir=tmp_path / "logs") as executor:
        talk = Conversation(executor)
        ready = [talk.expect(WorkerReady), talk.expect(WorkerReady)]
        assert {event.engine for event in ready} == {"reference"}
        # The same trial, one worker after the other: the figures must not depend on the worker.
        reports = [
            metrics(talk.train(event.worker, TrialTask(number, trial, seed=5)))
            for number, event in enumerate(ready)
        ]
        assert reports[0] == reports[1]
        assert [epoch for epoch, *_ in reports[0]] == [1, 2]
        for event in ready:
            core = int(event.device.removeprefix("cpu:"))
            threads = psutil.Process(event.pid).threads()
            assert all(os.sched_getaffinity(thread.id) == {core} for thread in threads)
        number = 2
        talk.direct(ready[0].worker, TrialTask(number, trial, seed=6))
        os.kill(ready[0].pid, signal.SIGKILL)
        assert talk.expect(WorkerLost).numbers == (number,)


def test_nothing_is_left_after_several_runs(data: DataRef, tmp_path: Path) -> None:
    executor = ProcessExecutor(
        "softmax", data, workers=2, log_dir=tmp_path, factory="softmax_engine:make_engine"
    )
    descriptors = os.listdir("/proc/self/fd")
    others = psutil.Process().children(recursive=True)
    for _ in range(2):
        with executor:
            talk = Conversation(executor)
            os.kill(talk.expect(WorkerReady).pid, signal.SIGKILL)
            while not isinstance(talk.expect(object), WorkerLost):
                pass
        assert psutil.Process().children(recursive=True) == others
        assert os.listdir("/proc/self/fd") == descriptors


def test_it_is_not_started_twice(launch: Launch) -> None:
    executor = launch().executor
    with pytest.raises(ExecutorError, match="started already"):
        executor.start()


def test_a_log_directory_that_cannot_be_made_is_named(data: DataRef, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    executor = ProcessExecutor("softmax", data, log_dir=tmp_path / "file" / "logs")
    with pytest.raises(ExecutorError) as error:
        executor.start()
    assert error.value.where == str(tmp_path / "file" / "logs")


def _run_host(data: DataRef, tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    """A program that drives an executor; it prints the pids of its workers when they train."""
    setup = {
        "directory": str(data.directory),
        "train": data.train,
        "validation": data.validation,
        "log_dir": str(tmp_path / "logs"),
    }
    return subprocess.Popen(
        [sys.executable, str(HERE / "executor_host.py"), json.dumps(setup), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(("thread", "work"), [("main", "holds-interpreter"), ("other", "slow")])
def test_workers_die_with_their_parent(
    data: DataRef, tmp_path: Path, thread: str, work: str
) -> None:
    with _run_host(data, tmp_path, thread, work) as host:
        assert host.stdout is not None
        pids = json.loads(host.stdout.readline())
        assert len(pids) == 2
        time.sleep(0.2)
        assert not any(is_gone(pid) for pid in pids)
        host.kill()
        assert wait_until(lambda: all(is_gone(pid) for pid in pids), 2.0)


def test_workers_live_through_ctrl_c(data: DataRef, tmp_path: Path) -> None:
    with _run_host(data, tmp_path, "main", "fast") as host:
        assert host.stdout is not None
        pids = json.loads(host.stdout.readline())
        for pid in pids:
            os.kill(pid, signal.SIGINT)
        os.killpg(host.pid, signal.SIGINT)
        assert host.stdout.readline() == "interrupted\n"
        assert json.loads(host.stdout.readline()) == pids, "they go on training"
        assert host.wait(20) == 0
    assert all(is_gone(pid) for pid in pids)
