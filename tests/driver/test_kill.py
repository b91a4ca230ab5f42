"""Kill -9 at random moments: nothing is lost, doubled or stuck, and no figure changes."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from study_host import STUDY, Host, study_of
from test_run import figures

from sweep.store import Store

PROGRAM = Path(__file__).with_name("study_host.py")
SLOWER = STUDY.replace("epochs: 6", "epochs: 120")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path / "killed")
    host.directory.mkdir()
    (host.directory / "study.yaml").write_text(SLOWER)
    Store.open(host.url).close()
    yield host
    with host.store() as store:
        assert store.driver("colours") is None


def start(host: Host, workers: int = 1) -> subprocess.Popen[bytes]:
    paths = [str(PROGRAM.parent), str(PROGRAM.parent.parent / "executors"), *sys.path]
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(host.directory), str(workers), host.factory],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)},
        stderr=subprocess.PIPE,
    )


def epochs_known(host: Host) -> int:
    with host.store() as store:
        if not store.study_rows():
            return 0
        return sum(row["epochs"] for row in store.trial_rows("colours"))


def wait_for_epochs(host: Host, program: subprocess.Popen[bytes], more: int) -> None:
    goal = epochs_known(host) + more
    deadline = time.monotonic() + 120
    while epochs_known(host) < goal and program.poll() is None:
        assert time.monotonic() < deadline, "the study does not move"
        time.sleep(0.05)


def ready_workers(host: Host) -> list[int]:
    with host.store() as store:
        return [row["pid"] for row in store.worker_rows("colours") if row["ended_at"] is None]


def running(host: Host) -> set[int]:
    with host.store() as store:
        rows = store.unfinished("colours")
    return {row["number"] for row in rows if row["state"] == "RUNNING"}


def wait_for_ends(host: Host, numbers: set[int]) -> None:
    deadline = time.monotonic() + 120
    while running(host) & numbers:
        assert time.monotonic() < deadline, "the trials do not end"
        time.sleep(0.05)


def finish(program: subprocess.Popen[bytes]) -> None:
    _, errors = program.communicate(timeout=240)
    assert program.returncode == 0, errors.decode()


def assert_whole(host: Host) -> None:
    with host.store() as store:
        rows = store.trial_rows("colours")
        assert store.unfinished("colours") == []
        assert [row["number"] for row in rows] == list(range(12))
        for row in rows:
            assert row["state"] in ("COMPLETE", "PRUNED")
            epochs = [e["epoch"] for e in store.epoch_rows("colours", row["number"])]
            assert epochs == list(range(1, row["epochs"] + 1))
        named = {Path(row["weights"]) for row in rows if row["weights"]}
    assert set((host.artifacts / "colours").iterdir()) == named


def test_a_driver_killed_twice_ends_with_the_figures_of_an_undisturbed_one(
    host: Host, tmp_path: Path
) -> None:
    dice = random.Random(7)
    for _ in range(2):
        program = start(host)
        wait_for_epochs(host, program, more=dice.randrange(10, 40))
        workers = psutil.Process(program.pid).children(recursive=True)
        time.sleep(dice.random() * 0.1)
        program.kill()
        program.communicate()
        gone, alive = psutil.wait_procs(workers, timeout=10)
        assert alive == []
    with host.store() as store:
        states = [row["state"] for row in store.trial_rows("colours")]
    assert sum(state in ("COMPLETE", "PRUNED") for state in states) < 12
    finish(start(host))
    assert_whole(host)
    undisturbed = Host(tmp_path / "undisturbed")
    undisturbed.directory.mkdir()
    undisturbed.run(study_of(SLOWER))
    assert figures(host) == figures(undisturbed)


def test_workers_killed_mid_epoch_are_replaced_and_their_trials_repeated(host: Host) -> None:
    dice = random.Random(11)
    long_trials = SLOWER.replace(
        "pruner: {name: median, startup_trials: 3}", "pruner: {name: none}"
    )
    (host.directory / "study.yaml").write_text(long_trials)
    program = start(host, workers=2)
    for _ in range(2):
        wait_for_epochs(host, program, more=dice.randrange(10, 40))
        os.kill(dice.choice(ready_workers(host)), signal.SIGKILL)
        # A trial may lose one worker, not two: those in training end before the next kill.
        wait_for_ends(host, running(host))
    finish(program)
    assert_whole(host)
    with host.store() as store:
        reasons = [row["end_reason"] for row in store.worker_rows("colours")]
    assert sum("SIGKILL" in (reason or "") for reason in reasons) == 2


def test_two_drivers_of_one_study_do_not_meet(host: Host) -> None:
    program = start(host)
    wait_for_epochs(host, program, more=5)
    # However slowly the second one starts, the first is still there.
    program.send_signal(signal.SIGSTOP)
    try:
        second = start(host)
        _, errors = second.communicate(timeout=60)
    finally:
        program.send_signal(signal.SIGCONT)
    assert second.returncode != 0
    assert b"another process drives the study" in errors
    finish(program)
    assert_whole(host)
