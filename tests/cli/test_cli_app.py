"""Help, errors and exit codes."""

import json
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import sweep.cli.commands.schema
from sweep.cli.app import SECTIONS, root
from sweep.cli.command import SweepCommand
from sweep.errors import DataError, SpecError
from sweep.store import storage_url

COMMANDS = [name for names in SECTIONS.values() for name in names]
HEAVY = (
    "alembic",
    "keras",
    "numpy",
    "optuna",
    "pandas",
    "plotly",
    "pydantic",
    "rich",
    "sqlalchemy",
    "tensorflow",
    "yaml",
)


PROGRAM = [sys.executable, "-c", "import sys; from sweep.cli import main; sys.exit(main())"]


def all_commands():
    context = click.Context(root, info_name="sweep")
    for name in COMMANDS:
        command = root.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", command.commands[sub]) for sub in command.commands)
        else:
            yield name, command


def test_every_command_module_is_listed():
    directory = Path(sweep.cli.commands.schema.__file__).parent
    modules = {path.stem for path in directory.glob("*.py")} - {"__init__"}
    assert modules == set(COMMANDS)


@pytest.mark.parametrize(
    "words", [[], *([name] for name in COMMANDS), ["storage", "init"], ["storage", "upgrade"]]
)
def test_help_is_golden(cli, golden, words):
    outcome = cli(*words, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    golden("help-" + "-".join(words or ["sweep"]), outcome.out)
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert cli(*words, "-h").out == outcome.out


def test_help_fits_one_screen(cli):
    assert len(cli("--help").out.splitlines()) <= 50


def test_every_command_shows_an_example_that_names_it():
    for name, command in all_commands():
        assert isinstance(command, SweepCommand)
        assert command.examples[0].startswith(f"sweep {name}"), name


def test_summaries_are_not_cut(cli):
    assert not any(line.endswith("...") for line in cli("--help").out.splitlines()[1:])


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from sweep.cli import main; code = main(['--help']);"
        f"heavy = [m for m in {HEAVY!r} if m in sys.modules];"
        "sys.exit(f'loaded {heavy}' if heavy else code)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_help_is_quick():
    # Processor time, since other processes may keep this one waiting.
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*PROGRAM, "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.4


def test_version(cli):
    outcome = cli("--version")
    assert outcome.code == 0
    assert outcome.out.startswith("sweep ")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unknown-command", ["rnu"]),
        ("unknown-option", ["trials", "--failled"]),
        ("missing-file", ["check"]),
        ("bad-trial", ["show", "best"]),
        ("both", ["export", "--trial", "1", "--top", "2"]),
        ("no-database", ["trials"]),
        ("no-spec", ["check", "nowhere.yaml"]),
    ],
)
def test_errors_are_golden(cli, golden, name, words):
    outcome = cli(*words)
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    golden(f"error-{name}", f"exit code {outcome.code}\n{outcome.err}")


def test_no_command_shows_the_help(cli):
    outcome = cli()
    assert outcome.code == 2
    assert "Start with three lines" in outcome.err


def failing(error):
    def json_schema():
        raise error

    return json_schema


def test_errors_carry_their_parts_and_codes(cli, monkeypatch):
    error = DataError("gone", where="here", expected="x", received="y", next_step="look")
    monkeypatch.setattr("sweep.spec.json_schema", failing(error))
    outcome = cli("schema")
    assert outcome.code == 1
    assert outcome.err == (
        "error: gone\n  where: here\n  expected: x\n  received: y\n  next: look\n"
    )
    monkeypatch.setattr("sweep.spec.json_schema", failing(SpecError("wrong")))
    assert cli("schema").code == 2


def test_unexpected_errors_are_one_line_without_debug(cli, monkeypatch):
    monkeypatch.setattr("sweep.spec.json_schema", failing(ZeroDivisionError("a\nb")))
    outcome = cli("schema")
    assert outcome.code == 1
    assert outcome.err == (
        "error: ZeroDivisionError: a\n  next: run again with --debug for the traceback\n"
    )
    outcome = cli("schema", "--debug")
    assert outcome.code == 1
    assert outcome.err.startswith("Traceback")
    assert outcome.err.endswith("error: ZeroDivisionError: a\n")


def test_interrupt_is_130_without_traceback(cli, monkeypatch):
    monkeypatch.setattr("sweep.spec.json_schema", failing(KeyboardInterrupt()))
    outcome = cli("schema")
    assert outcome.code == 130
    assert "Traceback" not in outcome.err
    assert "interrupted" in outcome.err


def test_closed_pipe_is_no_error():
    run = subprocess.run(
        f"{shlex.join(PROGRAM)} schema | head -c 1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "{0\n"
    assert run.stderr == ""


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("sweep.db", "sqlite:///sweep.db"),
        ("/a/b.db", "sqlite:////a/b.db"),
        ("sqlite:///x.db", "sqlite:///x.db"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
    ],
)
def test_a_bare_path_is_an_sqlite_file(text, url):
    assert storage_url(text) == url


def test_schema_is_json(cli):
    assert json.loads(cli("schema").out)["type"] == "object"
