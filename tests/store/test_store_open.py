import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from store_samples import create, driving

from sweep.errors import StoreError
from sweep.store import Store, artifacts_directory, safe_url, upgrade


def refusal(url: str, *, create: bool = True) -> StoreError:
    with pytest.raises(StoreError) as caught:
        Store.open(url, create=create)
    assert caught.value.next_step or caught.value.expected
    return caught.value


@pytest.mark.parametrize(
    ("url", "what"),
    [
        pytest.param("sweep.db", "the storage URL cannot be read", id="no URL"),
        pytest.param("", "the storage URL cannot be read", id="empty"),
        pytest.param("sqlite://", "a database in memory would be lost", id="memory"),
        pytest.param("sqlite:///:memory:", "a database in memory would be lost", id=":memory:"),
        pytest.param("mysql://h/db", "sweep cannot use mysql databases", id="mysql"),
        pytest.param("sqlite+aiosqlite:///a.db", "sweep cannot use sqlite+aiosqlite", id="async"),
        pytest.param("postgresql://h:port/db", "the storage URL cannot be read", id="port"),
    ],
)
def test_a_url_that_cannot_be_used(url: str, what: str) -> None:
    error = refusal(url)
    assert error.what.startswith(what)
    assert error.expected == "sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"


def test_a_path_is_answered_with_its_url() -> None:
    assert refusal("runs/sweep.db").next_step == "write sqlite:///runs/sweep.db"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hunter2@host/db",
        "postgresql://ann:hunter2@host:port/db",
        "postgresql://ann:hunter2/and@more@host/db",
        "postgresql://host/db?password=hunter2",
        "postgresql://host/db?sslpassword=hunter2&application_name=x",
        "postgresql://ann:pass@hunter2@host/db",
        "postgresql://ann:pass/@hunter2/@host:5/db",
        "postgresql://ann:pass/hunter2@host/db",
        "postgresql://host/db?passwd=hunter2&pwd=hunter2",
        "mariadb?password=hunter2",
        "ann:hunter2@host",
        "://ann:hunter2@host",
    ],
)
def test_passwords_are_hidden(url: str) -> None:
    assert "hunter2" not in safe_url(url)
    assert "hunter2" not in str(refusal(url))


def test_a_url_without_password_is_shown_as_it_is(url: str) -> None:
    assert safe_url(url) == url
    with Store.open(url) as store:
        assert repr(store) == f"Store({url!r})"
        assert (store.url, store.safe_url) == (url, url)


def test_a_missing_directory(tmp_path: Path) -> None:
    error = refusal(f"sqlite:///{tmp_path / 'no' / 'sweep.db'}")
    assert error.what == "the directory of the database does not exist"
    assert error.received == str(tmp_path / "no")


def test_a_directory_instead_of_a_file(tmp_path: Path) -> None:
    assert refusal(f"sqlite:///{tmp_path}").what == "the path of the database is not a file"


def test_reading_never_makes_a_file(tmp_path: Path) -> None:
    error = refusal(f"sqlite:///{tmp_path / 'sweep.db'}", create=False)
    assert error.what == "there is no database yet"
    assert error.next_step is not None
    assert "sweep run" in error.next_step
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"this is no database\n" * 100, b"\0" * 5000], ids=["text", "zeros"]
)
@pytest.mark.parametrize("create", [True, False])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes, create: bool) -> None:
    path = tmp_path / "sweep.db"
    path.write_bytes(content)
    error = refusal(f"sqlite:///{path}", create=create)
    assert error.what == "the file is not an SQLite database"
    assert path.read_bytes() == content


def test_a_damaged_database(url: str, database: Path) -> None:
    content = bytearray(database.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    database.write_bytes(content)
    assert refusal(url).what == "the database is damaged"


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "sweep.db"
    path.touch()
    url = f"sqlite:///{path}"
    assert refusal(url, create=False).what == "the database holds no study of sweep"
    assert path.stat().st_size == 0
    with Store.open(url) as store:
        assert store.study_rows() == []
    assert [p.name for p in tmp_path.iterdir()] == ["sweep.db"]


def test_a_database_of_optuna_alone_is_joined(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'sweep.db'}"
    storage = optuna.storages.RDBStorage(url)
    optuna.create_study(study_name="theirs", storage=storage)
    storage.remove_session()
    storage.engine.dispose()
    assert refusal(url, create=False).what == "the database holds no study of sweep"
    with pytest.raises(StoreError, match="holds no study of sweep"):
        upgrade(url)
    with Store.open(url) as store:
        create(store)
        assert [row["name"] for row in store.study_rows()] == ["quickstart"]
        assert optuna.get_all_study_names(store.optuna_storage) == ["theirs", "quickstart"]


def test_a_database_that_may_only_be_read(url: str, database: Path) -> None:
    with Store.open(url) as store:
        create(store)
        # SQLite's own way to say so; it holds for root too, which permissions do not.
        with Store.open(f"sqlite:///file:{database}?mode=ro&uri=true", create=False) as reader:
            assert [row["name"] for row in reader.study_rows()] == ["quickstart"]
            with pytest.raises(StoreError) as caught:
                reader.log("quickstart", "info", "hello")
            assert caught.value.what == "the database cannot be written"


def test_a_database_locked_for_long(
    store: Store, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(store)
    monkeypatch.setattr("sweep.store.sqlite.BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(database)) as blocker, Store.open(store.url) as hurried:
        blocker.execute("BEGIN IMMEDIATE")
        assert len(hurried.study_rows()) == 1
        with pytest.raises(StoreError, match="stayed locked by another process"):
            hurried.log("quickstart", "info", "hello")


@pytest.mark.slow
def test_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'sweep.db'}"
    program = """
import os, sys
from sweep.store import Store

children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        with Store.open(sys.argv[1]) as store:
            store.study_rows()
        os._exit(0)
    children.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] for child in children) != 0)
"""
    done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.db"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:////data/sweep.db", "/data/sweep-artifacts"),
        ("sqlite:////data/my.runs.db", "/data/my.runs-artifacts"),
        ("sqlite:////data/plain", "/data/plain-artifacts"),
        ("sqlite:///file:/data/sweep.db?mode=ro&uri=true", "/data/sweep-artifacts"),
    ],
)
def test_artifacts_lie_next_to_the_database(url: str, expected: str) -> None:
    assert artifacts_directory(url) == Path(expected)


def test_artifacts_of_a_relative_path_lie_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert artifacts_directory("sqlite:///sweep.db") == tmp_path / "sweep-artifacts"


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "..", "a/b", "a\0b", "x" * 300])
def test_locks_lie_beside_the_database_whatever_the_study_is_called(
    tmp_path: Path, name: str
) -> None:
    directory = tmp_path / "runs"
    directory.mkdir()
    with Store.open(f"sqlite:///{directory / 'sweep.db'}") as store, driving(store, name):
        (lock,) = tmp_path.rglob("*.lock")
    assert lock.parent == directory
