import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, String
from store_samples import complete, create

from sweep.errors import StoreError
from sweep.store import Store, migrate, schema, upgrade
from sweep.store.databases import database_at
from sweep.store.sqlite import SqliteDatabase

OLD_DATABASES = Path(__file__).parent / "old_databases"
MIGRATIONS = Path(migrate.__file__).parent / "migrations"


def execute(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_the_last_revision_is_the_one_that_the_program_expects() -> None:
    script = ScriptDirectory(str(MIGRATIONS))
    assert script.get_heads() == [schema.REVISION]
    revisions = [revision.revision for revision in script.walk_revisions()][::-1]
    # Older and newer are told apart by comparing these texts.
    assert revisions == [f"{n:04}" for n in range(1, len(revisions) + 1)]


def test_the_revisions_make_the_tables_that_the_code_describes(url: str) -> None:
    def ours(name: str | None, kind: str, parents: object) -> bool:
        return kind != "table" or (name or "").startswith("sweep_")

    engine = database_at(url).make_migration_engine()
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": ours,
                "include_object": lambda o, name, kind, *_: (
                    kind != "table" or name not in schema.OPTUNA_TABLES
                ),
                "version_table": schema.VERSION_TABLE,
                "compare_type": True,
            },
        )
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


def test_what_we_read_of_optunas_tables_is_there(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        for name in schema.OPTUNA_TABLES:
            columns = {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
            assert {column.name for column in schema.metadata.tables[name].columns} <= columns


def test_an_older_database_asks_for_the_upgrade(url: str, database: Path) -> None:
    execute(database, "UPDATE sweep_alembic_version SET version_num = '0000'")
    for create_it in (True, False):
        with pytest.raises(StoreError) as caught:
            Store.open(url, create=create_it)
        assert caught.value.what == "sweep's tables in the database are older than this program"
        assert "`sweep storage upgrade`" in str(caught.value)


def test_a_newer_database_asks_for_a_newer_program(url: str, database: Path) -> None:
    execute(database, "UPDATE sweep_alembic_version SET version_num = '9999'")
    for call in (Store.open, upgrade):
        with pytest.raises(StoreError) as caught:
            call(url)
        assert caught.value.what == "sweep's tables in the database are newer than this program"
        assert (caught.value.expected, caught.value.received) == (
            f"version {schema.REVISION}",
            "version 9999",
        )
        assert caught.value.next_step == "update sweep to the version that made them"


def test_newer_tables_of_optuna(url: str, database: Path) -> None:
    execute(database, "UPDATE alembic_version SET version_num = 'v9.0.0.a'")
    for call in (Store.open, upgrade):
        with pytest.raises(StoreError) as caught:
            call(url)
        assert caught.value.what == "Optuna's tables in the database are newer than this program"
        assert caught.value.next_step == "update optuna to the version that made them"


def test_upgrading_what_is_up_to_date_changes_nothing(url: str, database: Path) -> None:
    before = database.read_bytes()
    found, reached = upgrade(url)
    assert found == reached
    assert found.startswith(f"sweep {schema.REVISION}, optuna v")
    assert database.read_bytes() == before


def test_upgrading_a_missing_database(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database yet"):
        upgrade(f"sqlite:///{tmp_path / 'sweep.db'}")
    assert list(tmp_path.iterdir()) == []


def test_upgrading_optunas_tables_keeps_ours(url: str, database: Path) -> None:
    with Store.open(url) as store:
        complete(store, create(store), 0.5)
        rows, epochs = store.trial_rows("quickstart"), store.epoch_rows("quickstart")
    # Optuna's revisions since then copy and drop most of its tables, where SQLite alters them.
    execute(database, "UPDATE alembic_version SET version_num = 'v2.4.0.a'")
    with pytest.raises(StoreError) as caught:
        Store.open(url)
    assert caught.value.what == "Optuna's tables in the database are older than this program"
    assert "`sweep storage upgrade`" in str(caught.value)
    before, after = upgrade(url)
    assert before == f"sweep {schema.REVISION}, optuna v2.4.0.a"
    assert before != after
    with Store.open(url) as store:
        assert store.trial_rows("quickstart") == rows
        assert store.epoch_rows("quickstart") == epochs
        store.delete_study("quickstart")
        assert store.study_rows() == []
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM sweep_epochs").fetchone() == (0,)


@pytest.mark.parametrize("old", sorted(OLD_DATABASES.glob("*.db.gz")), ids=lambda path: path.stem)
def test_databases_of_older_programs_are_upgraded_with_all_they_hold(
    old: Path, tmp_path: Path
) -> None:
    database = tmp_path / "old.db"
    database.write_bytes(gzip.decompress(old.read_bytes()))
    url = f"sqlite:///{database}"
    with pytest.raises(StoreError, match="older than this program"):
        Store.open(url)
    before, after = upgrade(url)
    assert before.startswith(f"sweep {old.name[1:5]},")
    assert after.startswith(f"sweep {schema.REVISION},")
    with Store.open(url) as store:
        rows = store.trial_rows("quickstart")
        found = [
            (r["state"], r["stop_reason"], r["values"], r["error"], r["remark"]) for r in rows
        ]
        assert found == [
            ("COMPLETE", "completed", [0.5], None, None),
            ("COMPLETE", "diverged", [0.1], None, None),
            ("FAIL", None, None, "ValueError: no", None),
            ("RUNNING", None, None, None, None),
        ]
        assert len(store.epoch_rows("quickstart")) == 8
        assert [row["pid"] for row in store.worker_rows("quickstart")] == [4321]
        assert [row["message"] for row in store.log_rows("quickstart")] == ["a message"]
        assert store.run_rows("quickstart") == []
        complete(store, create(store), 0.75)
        assert store.study_rows()[0]["best_number"] == 4
        store.delete_study("quickstart")
        assert store.study_rows() == []


def test_a_revision_may_alter_a_table_that_others_refer_to(url: str) -> None:
    # SQLite copies the table and drops the old one; that must not cascade to the epochs.
    with Store.open(url) as store:
        complete(store, create(store), 0.5)
        rows, epochs = store.trial_rows("quickstart"), store.epoch_rows("quickstart")
    engine = database_at(url).make_migration_engine()
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("sweep_trials", recreate="always") as batch:
            batch.alter_column("worker", type_=String(200))
    engine.dispose()
    with Store.open(url) as store:
        assert store.trial_rows("quickstart") == rows
        assert store.epoch_rows("quickstart") == epochs != []
        store.delete_study("quickstart")
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("SELECT count(*) FROM sweep_epochs").fetchone() == (0,)


def test_a_failed_migration_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sweep.db"
    url = f"sqlite:///{path}"
    make = SqliteDatabase.make_migration_engine

    def failing(database: SqliteDatabase) -> Engine:
        engine = make(database)
        execute(path, "CREATE TABLE IF NOT EXISTS sweep_logs (log_id INTEGER)")
        return engine

    monkeypatch.setattr(SqliteDatabase, "make_migration_engine", failing)
    with pytest.raises(StoreError, match="refused a statement"):
        Store.open(url)
    monkeypatch.undo()
    execute(path, "DROP TABLE sweep_logs")
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT count(*) FROM sqlite_master WHERE name LIKE 'sweep_%'"
        assert connection.execute(query).fetchone() == (0,)
    with Store.open(url) as store:
        create(store)
