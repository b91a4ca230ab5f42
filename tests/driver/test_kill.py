"""Kill -9 at random moments: nothing is lost, doubled or stuck, and no figure changes."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select, update
from study_host import STUDY, Host, study_of
from test_run import figures

from sweep.store import Store
from sweep.store.schema import epochs, late_epochs, leases, runs, trials

PROGRAM = Path(__file__).with_name("study_host.py")
SLOWER = STUDY.replace("epochs: 6", "epochs: 120")
UNPRUNED = SLOWER.replace("pruner: {name: median, startup_trials: 3}", "pruner: {name: none}")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path / "killed")
    host.directory.mkdir()
    (host.directory / "study.yaml").write_text(SLOWER)
    Store.open(host.url).close()
    yield host
    with host.store() as store:
        assert store.drivers("colours") == []


def start(host: Host, workers: int = 1) -> subprocess.Popen[bytes]:
    place = [] if host.place is None else [host.place]
    paths = [str(PROGRAM.parent), str(PROGRAM.parent.parent / "executors"), *sys.path]
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(host.directory), str(workers), host.factory, *place],
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
        rows = store.trial_rows("colours")
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
        assert [row["number"] for row in rows] == list(range(12))
        for row in rows:
            assert row["state"] in ("COMPLETE", "PRUNED")
            trained = [e["epoch"] for e in store.epoch_rows("colours", row["number"])]
            assert trained == list(range(1, row["epochs"] + 1))
        with store._database.reading() as connection:
            assert connection.execute(select(leases)).all() == []
        named = {Path(row["weights"]) for row in rows if row["weights"]}
    assert len(named) == 2
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
    (host.directory / "study.yaml").write_text(UNPRUNED)
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


@contextmanager
def drivers(host: Host) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two of one study of long trials, each with a worker that trains."""
    (host.directory / "study.yaml").write_text(UNPRUNED)
    programs = [start(host) for _ in range(2)]
    try:
        for program in programs:
            wait_for(program, lambda: len(training(host)) == 2)
        yield programs
    finally:
        for program in programs:
            if program.poll() is None:
                program.kill()
                program.communicate()


def training(host: Host) -> set[int]:
    """The runs that hold a trial with an epoch."""
    with host.store() as store, store._database.reading() as connection:
        query = select(leases.c.run_id).join(epochs, epochs.c.trial_id == leases.c.trial_id)
        return set(connection.execute(query).scalars())


def wait_for(program: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert program.poll() is None, program.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def epochs_of(host: Host, number: int) -> int:
    with host.store() as store:
        return len(store.epoch_rows("colours", number))


def run_ids(host: Host) -> dict[int, int]:
    """The ids of the runs by process."""
    with host.store() as store, store._database.reading() as connection:
        return {
            pid: run_id for pid, run_id in connection.execute(select(runs.c.pid, runs.c.run_id))
        }


def trials_of(host: Host, run_id: int) -> list[int]:
    with host.store() as store, store._database.reading() as connection:
        query = select(trials.c.number).join(leases, leases.c.trial_id == trials.c.trial_id)
        return list(connection.execute(query.where(leases.c.run_id == run_id)).scalars())


def test_two_drivers_share_a_study(host: Host) -> None:
    with drivers(host) as programs:
        with host.store() as store:
            assert {d.pid for d in store.drivers("colours")} == {p.pid for p in programs}
        for program in programs:
            finish(program)
    assert_whole(host)
    with host.store() as store:
        assert [row["ended_at"] is None for row in store.run_rows("colours")] == [False, False]
        reasons = [row["end_reason"] for row in store.worker_rows("colours")]
    assert reasons == ["the run ended"] * 2


@pytest.mark.slow
def test_a_driver_that_is_killed_beside_another_is_taken_over(host: Host) -> None:
    with drivers(host) as (killed, other):
        stop_between_transactions(host, other)
        workers = psutil.Process(killed.pid).children(recursive=True)
        killed.kill()
        killed.communicate()
        assert psutil.wait_procs(workers, timeout=10)[1] == []
        run_id = run_ids(host)[killed.pid]
        assert trials_of(host, run_id)
        other.send_signal(signal.SIGCONT)
        # Its lock is free, so its lease is not waited for.
        wait_for(other, lambda: not trials_of(host, run_id))
        finish(other)
    assert_whole(host)


@pytest.mark.slow
def test_a_driver_that_was_stopped_for_long_comes_back_and_helps(host: Host) -> None:
    with drivers(host) as (stopped, other):
        zombie = run_ids(host)[stopped.pid]
        stop_between_transactions(host, stopped)
        left = trials_of(host, zombie)
        with host.store() as store, store._database.engine.begin() as connection:
            past = datetime.now(UTC) - timedelta(seconds=1)
            connection.execute(update(runs).where(runs.c.run_id == zombie).values(expires_at=past))
        wait_for(other, lambda: not trials_of(host, zombie))
        before = epochs_of(host, left[-1])
        wait_for(other, lambda: epochs_of(host, left[-1]) > before)
        stopped.send_signal(signal.SIGCONT)
        wait_for(stopped, lambda: bool(trials_of(host, zombie)))
        for program in (stopped, other):
            finish(program)
    assert_whole(host)
    with host.store() as store, store._database.reading() as connection:
        late = connection.execute(select(late_epochs.c.run_id)).scalars().all()
    assert set(late) == {zombie}


def stop_between_transactions(host: Host, program: subprocess.Popen[bytes]) -> None:
    """Stop a process that holds no lock of the file."""
    path = host.url.removeprefix("sqlite:///")
    while True:
        program.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        try:
            with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            program.send_signal(signal.SIGCONT)
            time.sleep(0.05)
        else:
            return
