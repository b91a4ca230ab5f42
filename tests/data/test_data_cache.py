import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from data_files import pixels

from sweep.data.arrays import Arrays
from sweep.data.cache import Cache, default_cache_dir
from sweep.errors import DataError


def arrays(seed: int = 0) -> Arrays:
    return Arrays((pixels(4, seed), np.arange(4, dtype=np.uint8)), None, 4)


def obtain(cache: Cache, key: str, seed: int = 0) -> list[str]:
    """Obtain a data set and return a line for each time it was loaded."""
    loaded: list[str] = []

    def load(_: Path) -> Arrays:
        loaded.append("loaded")
        return arrays(seed)

    entry = cache.obtain(key, load, loaded.append)
    np.testing.assert_array_equal(np.load(entry.directory / "train_images.npy"), pixels(4, seed))
    return loaded


def test_a_source_is_decoded_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.find("a") is None
    assert obtain(cache, "a") == ["loaded"]
    assert obtain(cache, "a") == []
    assert obtain(Cache(tmp_path), "a") == []


def test_two_sources_of_the_same_data_share_one_copy(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    obtain(cache, "archive")
    obtain(cache, "directory")
    assert len(list((tmp_path / "data").iterdir())) == 1


def test_other_data_has_another_place(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    obtain(cache, "a", seed=1)
    obtain(cache, "b", seed=2)
    assert len(list((tmp_path / "data").iterdir())) == 2


@pytest.mark.parametrize("name", ["train_images.npy", "train_labels.npy", "entry.json"])
@pytest.mark.parametrize("damage", ["removed", "truncated"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, name: str, damage: str) -> None:
    cache = Cache(tmp_path)
    obtain(cache, "a")
    (file,) = tmp_path.rglob(name)
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1])
    assert cache.find("a") is None
    assert obtain(cache, "a") == ["loaded"]
    assert obtain(cache, "a") == []


def test_what_a_failed_load_left_is_no_entry(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def fail(scratch: Path) -> Arrays:
        (scratch / "half").write_bytes(b"x")
        raise DataError("the source is damaged")

    with pytest.raises(DataError, match="the source is damaged"):
        cache.obtain("a", fail, lambda _: None)
    assert cache.find("a") is None
    assert obtain(cache, "a") == ["loaded"]
    assert not list(tmp_path.rglob("half"))


def test_a_cache_that_cannot_be_written_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written") as raised:
        Cache(tmp_path / "file" / "cache").obtain("a", lambda _: arrays(), lambda _: None)
    assert "SWEEP_CACHE_DIR" in str(raised.value.next_step)


def test_the_place_of_the_cache_can_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEP_CACHE_DIR", str(tmp_path / "mine"))
    assert default_cache_dir() == tmp_path / "mine"
    monkeypatch.delenv("SWEEP_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache_dir() == tmp_path / "xdg" / "sweep"


WRITER = """
import sys
from pathlib import Path
import numpy as np
from sweep.data.arrays import Arrays
from sweep.data.cache import Cache

def load(scratch):
    (scratch / "download").write_bytes(b"half")
    print("loading", flush=True)
    sys.stdin.read()
    return Arrays((np.zeros((2000, 32, 32, 3), np.uint8), np.zeros(2000, np.uint8)), None, 2)

entry = Cache(Path(sys.argv[1])).obtain("a", load, lambda text: print(text, flush=True))
print(entry.digest, flush=True)
"""


def start_writer(root: Path) -> "subprocess.Popen[str]":
    """A process that loads a data set until its standard input is closed, then writes it."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def next_line(writer: "subprocess.Popen[str]") -> str:
    assert writer.stdout is not None
    return writer.stdout.readline().strip()


def test_of_two_processes_one_decodes_and_the_other_waits(tmp_path: Path) -> None:
    with start_writer(tmp_path) as first:
        assert next_line(first) == "loading"
        with start_writer(tmp_path) as second:
            assert next_line(second) == "waiting for another process that prepares data"
            digest, _ = first.communicate(timeout=60)
            said, _ = second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0)
    assert said == digest


def test_a_killed_loader_leaves_a_cache_that_works(tmp_path: Path) -> None:
    with start_writer(tmp_path) as writer:
        assert next_line(writer) == "loading"
        writer.kill()
    cache = Cache(tmp_path)
    assert list(tmp_path.rglob("download"))
    assert cache.find("a") is None
    assert obtain(cache, "a") == ["loaded"]
    assert not list(tmp_path.rglob("download"))


def test_a_writer_killed_while_it_writes_leaves_all_or_nothing(tmp_path: Path) -> None:
    """The directory of an entry appears at once, whenever the writer is killed."""
    rng = np.random.default_rng(7)
    for attempt in range(3):
        root = tmp_path / str(attempt)
        with start_writer(root) as writer:
            assert next_line(writer) == "loading"
            assert writer.stdin is not None
            writer.stdin.close()
            time.sleep(float(rng.uniform(0, 0.03)))
            writer.kill()
        entry = Cache(root).find("a")
        if entry is not None:
            assert np.load(entry.directory / "train_images.npy").shape == (2000, 32, 32, 3)
        obtain(Cache(root), "b")
