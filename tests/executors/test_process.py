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
from contract import (
    Conversation,
    ExecutorContract,
    Launch,
    is_gone,
    task,
    wait_until,
)

from sweep.data import DataRef
from sweep.errors import ExecutorError
from sweep.executors.base import WorkerLost, WorkerReady
from sweep.executors.process import ProcessExecutor

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


class TestProcessExecutor(ExecutorContract):
    """The contract holds for processes."""


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


def test_the_log_of_the_process_before_is_kept(launch: Launch, tmp_path: Path) -> None:
    talk = launch("faulty")
    talk.direct(talk.expect(WorkerReady).worker, task(1, depth=faults.KILLS_ITSELF))
    talk.expect(WorkerLost)
    talk.expect(WorkerReady)
    logs = tmp_path / "logs"
    assert sorted(path.name for path in logs.iterdir()) == ["cpu0.log", "cpu0.log.1"]
    assert "Segmentation fault" in (logs / "cpu0.log.1").read_text()
    assert "Segmentation fault" not in (logs / "cpu0.log").read_text()


def test_nothing_is_left_after_several_runs(data: DataRef, tmp_path: Path) -> None:
    executor = ProcessExecutor(
        "softmax", data, workers=2, log_dir=tmp_path, factory="softmax_engine:make_engine"
    )
    descriptors = os.listdir("/proc/self/fd")
    for _ in range(2):
        with executor:
            talk = Conversation(executor)
            os.kill(talk.expect(WorkerReady).pid, signal.SIGKILL)
            while not isinstance(talk.expect(object), WorkerLost):
                pass
        assert psutil.Process().children(recursive=True) == []
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
        [sys.executable, str(HERE / "host_program.py"), json.dumps(setup), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("thread", "work"), [("main", "slow"), ("main", "holds-interpreter"), ("other", "slow")]
)
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
