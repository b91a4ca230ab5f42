"""`sweep` with a database of a server: `study` and `sweep` are those of `test_cli_run`."""

import json
import os
import signal
import sys

import psutil
import pytest
from postgres_server import PASSWORD
from test_cli_run import started, study, sweep  # noqa: F401  fixtures

from sweep.cli.checks import check_storage
from sweep.cli.commands.run import _typed
from sweep.store.schema import REVISION

SECRET = PASSWORD.partition(" ")[0]


@pytest.fixture
def storage(postgres_url, monkeypatch):
    monkeypatch.setenv("SWEEP_STORAGE", postgres_url)
    return postgres_url


def command_lines(pid):
    root = psutil.Process(pid)
    return [" ".join(p.cmdline()) for p in [root, *root.children(recursive=True)]]


@pytest.mark.slow
def test_a_run_that_is_interrupted_and_resumed(sweep, storage, workdir):  # noqa: F811
    process = started()
    lines = command_lines(process.pid)
    assert len(lines) > 1
    running = json.loads(sweep("status", "--json").out)
    assert running["drivers"] == [{"pid": process.pid, "host": os.uname().nodename}]
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == (
        "  sweep run colours.yaml --set budget.trials=100000 "
        '--storage "$SWEEP_STORAGE" --workers 1'
    )
    assert not [text for text in (*lines, out, err) if SECRET in text]
    goal = json.loads(sweep("status", "--json").out)["trials"]["finished"] + 2
    again = sweep("run", "colours.yaml", "--workers=1", "--set", f"budget.trials={goal}")
    assert again.code == 0, again.err
    assert SECRET not in again.out + again.err
    document = json.loads(sweep("status", "--json").out)
    assert (document["trials"]["finished"], document["trials"]["running"]) == (goal, 0)
    assert document["drivers"] == []
    assert list(workdir.glob("test_*-artifacts/colours/*.keras")) != []
    assert sweep("delete", "colours", "--yes").code == 0
    assert json.loads(sweep("studies", "--json").out) == []


@pytest.mark.parametrize(
    ("storage", "typed"),
    [
        ("sqlite:///runs/a b.db", "'runs/a b.db'"),
        ("postgresql://ann:pw@host/db", '"$SWEEP_STORAGE"'),
        ("postgresql://host/db?password=pw", '"$SWEEP_STORAGE"'),
        ("postgresql://ann@host/db", "postgresql://ann@host/db"),
    ],
)
def test_a_storage_as_it_is_typed(storage, typed):
    assert _typed(storage) == typed


def test_the_doctor_of_a_server(server, storage):
    check = check_storage(storage)
    assert check.state == "ok"
    assert check.found.endswith(f"schema {REVISION}, 0 studies")
    blank = server.new_database()
    assert check_storage(server.url(blank)).found.endswith("not there yet; sweep run makes it")
    wrong = check_storage(server.url(blank, password="wr0ng"))
    assert (wrong.state, wrong.found.partition(":")[0]) == (
        "fail",
        "the database server refused the login",
    )
    assert wrong.next_step
    assert "PGPASSWORD" in wrong.next_step
    for found in (check, wrong):
        assert SECRET not in found.found
        assert "wr0ng" not in found.found
    server.drop(blank)


def test_the_doctor_without_psycopg(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "sweep.store.postgresql", raising=False)
    check = check_storage("postgresql://ann:hunter2@host/db")
    assert check.state == "fail"
    assert check.next_step == "pip install 'sweep[postgresql]'"
    assert "hunter2" not in check.found
