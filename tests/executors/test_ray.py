"""The Ray executor: the contract on a real cluster, and what is special about nodes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil
import pytest
import softmax_engine as faults
from executor_contract import (
    Conversation,
    ExecutorContract,
    Launch,
    is_gone,
    metrics,
    task,
    wait_until,
)
from ray_nodes import Nodes, ray_nodes
from s3_server import S3Server

from sweep.data import DataRef
from sweep.data.arrays import Arrays
from sweep.executors import ray as ray_executor
from sweep.executors.base import CohortReported, TrialFailed, WorkerLost, WorkerReady
from sweep.executors.ray import RayExecutor
from sweep.executors.shipment import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="module")
def cluster(caches: Path, s3_server: S3Server) -> Iterator[Nodes]:
    with ray_nodes(2, caches, s3_server.environment) as nodes:
        yield nodes


@pytest.fixture
def nodes(cluster: Nodes) -> Nodes:
    """The cluster, with two nodes whatever became of those of the test before."""
    cluster.fill(2)
    return cluster


@pytest.fixture
def launch(nodes: Nodes, data: DataRef, tmp_path: Path) -> Iterator[Launch]:
    with ExitStack() as executors:

        def start(
            engine: str = "softmax",
            *,
            workers: int = 1,
            stall_seconds: float = 60.0,
            heartbeat_seconds: float = 30.0,
            factory: str = "softmax_engine:make_engine",
        ) -> Conversation:
            executor = RayExecutor(
                engine,
                data,
                address=nodes.address,
                workers=workers,
                log_dir=tmp_path / "logs",
                stall_seconds=stall_seconds,
                heartbeat_seconds=heartbeat_seconds,
                factory=factory,
            )
            return Conversation(executors.enter_context(executor))

        yield start


def actor_of(pid: int) -> psutil.Process:
    actor = psutil.Process(pid).parent()
    assert actor is not None
    assert "WorkerActor" in actor.name() + " ".join(actor.cmdline())
    return actor


class TestRayExecutor(ExecutorContract):
    """The contract holds for the nodes of a cluster."""


def test_there_is_a_worker_for_each_cpu_and_no_more(
    nodes: Nodes, data: DataRef, tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    executor = RayExecutor("softmax", data, address=nodes.address, log_dir=tmp_path)
    assert executor.workers == ("cpu0", "cpu1")
    executor.close()
    assert signal.getsignal(signal.SIGTERM) is before


def test_workers_have_a_core_of_their_own_and_one_thread(launch: Launch) -> None:
    talk = launch(workers=2)
    ready = [talk.expect(WorkerReady), talk.expect(WorkerReady)]
    assert len({actor_of(event.pid).ppid() for event in ready}) == 2, "they are on two nodes"
    cores = [os.sched_getaffinity(event.pid) for event in ready]
    assert all(len(core) == 1 for core in cores)
    assert len(set.union(*cores)) == min(2, len(os.sched_getaffinity(0)))
    for event in ready:
        environment = psutil.Process(event.pid).environ()
        assert environment["CUDA_VISIBLE_DEVICES"] == "-1"
        assert environment["TF_NUM_INTRAOP_THREADS"] == "1"
        assert environment["KERAS_BACKEND"] == "tensorflow"
        assert "thirdparty_files" not in environment["PYTHONPATH"]


def test_the_trials_of_a_killed_node_come_back(launch: Launch, nodes: Nodes) -> None:
    talk = launch("faulty", workers=2)
    ready = [talk.expect(WorkerReady), talk.expect(WorkerReady)]
    lost, kept = sorted(ready, key=lambda event: nodes.is_on_head(event.pid))
    talk.direct(lost.worker, task(1, depth=faults.SLOW))
    talk.executor.poll(1.0)
    nodes.kill_node_of(lost.pid)
    event = talk.expect(WorkerLost)
    assert (event.worker, event.numbers) == (lost.worker, (1,))
    assert event.reason.startswith("was lost"), event.reason
    assert wait_until(lambda: is_gone(lost.pid), 5.0), "nobody trains what was given up"
    talk.train(kept.worker, task(1, epochs=2))
    assert talk.executor.poll(1.0) == [], "there is no room for another"
    nodes.fill(2)
    replacement = talk.expect(WorkerReady)
    assert replacement.worker == lost.worker
    talk.train(replacement.worker, task(2, epochs=2))


def test_an_actor_that_dies_or_falls_silent_is_replaced(launch: Launch) -> None:
    talk = launch("faulty", heartbeat_seconds=1.0)
    for number, how in enumerate((signal.SIGKILL, signal.SIGSTOP)):
        ready = talk.expect(WorkerReady)
        talk.direct(ready.worker, task(number, depth=faults.SLOW))
        assert talk.executor.poll(0.5) == []
        actor_of(ready.pid).send_signal(how)
        lost = talk.expect(WorkerLost)
        assert lost.numbers == (number,)
        assert lost.reason.startswith("was lost: "), lost.reason
        assert wait_until(partial(is_gone, ready.pid), 10.0)
    talk.train(talk.expect(WorkerReady).worker, task(5, epochs=1))


def test_logs_come_to_the_drivers_machine(launch: Launch, tmp_path: Path) -> None:
    talk = launch("faulty")
    worker = talk.expect(WorkerReady).worker
    talk.direct(worker, task(1, depth=faults.RAISES_WHILE_TRAINING))
    assert "written by a library" in talk.expect(TrialFailed).log
    talk.direct(worker, task(2, depth=faults.KILLS_ITSELF))
    lost = talk.expect(WorkerLost)
    assert "written by a library" in lost.log
    assert "Segmentation fault" in lost.log
    talk.expect(WorkerReady)
    logs = tmp_path / "logs"
    assert sorted(path.name for path in logs.iterdir()) == ["cpu0.log", "cpu0.log.1"]
    assert "Segmentation fault" in (logs / "cpu0.log.1").read_text()
    assert "Segmentation fault" not in (logs / "cpu0.log").read_text()


def test_data_that_a_node_lacks_is_fetched_into_its_cache(
    launch: Launch,
    data: DataRef,
    caches: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = launch()
    expected = here.train(here.expect(WorkerReady).worker, task(7, epochs=2))
    here.executor.close()

    def load_and_hide(ref: DataRef) -> Arrays:
        arrays = load(ref)
        ref.directory.rename(tmp_path / "not there")
        return arrays

    monkeypatch.setattr(ray_executor, "load", load_and_hide)
    digest = load(data).digest()
    talk = launch(workers=2)
    for _ in range(2):
        reports = talk.train(talk.expect(WorkerReady).worker, task(7, epochs=2))
        assert metrics(reports) == metrics(expected)
    copies = sorted(caches.glob(f"*/data/{digest}"))
    assert len(copies) == 2, "one for each node"


def test_close_leaves_nothing_but_the_cluster(
    launch: Launch, nodes: Nodes, data: DataRef, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    talk = launch("faulty", workers=2)
    ready = [talk.expect(WorkerReady), talk.expect(WorkerReady)]
    actors = [actor_of(event.pid) for event in ready]
    talk.direct(ready[0].worker, task(1, depth=faults.HOLDS_INTERPRETER))
    talk.executor.close()
    assert all(is_gone(event.pid) for event in ready)
    assert wait_until(lambda: all(is_gone(actor.pid) for actor in actors), 5.0)
    with RayExecutor(
        "softmax",
        data,
        address=nodes.address,
        log_dir=tmp_path / "again",
        factory="softmax_engine:make_engine",
    ) as executor:
        assert executor.workers == ("cpu0", "cpu1")
        again = Conversation(executor)
        assert {again.expect(WorkerReady).worker for _ in range(2)} == {"cpu0", "cpu1"}
    assert capfd.readouterr() == ("", "")


def run_host(nodes: Nodes, data: DataRef, tmp_path: Path, work: str) -> subprocess.Popen[str]:
    """A program that drives an executor; it prints the pids of its workers when they train."""
    setup = {
        "directory": str(data.directory),
        "train": data.train,
        "validation": data.validation,
        "log_dir": str(tmp_path / "logs"),
        "address": nodes.address,
    }
    return subprocess.Popen(
        [sys.executable, str(HERE / "executor_host.py"), json.dumps(setup), "main", work],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_workers_die_with_the_driver(nodes: Nodes, data: DataRef, tmp_path: Path) -> None:
    with run_host(nodes, data, tmp_path, "holds-interpreter") as host:
        assert host.stdout is not None
        pids = json.loads(host.stdout.readline())
        time.sleep(0.2)
        assert not any(is_gone(pid) for pid in pids)
        host.kill()
        assert wait_until(lambda: all(is_gone(pid) for pid in pids), 15.0)


def test_workers_live_through_ctrl_c(nodes: Nodes, data: DataRef, tmp_path: Path) -> None:
    with run_host(nodes, data, tmp_path, "fast") as host:
        assert host.stdout is not None
        pids = json.loads(host.stdout.readline())
        os.killpg(host.pid, signal.SIGINT)
        assert host.stdout.readline() == "interrupted\n"
        assert json.loads(host.stdout.readline()) == pids, "they go on training"
        assert host.wait(30) == 0
    assert all(is_gone(pid) for pid in pids)


def test_a_trial_in_training_is_heard_epoch_by_epoch(launch: Launch) -> None:
    talk = launch("softmax-2")
    worker = talk.expect(WorkerReady).worker
    talk.direct(worker, task(1), task(2))
    started = time.monotonic()
    for epoch in range(1, 31):
        reports = talk.expect(CohortReported).reports
        assert [(r.number, r.epoch) for r in reports] == [(1, epoch), (2, epoch)]
        talk.direct(worker)
    assert time.monotonic() - started < 6.0, "no answer waits for the end of a call"
