import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from postgres_server import PASSWORD, PostgresServer
from sqlalchemy import inspect, text
from store_contract import StoreContract
from store_samples import SPLIT, complete, create, driving, fail, report, start, train

from sweep.errors import StoreError
from sweep.store import Store, StudyRun, artifacts_directory, is_new, schema, upgrade
from sweep.store.databases import database_at
from sweep.store.location import parse_url

OLD_DATABASES = Path(__file__).parent / "old_databases"


class TestPostgresqlStore(StoreContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url

    def count_rows(self, store: Store) -> dict[str, int]:
        with store._database.reading() as connection:
            return {
                name: connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one()
                for name in inspect(connection).get_table_names()
            }


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


# URLs


@pytest.mark.parametrize("name", ["postgresql", "postgresql+psycopg"])
def test_the_driver_is_ours(name: str) -> None:
    parsed = parse_url(f"{name}://ann:pw@host:5433/sweeps?sslmode=require")
    assert parsed.render_as_string(hide_password=False) == (
        "postgresql+psycopg://ann:pw@host:5433/sweeps?sslmode=require"
    )


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("postgresql://host", "the storage URL names no database"),
        ("postgresql://ann:hunter2@host/", "the storage URL names no database"),
        ("postgresql+psycopg2://ann:hunter2@h/db", "sweep cannot use postgresql+psycopg2 datab"),
    ],
)
def test_urls_that_cannot_be_used(url: str, what: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store.open(url)
    assert caught.value.what.startswith(what)
    assert caught.value.expected is not None
    assert "postgresql://USER:PASSWORD@HOST:PORT/DATABASE" in caught.value.expected
    assert "hunter2" not in str(caught.value)


def test_without_psycopg_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "sweep.store.postgresql", raising=False)
    with pytest.raises(StoreError) as caught:
        Store.open("postgresql://ann:hunter2@host/db")
    assert caught.value.what == "PostgreSQL needs a package that is not installed"
    assert caught.value.next_step == "pip install 'sweep[postgresql]'"
    assert "hunter2" not in str(caught.value)


def test_artifacts_lie_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert artifacts_directory("postgresql://host/sweeps") == tmp_path / "sweeps-artifacts"


def test_a_database_is_new_until_it_is_opened(server: PostgresServer) -> None:
    url = server.url(server.new_database())
    assert is_new(url)
    with pytest.raises(StoreError, match="the database holds no study of sweep"):
        Store.open(url, create=False)
    Store.open(url).close()
    assert not is_new(url)


# Old databases


@pytest.mark.parametrize(
    "old",
    [path for path in sorted(OLD_DATABASES.glob("*.sql.gz")) if path.name[1:5] < schema.REVISION],
    ids=lambda path: path.name,
)
def test_older_databases_are_upgraded_with_all_they_hold(
    server: PostgresServer, old: Path
) -> None:
    name = server.new_database()
    server.execute(gzip.decompress(old.read_bytes()).decode(), database=name)
    url, made_by = server.url(name), old.name[1:5]
    with pytest.raises(StoreError, match="older than this program"):
        Store.open(url)
    before, after = upgrade(url)
    assert before.startswith(f"sweep {made_by},")
    assert after.startswith(f"sweep {schema.REVISION},")
    with Store.open(url) as store:
        rows = store.trial_rows("quickstart")
        assert [(r["state"], r["stop_reason"], r["values"], r["error"]) for r in rows] == [
            ("COMPLETE", "completed", [0.5], None),
            ("COMPLETE", "diverged", [0.1], None),
            ("FAIL", None, None, "ValueError: no"),
            ("RUNNING", None, None, None),
        ]
        assert rows[0]["remark"] == (None if made_by < "0002" else "alone")
        assert len(store.epoch_rows("quickstart")) == 8
        assert [row["pid"] for row in store.worker_rows("quickstart")] == [4321]
        assert [row["message"] for row in store.log_rows("quickstart")] == ["a message"]
        runs = [] if made_by < "0002" else [SPLIT.seconds]
        assert [row["seconds"] for row in store.run_rows("quickstart")] == runs
        with driving(store) as run:
            complete(run, 0.75)
        assert len(store.layer_rows("quickstart", 4)) == 2
        assert store.study_rows()[0]["best_number"] == 4
        store.delete_study("quickstart")
        assert store.study_rows() == []


def test_the_newest_revision_has_a_database_for_the_next_one() -> None:
    assert (OLD_DATABASES / f"r{schema.REVISION}.sql.gz").exists(), "run make_old_database.py"


# Rights and connections


def test_a_role_needs_its_own_schema_and_no_more(server: PostgresServer) -> None:
    name = server.new_database()
    server.execute(
        "CREATE ROLE modest LOGIN PASSWORD 'modest pw'",
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {name} TO modest",
        database=name,
    )
    server.execute(
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "CREATE SCHEMA modest AUTHORIZATION modest",
        database=name,
    )
    url = server.url(name, "modest", "modest pw")
    with Store.open(url) as store, driving(store) as run:
        with run.batch():
            fail(run)
        complete(run, 0.5)
        assert [holder.pid for holder in store.drivers("quickstart")] == [os.getpid()]
    assert upgrade(url)[0] == upgrade(url)[1]
    with Store.open(url) as store:
        store.delete_study("quickstart")
    with server.connect(name) as connection:
        query = "SELECT DISTINCT schemaname FROM pg_tables WHERE tableowner = 'modest'"
        assert connection.execute(query).fetchall() == [("modest",)]


def test_schemas_of_one_database_have_locks_and_studies_of_their_own(
    server: PostgresServer, url: str
) -> None:
    name = parse_url(url).database or ""
    server.execute("CREATE SCHEMA other", database=name)
    with (
        Store.open(url) as store,
        Store.open(f"{url}?options=-csearch_path%3Dother") as other,
    ):
        create(store)
        assert [len(s.study_rows()) for s in (store, other)] == [1, 0]
        create(other)
        with store.driving("quickstart", SPLIT):
            assert [len(s.drivers("quickstart")) for s in (store, other)] == [1, 0]
            with other.driving("quickstart", SPLIT):
                # Both runs are the first of their database, and so would have the same lock.
                assert [len(s.drivers("quickstart")) for s in (store, other)] == [1, 1]


def test_connections_say_whose_they_are_and_what_they_bear(store: Store) -> None:
    expected = {
        "application_name": f"sweep {os.getpid()}@{os.uname().nodename}"[:63],
        "lock_timeout": "1min",
        "statement_timeout": "5min",
        "idle_in_transaction_session_timeout": "1min",
        "TimeZone": "UTC",
        "synchronous_commit": "on",
    }
    for engine in (store._database.engine, store._rdb_storage.engine):
        with engine.connect() as connection:
            found = {
                name: connection.execute(text(f'SHOW "{name}"')).scalar() for name in expected
            }
        assert found == expected
        assert engine.pool._pre_ping


def test_what_the_url_asks_for_overrules(url: str) -> None:
    asked = f"{url}?options=-c%20lock_timeout%3D7s&connect_timeout=3"
    with (
        closing(database_at(asked)) as database,
        database.engine.connect() as connection,
    ):
        assert connection.execute(text("SHOW lock_timeout")).scalar() == "7s"
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "5min"


def test_a_reader_sees_one_state_and_cannot_write(store: Store, run: StudyRun) -> None:
    start(run)
    query = text("SELECT count(*) FROM sweep_epochs")
    with store._database.reading() as connection:
        assert connection.execute(query).scalar() == 2
        train(run, [report(0, 3)])
        assert connection.execute(query).scalar() == 2
        with pytest.raises(StoreError, match="can only be read"), store.translated():
            connection.execute(text("DELETE FROM sweep_epochs"))
    assert len(store.epoch_rows("quickstart")) == 3


def test_writers_about_a_study_take_their_turn(store: Store, url: str) -> None:
    create(store)
    create(store, "other")
    with Store.open(f"{url}?options=-c%20lock_timeout%3D100ms") as hurried:
        with store._database.engine.begin() as connection:
            store._study_id(connection, "quickstart", lock=True)
            hurried.log("other", "info", "nobody is in the way here")
            with pytest.raises(StoreError, match="stayed locked by another process"):
                hurried.log("quickstart", "info", "hello")
        hurried.log("quickstart", "info", "hello")


@pytest.fixture
def password_seekers(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[list[str]]:
    """Collects whatever is said while a test runs; none of it may hold the password."""
    said: list[str] = []
    caplog.set_level("DEBUG")
    yield said
    said += [caplog.text, *capfd.readouterr()]
    assert said
    assert not [words for words in said if "s3cret" in words]


def test_nothing_shows_the_password(store: Store, password_seekers: list[str]) -> None:
    password_seekers += [repr(store), repr(store._database), store.safe_url]
    assert store.url.startswith("postgresql+psycopg://postgres:s3cret")
    with driving(store), pytest.raises(StoreError) as caught:
        store.delete_study("quickstart")
    password_seekers.append(str(caught.value))
    processes = psutil.process_iter(["cmdline"])
    password_seekers += [" ".join(process.info["cmdline"] or []) for process in processes]


def test_the_password_may_lie_in_a_file(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    monkeypatch.setenv("SWEEP_STORAGE_PASSWORD_FILE", str(file))
    with Store.open(url) as store:  # With one in the URL, the file is not looked at.
        create(store)
    without = parse_url(url)._replace(password=None).render_as_string()
    file.write_text(PASSWORD + "\n")
    with Store.open(without) as store, driving(store, "quickstart"):
        assert store.study_rows()[0]["name"] == "quickstart"
        assert "s3cret" not in f"{store!r}{store.safe_url}"
    before, after = upgrade(without)  # Optuna's own migrations connect by the URL alone.
    assert before == after


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (None, "No such file or directory"),
        (b"", "nothing"),
        (b"\n", "nothing"),
        (b"hunter2\nhunter3\n", "2 lines"),
        (b"hunter2 \xff", "bytes that are not UTF-8"),
    ],
)
def test_a_password_file_that_cannot_be_read(
    content: bytes | None, received: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("SWEEP_STORAGE_PASSWORD_FILE", str(file))
    with pytest.raises(StoreError) as caught:
        Store.open("postgresql://ann@127.0.0.1:1/sweeps")
    assert caught.value.what == "the password of the database cannot be read"
    assert caught.value.where == f"SWEEP_STORAGE_PASSWORD_FILE={file}"
    assert caught.value.received == received
    assert "hunter" not in str(caught.value)


def test_a_character_that_the_server_does_not_take(store: Store) -> None:
    create(store)
    store.log("quickstart", "info", "one\0two")
    assert store.log_rows("quickstart")[0]["message"] == "one\N{REPLACEMENT CHARACTER}two"
