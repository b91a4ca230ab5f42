"""A disk that is really full, and one that is really read-only, below the store."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from small_disk import SmallDisk, small_disk

from sweep.store import Store

HERE = Path(__file__).parent
PROGRAM = """
import json, sys
from pathlib import Path
import optuna
from store_samples import create
from sweep.errors import StoreError
from sweep.store import Store
optuna.logging.set_verbosity(optuna.logging.WARNING)
ballast = Path("ballast")

def fill():
    with ballast.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

def written(store):
    return len(store.log_rows("quickstart", limit=100_000))

def refused(action):
    try:
        action()
    except StoreError as error:
        return [error.what, error.where, error.expected, error.received, error.next_step]

"""
FILL = """
ballast.write_bytes(bytes(400_000))
with Store.open("sqlite:///sweep.db") as store:
    create(store)
    taken = 0

    def write():
        global taken
        while True:
            store.log("quickstart", "info", "x" * 1000)
            taken += 1

    if sys.argv[1] == "others":
        fill()
    errors = [refused(write)]
    errors += [refused(write) for _ in range(3)]
    # What is written can be read, by this process and by others.
    counts = [taken, written(store)]
    with Store.open("sqlite:///sweep.db", create=False) as other:
        counts.append(written(other))
    ballast.unlink()
    store.log("quickstart", "info", "x" * 1000)
    counts.append(written(store) - 1)
json.dump([errors, counts], sys.stdout)
"""
OPEN = """
with Store.open("sqlite:///sweep.db") as store:
    create(store)
    store.log("quickstart", "info", "first")
fill()
errors = [refused(lambda: Store.open("sqlite:///sweep.db", create=create)) for create in (0, 1)]
ballast.unlink()
with Store.open("sqlite:///sweep.db") as store:
    store.log("quickstart", "info", "second")
    json.dump([errors, written(store)], sys.stdout)
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", kibibytes=1500) as disk:
        yield disk


def run(disk: SmallDisk, program: str, *words: str) -> Any:
    return answer(disk.command(*python(program), *words))


def python(program: str) -> list[str]:
    paths = os.pathsep.join([str(HERE), *(path for path in sys.path if path)])
    return ["env", f"PYTHONPATH={paths}", sys.executable, "-c", PROGRAM + program]


def answer(command: list[str], directory: Path | None = None) -> Any:
    done = subprocess.run(command, capture_output=True, text=True, cwd=directory)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def assert_whole(disk: SmallDisk, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes(disk.run("cat", "sweep.db"))
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def assert_says_that_the_disk_is_full(error: list[str], disk: SmallDisk) -> None:
    what, where, expected, received, next_step = error
    assert (what, where) == ("the disk is full", "sqlite:///sweep.db")
    assert expected == "room for the file and for the logs that SQLite keeps beside it"
    assert "KiB are free in" in received
    assert str(disk.path) in received
    assert next_step == "free some space; `sweep run` then goes on"


@pytest.mark.parametrize("who", ["others", "we"])
def test_a_disk_that_fills_up_loses_nothing(disk: SmallDisk, tmp_path: Path, who: str) -> None:
    errors, counts = run(disk, FILL, who)
    for error in errors:
        assert_says_that_the_disk_is_full(error, disk)
    taken = counts[0]
    assert counts == [taken] * 4
    assert (taken > 30) is (who == "we")
    assert_whole(disk, tmp_path)


def test_a_database_on_a_full_disk_is_opened_when_there_is_room(
    disk: SmallDisk, tmp_path: Path
) -> None:
    errors, count = run(disk, OPEN)
    for error in errors:
        assert_says_that_the_disk_is_full(error, disk)
    assert count == 2
    assert_whole(disk, tmp_path)


READ_ONLY = """
print(json.dumps([refused(lambda: Store.open("sqlite:///sweep.db", create=c)) for c in (0, 1)]))
"""


def test_a_read_only_file_system(disk: SmallDisk, tmp_path: Path) -> None:
    made = tmp_path / "made.db"
    Store.open(f"sqlite:///{made}").close()
    disk.run("cp", str(made), "sweep.db")
    disk.remount("ro")
    errors = run(disk, READ_ONLY)
    for what, where, expected, received, next_step in errors:
        assert (what, where) == ("the database cannot be written", "sqlite:///sweep.db")
        assert "the right to write the file" in expected
        assert received.endswith(f"no right to write {disk.path}, {disk.path}/sweep.db")
        assert "give yourself that right" in next_step
    assert disk.run("cat", "sweep.db") == made.read_bytes()


MODES = """
database = Path("sweep.db")
with Store.open("sqlite:///sweep.db") as store:
    create(store)

def write():
    with Store.open("sqlite:///sweep.db") as store:
        store.log("quickstart", "info", "hello")

errors = []
database.chmod(0o444)
with Store.open("sqlite:///sweep.db", create=False) as store:
    rows = len(store.study_rows())
    errors.append(refused(write))
database.chmod(0o644)
errors.append(refused(write))
for log in Path().glob("sweep.db-*"):
    log.chmod(0o644)
write()
Path().resolve().chmod(0o555)
errors.append(refused(write))
Path().resolve().chmod(0o755)
write()
with Store.open("sqlite:///sweep.db") as store:
    print(json.dumps([rows, errors, written(store)]))
"""


def test_a_file_and_a_directory_that_are_read_only(tmp_path: Path) -> None:
    """A log is made with the rights of its file, and keeps them when the file gets others."""
    # Without a namespace, root may write whatever the modes say.
    rows, errors, written = answer(["unshare", "--user", "--", *python(MODES)], tmp_path)
    assert (rows, written) == (1, 2)
    path = tmp_path / "sweep.db"
    refused = [f"{path}, {path}-wal, {path}-shm", f"{path}-shm", str(tmp_path)]
    for (what, where, expected, received, next_step), names in zip(errors, refused, strict=True):
        assert (what, where) == ("the database cannot be written", "sqlite:///sweep.db")
        assert expected.startswith("the right to write the file, the logs")
        assert received.endswith(f"; no right to write {names}")
        assert next_step.startswith("give yourself that right")
