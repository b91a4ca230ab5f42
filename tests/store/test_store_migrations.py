import gzip
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, String, inspect, text
from store_samples import complete, create, driving

from sweep.errors import StoreError
from sweep.store import Store, migrate, schema, upgrade
from sweep.store.database import Database
from sweep.store.databases import database_at

OLD_DATABASES = Path(__file__).parent / "old_databases"
REMARK = "trained by the reference engine"
MIGRATIONS = Path(migrate.__file__).parent / "migrations"


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


def execute(url: str, statement: str) -> list[Any]:
    """Run a statement in a transaction of its own; returns its rows if it has any."""
    engine = database_at(url).make_migration_engine()
    with engine.begin() as connection:
        done = connection.execute(text(statement))
        rows = [tuple(row) for row in done] if done.returns_rows else []
    engine.dispose()
    return rows


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


def test_what_we_read_of_optunas_tables_is_there(url: str) -> None:
    with closing(database_at(url)) as database, database.reading() as connection:
        for name in schema.OPTUNA_TABLES:
            columns = {column["name"] for column in inspect(connection).get_columns(name)}
            assert {column.name for column in schema.metadata.tables[name].columns} <= columns


def test_an_older_database_asks_for_the_upgrade(url: str) -> None:
    execute(url, "UPDATE sweep_alembic_version SET version_num = '0000'")
    for create_it in (True, False):
        with pytest.raises(StoreError) as caught:
            Store.open(url, create=create_it)
        assert caught.value.what == "sweep's tables in the database are older than this program"
        assert "`sweep storage upgrade`" in str(caught.value)


def test_a_newer_database_asks_for_a_newer_program(url: str) -> None:
    execute(url, "UPDATE sweep_alembic_version SET version_num = '9999'")
    for call in (Store.open, upgrade):
        with pytest.raises(StoreError) as caught:
            call(url)
        assert caught.value.what == "sweep's tables in the database are newer than this program"
        assert (caught.value.expected, caught.value.received) == (
            f"version {schema.REVISION}",
            "version 9999",
        )
        assert caught.value.next_step == "update sweep to the version that made them"


def test_newer_tables_of_optuna(url: str) -> None:
    execute(url, "UPDATE alembic_version SET version_num = 'v9.0.0.a'")
    for call in (Store.open, upgrade):
        with pytest.raises(StoreError) as caught:
            call(url)
        assert caught.value.what == "Optuna's tables in the database are newer than this program"
        assert caught.value.next_step == "update optuna to the version that made them"


def test_upgrading_what_is_up_to_date_changes_nothing(url: str) -> None:
    path = Path(url.removeprefix("sqlite:///"))
    before = path.read_bytes() if path.exists() else b""
    found, reached = upgrade(url)
    assert found == reached
    assert found.startswith(f"sweep {schema.REVISION}, optuna v")
    assert (path.read_bytes() if path.exists() else b"") == before


def test_upgrading_a_missing_database(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database yet"):
        upgrade(f"sqlite:///{tmp_path / 'sweep.db'}")
    assert list(tmp_path.iterdir()) == []


def test_upgrading_optunas_tables_keeps_ours(url: str) -> None:
    with Store.open(url) as store:
        with driving(store) as run:
            complete(run, 0.5)
        rows, epochs = store.trial_rows("quickstart"), store.epoch_rows("quickstart")
    # Optuna's revisions since then copy and drop most of its tables, where SQLite alters them.
    execute(url, "UPDATE alembic_version SET version_num = 'v2.4.0.a'")
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
    assert execute(url, "SELECT count(*) FROM sweep_epochs") == [(0,)]


@pytest.mark.parametrize("old", sorted(OLD_DATABASES.glob("*.db.gz")), ids=lambda path: path.stem)
def test_databases_of_older_programs_are_upgraded_with_all_they_hold(
    old: Path, tmp_path: Path
) -> None:
    database = tmp_path / "old.db"
    database.write_bytes(gzip.decompress(old.read_bytes()))
    url = f"sqlite:///{database}"
    has_remarks_and_runs = old.name >= "r0002"
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
            ("COMPLETE", "diverged", [0.1], None, REMARK if has_remarks_and_runs else None),
            ("FAIL", None, None, "ValueError: no", None),
            ("RUNNING", None, None, None, None),
        ]
        assert len(store.epoch_rows("quickstart")) == 8
        assert [row["pid"] for row in store.worker_rows("quickstart")] == [4321]
        assert [row["message"] for row in store.log_rows("quickstart")] == ["a message"]
        seconds = [row["seconds"] for row in store.run_rows("quickstart")]
        assert seconds == ([60.5] if has_remarks_and_runs else [])
        assert {row["checkpoint"] for row in rows} == {None}
        assert store.layer_rows("quickstart", 0) == []
        with driving(store) as run:
            complete(run, 0.75)
        assert len(store.layer_rows("quickstart", 4)) == 2
        assert store.study_rows()[0]["best_number"] == 4
        store.delete_study("quickstart")
        assert store.study_rows() == []


def test_a_revision_may_alter_a_table_that_others_refer_to(url: str) -> None:
    # SQLite copies the table and drops the old one; that must not cascade to the epochs.
    with Store.open(url) as store:
        with driving(store) as run:
            complete(run, 0.5)
        rows, epochs = store.trial_rows("quickstart"), store.epoch_rows("quickstart")
    engine = database_at(url).make_migration_engine()
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("sweep_trials") as batch:
            batch.alter_column("worker", type_=String(200))
    engine.dispose()
    with Store.open(url) as store:
        assert store.trial_rows("quickstart") == rows
        assert store.epoch_rows("quickstart") == epochs != []
        store.delete_study("quickstart")
    assert execute(url, "SELECT count(*) FROM sweep_epochs") == [(0,)]


def test_a_failed_migration_leaves_nothing_behind(
    new_blank_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_blank_url()
    kind = type(database_at(url))
    make = kind.make_migration_engine

    def failing(database: Database) -> Engine:
        engine = make(database)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS sweep_logs (log_id INTEGER)"))
        return engine

    monkeypatch.setattr(kind, "make_migration_engine", failing)
    with pytest.raises(StoreError, match="refused a statement"):
        Store.open(url)
    monkeypatch.undo()
    with closing(database_at(url)) as database, database.reading() as connection:
        names = inspect(connection).get_table_names()
    assert [name for name in names if name.startswith("sweep_")] == ["sweep_logs"]
    execute(url, "DROP TABLE sweep_logs")
    with Store.open(url) as store:
        create(store)
