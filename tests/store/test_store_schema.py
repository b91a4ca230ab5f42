import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from postgres_server import binaries, libpq_environment
from sqlalchemy import inspect, text
from store_samples import complete, driving, end, fail, report, result, start, train

from sweep.store import EXAMPLE_QUERIES, Store, StudyRun, describe_schema
from sweep.trial import StopReason


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


def test_every_table_and_column_of_ours_is_described(store: Store) -> None:
    described = {(row["table"], row["column"]) for row in describe_schema()}
    with store._database.reading() as connection:
        found = inspect(connection)
        tables = [
            name
            for name in found.get_table_names()
            if name.startswith("sweep_") and name != "sweep_alembic_version"
        ]
        columns = {(name, column["name"]) for name in tables for column in found.get_columns(name)}
    assert described == columns | {(table, "") for table in tables}
    assert all(row["meaning"] for row in describe_schema())


@pytest.fixture
def filled(store: Store) -> Store:
    """Four complete trials, one failed, one diverged; and a study that must not be counted."""
    with driving(store, "other") as run:
        complete(run, 0.99, activation="tanh")
    with driving(store) as run:
        fill(run)
    return store


def fill(run: StudyRun) -> None:
    for value, activation in ((0.2, "relu"), (0.4, "relu"), (0.9, "selu"), (0.5, "selu")):
        trial = start(run, epochs=1, activation=activation)
        train(run, [report(trial.number, 2, val_accuracy=value)])
        end(run, result(trial.number))
        run.study.tell(trial, value)
    fail(run)
    complete(run, 0.0, StopReason.DIVERGED, activation="elu", learning_rate=50.0)


def rows(store: Store, query: str) -> list[tuple[object, ...]]:
    with store._database.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_example_of_activation_and_initializer(filled: Store) -> None:
    found = rows(filled, EXAMPLE_QUERIES["Mean validation accuracy by activation and initializer"])
    assert [row[:3] for row in found] == [
        ("selu", "lecun_normal", 2),
        ("relu", "lecun_normal", 2),
        ("elu", "lecun_normal", 1),
    ]
    assert [row[3] for row in found] == pytest.approx([0.7, 0.3, 0.18])


def test_example_of_the_best_trial(filled: Store) -> None:
    found = rows(filled, EXAMPLE_QUERIES["Learning curve of the best trial"])
    assert [(row[0], row[1], row[5]) for row in found] == [(2, 1, 0.09), (2, 2, 0.9)]


def test_example_of_failures(filled: Store) -> None:
    found = rows(filled, EXAMPLE_QUERIES["Failed and diverged trials, with the reason"])
    assert found == [
        (4, "FAIL", None, None, "ValueError: no", "selu", 0.001),
        (5, "COMPLETE", "diverged", 2, None, "elu", 50.0),
    ]


def test_example_of_dead_units_and_gradients(filled: Store) -> None:
    found = rows(filled, EXAMPLE_QUERIES["Dead units and gradients layer by layer, by activation"])
    assert [row[:4] for row in found] == [
        (activation, layer, trials, dead)
        for activation, trials in (("elu", 1), ("relu", 2), ("selu", 2))
        for layer, dead in ((1, 0.25), (2, 0.0))
    ]
    assert [row[4] for row in found] == pytest.approx([1e-30, 0.5] * 3)


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the sqlite3 program is not installed")
@pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("title", EXAMPLE_QUERIES)
def test_examples_can_be_pasted_into_the_shell(filled: Store, tmp_path: Path, title: str) -> None:
    (database,) = tmp_path.glob("*.db")
    done = subprocess.run(
        ["sqlite3", str(database)], input=EXAMPLE_QUERIES[title], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(rows(filled, EXAMPLE_QUERIES[title]))


@pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("title", EXAMPLE_QUERIES)
def test_examples_can_be_pasted_into_psql(filled: Store, title: str) -> None:
    done = subprocess.run(
        [str(binaries() / "psql"), "--tuples-only", "--no-psqlrc", "-v", "ON_ERROR_STOP=1"],
        input=EXAMPLE_QUERIES[title] + "\\q\n",
        env=libpq_environment(filled.url),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.split("\n")) - 2 == len(rows(filled, EXAMPLE_QUERIES[title]))
