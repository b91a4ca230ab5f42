"""`sweep` on a disk that is really full or read-only: `study` is that of `test_cli_run`."""

import json
import sqlite3
import subprocess
from contextlib import closing

import pytest
from small_disk import small_disk
from test_cli_run import PROGRAM, STUDY, study  # noqa: F401  a fixture

EPOCHS = (
    "SELECT number, epoch, loss, val_accuracy FROM sweep_epochs JOIN sweep_trials USING (trial_id)"
)


@pytest.fixture
def disk(study, tmp_path):  # noqa: F811
    study.write_text(STUDY.replace("colours.npz", str(tmp_path / "colours.npz")))
    with small_disk(tmp_path / "disk", kibibytes=2500) as disk:
        yield disk


class Sweep:
    """`sweep` in a directory of the disk."""

    def __init__(self, disk):
        self.disk = disk

    def start(self, *words):
        command = self.disk.command(*PROGRAM, *words)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, trials):
        return (
            *("run", "../colours.yaml", "--workers=1", "--artifacts", "../artifacts"),
            *("--set", f"budget.trials={trials}"),
        )

    def __call__(self, *words):
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err
        return process.returncode, out, err


def epochs(file):
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return sorted(connection.execute(EPOCHS).fetchall())


def assert_full(code, err):
    assert code == 1
    assert "error: the disk is full" in err
    assert "where: sqlite:///sweep.db" in err
    assert "expected: room for the file" in err
    assert "KiB are free in" in err
    assert "next: free some space; `sweep run` then goes on" in err


@pytest.mark.slow
def test_a_study_goes_on_when_there_is_room_again(disk, tmp_path):
    sweep = Sweep(disk)
    running = sweep.start(*sweep.run(trials=1000))
    for line in running.stderr:
        if line.startswith("[4/"):
            disk.fill()
            break
    _, err = running.communicate(timeout=120)
    assert_full(running.returncode, err)
    code, out, _ = sweep("status", "--json")
    assert code == 0, "what is there can be read"
    trials = json.loads(out)["trials"]
    assert trials["finished"] >= 4
    code, _, err = sweep(*sweep.run(trials=1000))
    assert code == 1
    assert "error: the disk is full" in err
    disk.free()
    goal = trials["finished"] + 3
    code, _, err = sweep(*sweep.run(goal))
    assert code == 0, err
    # The last to close the database leaves no log.
    (tmp_path / "disturbed.db").write_bytes(disk.run("cat", "sweep.db"))
    assert disk.run("sh", "-c", "ls sweep.db*") == b"sweep.db\n"
    disk.run("mkdir", "undisturbed")
    undisturbed = Sweep(disk)
    code, _, err = undisturbed(*sweep.run(goal), "--storage", "undisturbed/sweep.db")
    assert code == 0, err
    (tmp_path / "undisturbed.db").write_bytes(disk.run("cat", "undisturbed/sweep.db"))
    found = epochs(tmp_path / "disturbed.db")
    assert len(found) == goal * 3
    assert found == epochs(tmp_path / "undisturbed.db")


@pytest.mark.slow
def test_a_disk_that_is_read_only_for_a_while(disk, tmp_path):
    sweep = Sweep(disk)
    assert sweep(*sweep.run(2))[0] == 0
    before = disk.run("cat", "sweep.db")
    disk.remount("ro")
    for words in (sweep.run(3), ("status",), ("delete", "colours", "--yes")):
        code, out, err = sweep(*words)
        assert (code, out) == (1, "")
        assert "error: the database cannot be written" in err
        assert "where: sqlite:///sweep.db" in err
        assert "expected: the right to write the file" in err
        assert f"no right to write {disk.path}, {disk.path}/sweep.db" in err
        assert "next: give yourself that right" in err
    assert disk.run("cat", "sweep.db") == before
    disk.remount("rw")
    assert sweep(*sweep.run(3))[0] == 0
    (tmp_path / "copy.db").write_bytes(disk.run("cat", "sweep.db"))
    assert len(epochs(tmp_path / "copy.db")) == 3 * 3
