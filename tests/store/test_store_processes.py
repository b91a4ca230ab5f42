import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from store_host import COHORT
from store_samples import create, driving

from sweep.errors import StoreError
from sweep.store import Store
from sweep.store.locks import Holder, LockHeldError, file_holder, file_lock


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


HERE = Holder(os.getpid(), socket.gethostname())
HOST = Path(__file__).parent / "store_host.py"
WHOLE = {
    "damage": [],
    "told_without_result": [],
    "result_without_epochs": [],
    "half_transactions": [],
}


def host(*arguments: object) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(HOST), *map(str, arguments)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def holding(path: Path) -> int | None:
    found = file_holder(path)
    return found and found.pid


def errors(words: list[str]) -> list[str]:
    return [word for word in words if word.startswith("error")]


@pytest.mark.slow
def test_readers_poll_while_a_driver_writes(url: str) -> None:
    found = host("poll", url, 20)
    assert [errors(words) for words in found["said"]] == [[]] * 4
    assert [len(words) >= 20 for words in found["said"]] == [True] * 4
    assert {key: found[key] for key in WHOLE} == WHOLE


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7])
def test_a_killed_driver_leaves_whole_transactions(url: str, seed: int) -> None:
    checks = host("kill", url, seed, 4)["checks"]
    for kills, check in enumerate(checks, start=1):
        assert {key: check[key] for key in WHOLE} == WHOLE
        assert (check["held"], check["refused"], errors(check["said"])) == (True, True, [])
        assert check["not_held"] == []
        assert check["numbers"] == list(range(len(check["numbers"])))
        # A server's clients may come back for a while, so what they left is not taken up at once.
        left = COHORT * (kills if url.startswith("postgresql") else 1)
        assert len(check["running"]) <= left
    assert "told" in [word for check in checks for word in check["said"]]
    assert any(check["running"] for check in checks)  # else no kill hit anything


def test_a_study_that_is_driven_is_not_deleted(store: Store) -> None:
    create(store, "another")
    with Store.open(store.url) as other, driving(store):
        assert other.drivers("quickstart") == [HERE]
        assert other.drivers("another") == []
        with pytest.raises(StoreError) as caught:
            other.delete_study("quickstart")
        assert caught.value.what == "another process drives the study"
        assert caught.value.received == f"process {os.getpid()}"
        assert f"kill -INT {os.getpid()}" in str(caught.value)
        with driving(other):
            assert store.drivers("quickstart") == [HERE, HERE]
        assert store.drivers("quickstart") == [HERE]
        other.delete_study("another")
    assert store.drivers("quickstart") == []
    store.delete_study("quickstart")


def test_a_run_ends_with_an_error_too(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), driving(store):
        1 / 0  # noqa: B018
    assert store.drivers("quickstart") == []
    assert store.run_rows("quickstart")[0]["ended_at"] is not None
    assert list(tmp_path.glob("*.lock")) == []


def test_workers_end_with_their_run(store: Store) -> None:
    with driving(store) as other, driving(store) as run:
        other.worker_ready("cpu0", 1, "host", "cpu:0", "reference")
        run.worker_ready("cpu0", 2, "host", "cpu:0", "reference")
        run.worker_ready("cpu1", 3, "host", "cpu:1", "reference")
        run.worker_lost("cpu1", "killed by SIGKILL")
        run.worker_ready("cpu1", 4, "host", "cpu:1", "reference")
        rows = store.worker_rows("quickstart")
        assert [row["pid"] for row in rows if row["ended_at"] is None] == [1, 2, 4]
        assert rows[0]["run_id"] < rows[1]["run_id"]
    reasons = [row["end_reason"] for row in store.worker_rows("quickstart")]
    assert reasons == ["the run ended"] * 2 + ["killed by SIGKILL", "the run ended"]


def test_a_file_left_by_a_killed_process_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    program = (
        "import fcntl, os, sys, time\n"
        "file = open(sys.argv[1], 'w')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print(os.getpid(), file=file, end='', flush=True)\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert holding(path) == child.pid
        child.kill()
    assert path.exists()
    assert file_holder(path) is None
    with file_lock(path, wait=False):
        assert holding(path) == os.getpid()
    assert not path.exists()


def test_asking_for_the_holder_keeps_nobody_out(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.touch()
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            file_holder(path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(100):
            with file_lock(path, wait=False):
                pass
            path.touch()
    finally:
        ended.set()
        asking.join()


def test_waiting_for_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    order = []

    def wait() -> None:
        with file_lock(path, wait=True):
            order.append("waited" if path.exists() else "locked a file that was removed")

    waiting = threading.Thread(target=wait)
    with file_lock(path, wait=False):
        waiting.start()
        waiting.join(0.2)
        order.append("released")
    waiting.join()
    assert order == ["released", "waited"]
    assert not path.exists()


def test_a_lock_in_a_missing_directory(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="cannot be written"),
        file_lock(tmp_path / "no" / "a.lock", wait=False),
    ):
        pass


def test_a_lock_held_names_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with (
        file_lock(path, wait=False),
        pytest.raises(LockHeldError) as caught,
        file_lock(path, wait=False),
    ):
        pass
    assert caught.value.holder == Holder(os.getpid(), socket.gethostname())
