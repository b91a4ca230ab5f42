import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from sqlalchemy import text
from store_contract import StoreContract
from store_samples import driving, fail, report, start, train

from sweep.errors import StoreError
from sweep.store import Store, StudyRun, sqlite


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def url(self, database: Path) -> str:
        return f"sqlite:///{database}"

    def count_rows(self, store: Store) -> dict[str, int]:
        with closing(sqlite3.connect(store.url.removeprefix("sqlite:///"))) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {
                name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
                for (name,) in names.fetchall()
            }


def test_every_connection_has_our_pragmas(store: Store) -> None:
    rdb_storage = store.optuna_storage._backend  # type: ignore[attr-defined]
    assert isinstance(rdb_storage, optuna.storages.RDBStorage)
    for engine in (store._database.engine, rdb_storage.engine):
        with engine.connect() as connection:
            found = [
                connection.execute(text(f"PRAGMA {name}")).scalar()
                for name in ("foreign_keys", "synchronous", "busy_timeout", "journal_mode")
            ]
        assert found == [1, 1, 60_000, "wal"]


def test_other_engines_of_the_process_are_left_alone(store: Store, tmp_path: Path) -> None:
    other = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'other.db'}")
    with other.engine.connect() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 0
    other.remove_session()
    other.engine.dispose()


def test_a_study_that_cannot_be_deleted_is_an_error(store: Store, database: Path) -> None:
    # Optuna swallows the error, so a foreign table would make `sweep delete` a silent lie.
    with driving(store) as run:
        fail(run)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE mine (trial_id INTEGER REFERENCES trials (trial_id))")
        connection.execute("INSERT INTO mine SELECT trial_id FROM trials")
        connection.commit()
    with pytest.raises(StoreError, match="could not be deleted"):
        store.delete_study("quickstart")
    assert len(store.trial_rows("quickstart")) == 1


def test_a_full_disk(
    store: Store, run: StudyRun, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = start(run)
    with closing(sqlite3.connect(database)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    monkeypatch.setattr(sqlite, "PRAGMAS", (*sqlite.PRAGMAS, f"max_page_count = {pages}"))
    taken = 0

    def fill(full: Store) -> None:
        nonlocal taken
        while True:
            full.log("quickstart", "info", "x" * 1000)
            taken += 1

    with Store.open(store.url) as full:
        with pytest.raises(StoreError) as caught:
            fill(full)
        assert caught.value.what == "the disk is full"
        assert caught.value.next_step == "free some space; `sweep run` then goes on"
        optunas = full.load_study("quickstart")
        with pytest.raises(StoreError, match="the disk is full"), full.translated():
            optunas.set_user_attr("key", "x" * 100_000)
        assert len(full.log_rows("quickstart", limit=10_000)) == taken
    train(run, [report(trial.number, 3)])
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
