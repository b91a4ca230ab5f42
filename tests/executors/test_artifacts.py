"""Checkpoints by name, in files and in any of Optuna's artifact stores."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from sweep.errors import CheckpointError
from sweep.executors.artifacts import Checkpoints, WholeFiles, next_name

WRITER = """
import sys
from pathlib import Path
from sweep.executors.artifacts import Checkpoints
checkpoints = Checkpoints.at(sys.argv[1])
while True:
    for letter in b"xyz":
        checkpoints.write("checkpoint-0-a", bytes([letter]) * 20_000_000)
"""


@pytest.fixture(params=["whole files", "Optuna's own"])
def checkpoints(request: pytest.FixtureRequest, tmp_path: Path) -> Checkpoints:
    (tmp_path / "root").mkdir()
    store = {"whole files": WholeFiles, "Optuna's own": FileSystemArtifactStore}[request.param]
    return Checkpoints(store(tmp_path / "root"))


def test_what_was_written_last_is_read(checkpoints: Checkpoints, tmp_path: Path) -> None:
    for content in (b"first", b"second, longer", b"third"):
        checkpoints.write("checkpoint-7-a", content)
        assert checkpoints.read("checkpoint-7-a") == content
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["checkpoint-7-a"]


def test_what_is_missing(checkpoints: Checkpoints) -> None:
    with pytest.raises(CheckpointError, match="missing"):
        checkpoints.read("checkpoint-7-a")
    checkpoints.remove(7)


def test_the_names_of_a_trial_alternate_and_are_all_removed(
    checkpoints: Checkpoints, tmp_path: Path
) -> None:
    names: list[str | None] = [None]
    for _ in range(4):
        name = next_name(7, names[-1])
        checkpoints.write(name, b"7")
        names.append(name)
    assert names[1:3] == names[3:5]
    checkpoints.write(next_name(71, None), b"71")
    checkpoints.remove(7)
    assert [path.read_bytes() for path in (tmp_path / "root").iterdir()] == [b"71"]


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "..", ".", "", "a/../../outside", "a\\b", "a\0b", ".x"]
)
def test_no_name_leads_out_of_the_root(
    checkpoints: Checkpoints, tmp_path: Path, name: str
) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    for call in (lambda: checkpoints.read(name), lambda: checkpoints.write(name, b"")):
        with pytest.raises(CheckpointError, match="cannot be") as caught:
            call()
        assert "is no name of an artifact" in str(caught.value)
    assert (tmp_path / "outside").read_bytes() == b"secret"


def test_whole_files_keep_the_interface(tmp_path: Path) -> None:
    store = WholeFiles(tmp_path / "made" / "when needed")
    for call in (lambda: store.open_reader("a"), lambda: store.remove("a")):
        with pytest.raises(ArtifactNotFound):
            call()
    store.write("a", io.BytesIO(b"content"))
    with store.open_reader("a") as reader:
        assert reader.read() == b"content"
    for escape in ("../b", "/b", "*"):
        with pytest.raises(ValueError, match="no name"):
            store.write(escape, io.BytesIO(b""))
        with pytest.raises(ValueError, match="no name"):
            store.remove(escape)
    assert [path.name for path in (tmp_path / "made").rglob("*")] == ["when needed", "a"]


def test_a_failed_write_leaves_the_older_one(tmp_path: Path) -> None:
    checkpoints = Checkpoints.at(str(tmp_path))
    checkpoints.write("checkpoint-0-a", b"older")

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        WholeFiles(tmp_path).write("checkpoint-0-a", Broken(b"newer"))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-0-a"]
    assert checkpoints.read("checkpoint-0-a") == b"older"


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    checkpoints = Checkpoints.at(str(tmp_path / "file"))
    for call in (lambda: checkpoints.write("a", b""), lambda: checkpoints.read("a")):
        with pytest.raises(CheckpointError, match="cannot be"):
            call()


def test_a_killed_writer_leaves_a_whole_file_and_nothing_that_stays(tmp_path: Path) -> None:
    checkpoints = Checkpoints.at(str(tmp_path))
    for delay in (0.02, 0.05, 0.11):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)])
        while not (tmp_path / "checkpoint-0-a").exists():
            time.sleep(0.01)
        time.sleep(delay)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        content = checkpoints.read("checkpoint-0-a")
        assert len(content) == 20_000_000
        assert len(set(content)) == 1
        checkpoints.remove(0)
        assert list(tmp_path.iterdir()) == []
