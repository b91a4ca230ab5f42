"""Watchers, on a pipe and on a real terminal."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fake_progress import WORKERS, make_frame, make_progress
from terminal import Terminal

from sweep.budget import Ending
from sweep.cli.watch import PlainWatcher, make_watcher

DRIVER = """
import sys, time
from fake_progress import make_frame, make_progress
from sweep.cli.watch import LiveWatcher, make_watcher

watcher = make_watcher(make_frame())
assert isinstance(watcher, LiveWatcher)
with watcher:
    for step in range(3):
        watcher.message(f"trial {step} completed")
        watcher.update(make_progress(complete=step + 7))
        time.sleep(0.11)
    for line in sys.stdin:
        watcher.update(make_progress(complete=int(line)))
        time.sleep(0.11)
"""


def eventually(terminal, wanted):
    """The screen's lines, once one of them has the text."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        lines = terminal.lines()
        if any(wanted in line for line in lines):
            return lines
        time.sleep(0.02)
    pytest.fail(f"{wanted!r} is not in {lines}")


@pytest.fixture
def terminal():
    terminal = Terminal([sys.executable, "-c", DRIVER], 80, 24, cwd=Path(__file__).parent)
    yield terminal
    if terminal.process.poll() is None:
        terminal.process.kill()
        terminal.process.wait()


def test_live_view_on_a_terminal(terminal, golden):
    lines = eventually(terminal, "13/24")
    golden("terminal", "\n".join(lines) + "\n")
    assert lines.count("trial 2 completed") == 1
    for complete, size in enumerate([(80, 24), (50, 24), (120, 40), (80, 12)], start=10):
        terminal.resize(*size)
        terminal.process.stdin.write(f"{complete}\n")
        terminal.process.stdin.flush()
        lines = eventually(terminal, f"{complete + 4}/24")
        assert sum("deep_cifar10" in line for line in lines) == 1
        assert not any(f"{complete + 3}/24" in line for line in lines)
    terminal.wait()
    assert terminal.process.returncode == 0
    assert not any("deep_cifar10" in line for line in terminal.lines())
    assert not terminal.screen.cursor.hidden


def test_plain_lines_say_what_takes_long(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("sweep.cli.watch.time.monotonic", lambda: now[0])
    starting = tuple(replace(worker, state="starting", slots=()) for worker in WORKERS)
    with PlainWatcher() as watcher:
        watcher.update(make_progress(workers=starting, running=0, trial_epochs=0))
        for now[0] in (30.0, 59.0, 61.0, 100.0):
            watcher.update(make_progress())
        watcher.message("trial 0 completed")
        now[0] = 130.0
        for now[0] in (130.0, 189.0, 190.0):
            watcher.update(make_progress(eta_seconds=None))
    assert capsys.readouterr().err.splitlines()[1:] == [
        "the workers load Keras, which takes 10 seconds or more",
        "[11/24] 2 trials in training, 101 epochs in 20m 34s, about 33m 20s left",
        "[11/24] trial 0 completed",
        "[11/24] 2 trials in training, 101 epochs in 20m 34s",
    ]


def test_plain_lines(capsys):
    with PlainWatcher() as watcher:
        watcher.update(make_progress(complete=0, pruned=0, failed=0))
        watcher.message("trial 0 completed after epoch 5: val_accuracy 0.4")
        watcher.update(make_progress(complete=1, pruned=0, failed=0))
        watcher.update(make_progress(complete=1, pruned=0, failed=0, ending=Ending.INTERRUPTED))
        watcher.update(make_progress(complete=1, pruned=0, failed=0, ending=Ending.INTERRUPTED))
        watcher.message("the last word")
    assert capsys.readouterr().err.splitlines() == [
        "deep_cifar10 on cifar10: 24 trials asked, 0 finished, 3 workers",
        "[1/24] trial 0 completed after epoch 5: val_accuracy 0.4",
        "stopping: running trials finish their epoch (Ctrl-C again leaves at once)",
        "the last word",
    ]


def test_no_terminal_no_live_view(monkeypatch):
    assert isinstance(make_watcher(make_frame()), PlainWatcher)
