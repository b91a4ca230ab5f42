"""`sweep run` from study file to winner, with real workers and an engine without TensorFlow."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from hook_server import hook_server
from terminal import Terminal

from sweep.cli.commands.run import command as run_command
from sweep.driver.notify import EVENT_KINDS
from sweep.executors.process import ProcessExecutor

HERE = Path(__file__).parent
PROGRAM = [sys.executable, str(HERE / "quick_program.py")]

STUDY = """
study: colours
data: {name: colours.npz}
fixed: {epochs: 3}
search:
  learning_rate: {low: 0.001, high: 0.1, log: true}
  batch_size: [16, 32]
budget: {trials: 4}
"""


@pytest.fixture
def study(workdir, monkeypatch):
    """A study file and its data in the current directory."""
    random = np.random.default_rng(20)
    labels = np.arange(200, dtype=np.uint8) % 10
    images = random.integers(0, 120, (200, 32, 32, 3), dtype=np.uint8)
    images += (labels * 10)[:, None, None, None]
    np.savez(workdir / "colours.npz", x_train=images, y_train=labels)
    (workdir / "colours.yaml").write_text(STUDY)
    monkeypatch.setenv("SWEEP_CACHE_DIR", str(workdir / "cache"))
    return workdir / "colours.yaml"


@pytest.fixture
def sweep(cli, study, monkeypatch):
    """`sweep` in this process, with `quick_engine` in its workers."""
    for directory in (HERE, HERE.parent / "executors"):
        monkeypatch.syspath_prepend(directory)
    quick = partial(ProcessExecutor, factory="quick_engine:make_engine")
    monkeypatch.setattr("sweep.executors.process.ProcessExecutor", quick)
    return cli


def test_a_backend_that_is_not_installed_is_found_before_anything_else(sweep, monkeypatch):
    monkeypatch.setattr("sweep.spec.advice.find_spec", lambda name: name != "jax" or None)
    jax = ("--set", "engine=fused", "--set", "backend=jax")
    outcome = sweep("run", "colours.yaml", *jax, "--set", "data.name=nowhere.npz")
    assert (outcome.code, outcome.out) == (2, "")
    assert "error: the backend jax is not installed" in outcome.err
    assert "pip install 'sweep[jax]'" in outcome.err
    assert not Path("sweep.db").exists()


def test_the_exported_winner_trains_again(sweep, workdir):
    assert sweep("run", "colours.yaml", "--workers", "1").code == 0
    assert sweep("export", "-o", "best.yaml").code == 0
    outcome = sweep("train", "best.yaml")
    assert outcome.code == 0, outcome.err
    assert "reproduced exactly" in outcome.out
    assert "none: colours.npz has no test split" in outcome.out
    assert "epoch 3/3" in outcome.err
    assert (workdir / "best-trained" / "curves.html").exists()
    again = sweep("train", "best.yaml", "-o", "again", "--set", "config.epochs=2", "--json")
    assert again.code == 0, again.err
    document = json.loads(again.out)
    assert (document["epochs"], document["kept_epoch"], document["test"]) == (2, 2, None)
    assert document["comparison"]["is_exact"] is None
    in_the_way = sweep("train", "best.yaml", "-o", "again")
    assert in_the_way.code == 2
    assert "not empty" in in_the_way.err


def without_figures(text):
    text = re.sub(r"\b\d+m \d\ds|\b\d+(\.\d)?s\b", "<time>", text)
    text = re.sub(r"\d+\.\d+(e-?\d+)?", "<n>", text)
    return re.sub(r"winner: trial \d", "winner: trial <number>", text)


def test_run_from_file_to_winner(sweep, golden):
    done = sweep("run", "colours.yaml", "--workers", "1")
    assert done.code == 0, done.err
    err = without_figures(done.err).replace(", the best so far", "")
    out = re.sub(r"batch_size( +)\d+", r"batch_size\1<n>", without_figures(done.out))
    golden("run", f"{out}--- standard error\n{err}")

    again = sweep("run", "colours.yaml", "--workers", "1", "--json")
    assert again.code == 0, again.err
    document = json.loads(again.out)
    assert document["trials"] == {
        "asked": 4,
        "finished": 4,
        "complete": 4,
        "diverged": 0,
        "pruned": 0,
        "failed": 0,
    }
    winner = document["best"]
    assert f"winner: trial {winner['trial']} with" in done.out
    assert set(winner["changes"]) == {"learning_rate", "batch_size"}
    assert document["interrupted"] is False
    assert document["time"]["training_seconds"] == 0.0, "there was nothing left to train"

    (run,) = json.loads(sweep("status", "--json").out)["runs"]
    assert run["training_seconds"] > 0.0


def test_a_failed_trial_is_shown_and_retried(sweep, study):
    # Depth 101 raises an error in the worker's engine.
    study.write_text(STUDY.replace("batch_size: [16, 32]", "depth: [101]"))
    done = sweep("run", "colours.yaml", "--set", "budget.trials=1", "--workers", "1")
    assert done.code == 0, done.err
    assert "1 failed" in done.err
    assert "no winner" in done.err
    assert done.out == ""
    assert "the trial cannot be built" in sweep("trials", "--failed").out
    assert "Traceback" in sweep("show", "0").out
    assert sweep("retry").code == 0
    sweep("run", "colours.yaml", "--set", "budget.trials=1", "--workers", "1")
    document = json.loads(sweep("status", "--json").out)
    assert document["trials"]["retried"] == 1
    assert document["trials"]["failed"] == 1


def started(*words):
    """A run without end whose first trial is finished."""
    process = subprocess.Popen(
        [*PROGRAM, "run", "colours.yaml", "--set", "budget.trials=100000", "--workers=1", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for line in process.stderr:
        if line.startswith("[1/"):
            return process
    pytest.fail("no trial was finished")


def test_interrupted_once_it_saves_and_says_how_to_resume(sweep):
    process = started("--storage", "runs.db")
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    lines = err.splitlines()
    assert "stopping: running trials finish their epoch (Ctrl-C again leaves at once)" in lines
    resume = "  sweep run colours.yaml --set budget.trials=100000 --storage runs.db --workers 1"
    assert lines[-1] == resume
    finished = json.loads(sweep("status", "--json", "--storage", "runs.db").out)["trials"]
    goal = finished["finished"] + 2
    words = ["--set", f"budget.trials={goal}", "--storage", "runs.db"]
    again = sweep("run", "colours.yaml", "--workers=1", *words)
    assert again.code == 0, again.err
    trials = json.loads(sweep("status", "--json", "--storage", "runs.db").out)["trials"]
    assert (trials["finished"], trials["running"], trials["waiting"]) == (goal, 0, 0)


def test_out_of_time_it_says_how_to_go_on(sweep):
    limits = ["--set", "budget.trials=100000", "--set", "budget.wall_seconds=3s"]
    ended = sweep("run", "colours.yaml", "--workers=1", *limits)
    assert ended.code == 0, ended.err
    assert "out of time with" in ended.err
    assert ended.err.splitlines()[-1].startswith("  sweep run colours.yaml --set budget.trials")


def in_training(cli):
    """Wait until a trial of the run in the current directory is in its worker."""
    patience = time.monotonic() + 60
    while time.monotonic() < patience:
        outcome = cli("status", "--json")
        if outcome.code == 0 and json.loads(outcome.out)["trials"]["running"]:
            return
        time.sleep(0.1)
    pytest.fail("no trial was started")


def test_interrupted_twice_it_leaves_at_once_with_its_workers(study, cli, workdir):
    # Depth 106 makes every epoch take more than ten seconds.
    study.write_text(STUDY.replace("batch_size: [16, 32]", "depth: [106]"))
    said = workdir / "said.txt"
    with said.open("w") as stderr:
        process = subprocess.Popen(
            [*PROGRAM, "run", "colours.yaml", "--workers=1"],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
    in_training(cli)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert workers
    os.kill(process.pid, signal.SIGINT)
    while "stopping" not in said.read_text():
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=8) == 130
    assert said.read_text().splitlines()[-1] == "interrupted"
    _, alive = psutil.wait_procs(workers, timeout=3)
    assert not alive


def test_the_live_view_gives_the_terminal_back(study):
    terminal = Terminal([*PROGRAM, "run", "colours.yaml", "--workers=1"], 80, 24)
    out = terminal.wait()
    assert terminal.process.returncode == 0
    assert out.startswith("winner: trial")
    lines = terminal.lines()
    assert sum(line.startswith("trial ") for line in lines) == 4
    assert not any("━" in line for line in lines)
    assert not terminal.screen.cursor.hidden


def test_a_wrong_override_is_a_usage_error(study, cli):
    outcome = cli("run", "colours.yaml", "--set", "budget.trails=3")
    assert outcome.code == 2
    assert "did you mean" in outcome.err
    assert not Path("sweep.db").exists()


def test_missing_data_is_an_error_before_anything_is_made(study, cli):
    Path("colours.npz").unlink()
    outcome = cli("run", "colours.yaml")
    assert outcome.code == 1
    assert "colours.npz" in outcome.err
    assert not Path("sweep.db").exists()


def test_a_webhook_and_a_command_are_told(sweep, workdir, monkeypatch):
    secret = workdir / "secret"
    secret.write_text("5ecret\n")
    with hook_server() as hook:
        monkeypatch.setenv("SWEEP_NOTIFY_WEBHOOK", hook.url)
        monkeypatch.setenv("SWEEP_WEBHOOK_SECRET_FILE", str(secret))
        command = 'echo "$SWEEP_TEXT" >> told; exit 9'
        options = ("--notify-command", command, "--notify-on", "finish")
        outcome = sweep("run", "colours.yaml", *options)
    assert outcome.code == 0, outcome.err
    (document,) = hook.documents
    assert document["event"] == "finish"
    assert document["trials"]["finished"] == 4
    assert hook.requests[0][0]["webhook-signature"].startswith("v1,")
    assert (workdir / "told").read_text() == document["text"] + "\n"
    assert "the command echo was not told of finish" in outcome.err
    assert "status 9" in outcome.err
    assert "5ecret" not in outcome.out + outcome.err


def test_a_webhook_that_is_no_address_is_found_before_anything_else(sweep):
    outcome = sweep("run", "colours.yaml", "--notify-webhook", "example.org/T0K3N")
    assert outcome.code == 2
    assert "the address of the webhook cannot be read" in outcome.err
    assert "T0K3N" not in outcome.err
    assert not Path("sweep.db").exists()


def test_the_option_names_what_can_be_told():
    (option,) = [p for p in run_command.params if p.name == "notify_on"]
    assert tuple(option.type.choices) == EVENT_KINDS
