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
from store_samples import create

from sweep.errors import StoreError
from sweep.store import Store
from sweep.store.locks import Holder, LockHeldError, file_holder, file_lock


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


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
    for check in checks:
        assert {key: check[key] for key in WHOLE} == WHOLE
        assert (check["held"], check["refused"], errors(check["said"])) == (True, True, [])
        assert check["numbers"] == list(range(len(check["numbers"])))
        assert len(check["running"]) <= COHORT
    assert "told" in [word for check in checks for word in check["said"]]
    assert any(check["running"] for check in checks)  # else no kill hit anything


def test_one_driver_at_a_time(store: Store) -> None:
    create(store)
    with Store.open(store.url) as other, store.driver_lock("quickstart"):
        assert other.driver("quickstart") == Holder(os.getpid(), socket.gethostname())
        with pytest.raises(StoreError) as caught, other.driver_lock("quickstart"):
            pass
        assert caught.value.what == "another process drives the study"
        assert caught.value.received == f"process {os.getpid()}"
        assert f"kill -INT {os.getpid()}" in str(caught.value)
        with pytest.raises(StoreError, match="another process drives"):
            other.delete_study("quickstart")
        with other.driver_lock("another"):
            pass
    assert store.driver("quickstart") is None
    with store.driver_lock("quickstart"):
        pass


def test_the_lock_is_given_back_after_an_error(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), store.driver_lock("quickstart"):
        1 / 0  # noqa: B018
    assert store.driver("quickstart") is None
    assert list(tmp_path.glob("*.lock")) == []


def test_workers_end_with_their_run(store: Store) -> None:
    create(store)
    store.worker_ready("quickstart", "cpu0", 1, "host", "cpu:0", "reference")
    with store.driver_lock("quickstart"):  # a run that was killed left cpu0 behind
        store.worker_ready("quickstart", "cpu1", 2, "host", "cpu:1", "reference")
        store.worker_lost("quickstart", "cpu1", "killed by SIGKILL")
        store.worker_ready("quickstart", "cpu1", 3, "host", "cpu:1", "reference")
        rows = store.worker_rows("quickstart")
        assert [row["pid"] for row in rows if row["ended_at"] is None] == [3]
    reasons = [row["end_reason"] for row in store.worker_rows("quickstart")]
    assert reasons == ["the run ended", "killed by SIGKILL", "the run ended"]


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
