"""Watchers, on a pipe and on a real terminal."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pyte
import pytest
from fake_progress import make_frame, make_progress

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
    print("drawn", flush=True)
    sys.stdin.readline()
    watcher.update(make_progress(complete=19))
    time.sleep(0.11)
    print("drawn", flush=True)
    sys.stdin.readline()
"""


class Terminal:
    """A process whose standard error is a pseudo-terminal, and what that terminal shows."""

    def __init__(self, code, columns, lines):
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._master, slave = pty.openpty()
        self._resize_tty(columns, lines)
        environment = {**os.environ, "TERM": "xterm-256color"}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=slave,
            env=environment,
            cwd=Path(__file__).parent,
            text=True,
        )
        os.close(slave)

    def _resize_tty(self, columns, lines):
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def resize(self, columns, lines):
        self._resize_tty(columns, lines)
        self.screen.resize(lines, columns)

    def shown(self):
        """The lines of the screen once the process says that it has drawn."""
        assert self.process.stdout.readline() == "drawn\n"
        self._read()
        return [line.rstrip() for line in self.screen.display]

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        self.go_on()
        assert self.process.wait(timeout=20) == 0
        self._read()
        os.close(self._master)
        self.process.stdin.close()
        self.process.stdout.close()
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def _read(self):
        os.set_blocking(self._master, False)
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # nothing more to read, or the other end is closed
                return
            if not data:
                return
            self._stream.feed(data)


@pytest.fixture
def terminal():
    terminal = Terminal(DRIVER, 80, 24)
    yield terminal
    if terminal.process.poll() is None:
        terminal.process.kill()
        terminal.process.wait()


def test_live_view_on_a_terminal(terminal, golden):
    lines = terminal.shown()
    golden("terminal", "\n".join(lines).rstrip() + "\n")
    assert lines.count("trial 2 completed") == 1
    assert sum("deep_cifar10" in line for line in lines) == 1
    terminal.go_on()
    terminal.shown()
    left = terminal.end()
    assert left == ["trial 0 completed", "trial 1 completed", "trial 2 completed"]


@pytest.mark.parametrize("size", [(50, 24), (120, 40), (80, 12)])
def test_a_resize_leaves_one_frame(terminal, size):
    terminal.shown()
    terminal.resize(*size)
    terminal.go_on()
    lines = terminal.shown()
    assert sum("deep_cifar10" in line for line in lines) == 1
    assert any("23/24" in line for line in lines)
    assert not any("13/24" in line for line in lines)
    terminal.end()


def test_plain_lines(capsys):
    with PlainWatcher() as watcher:
        watcher.update(make_progress(complete=0, pruned=0, failed=0))
        watcher.message("trial 0 completed after epoch 5: val_accuracy 0.4")
        watcher.update(make_progress(complete=1, pruned=0, failed=0))
        watcher.update(make_progress(complete=1, pruned=0, failed=0, stopping=True))
        watcher.update(make_progress(complete=1, pruned=0, failed=0, stopping=True))
        watcher.message("the last word")
    assert capsys.readouterr().err.splitlines() == [
        "deep_cifar10 on cifar10: 24 trials asked, 0 finished, 3 workers",
        "[1/24] trial 0 completed after epoch 5: val_accuracy 0.4",
        "stopping: running trials finish their epoch (Ctrl-C again leaves at once)",
        "the last word",
    ]


def test_no_terminal_no_live_view(monkeypatch):
    assert isinstance(make_watcher(make_frame()), PlainWatcher)
