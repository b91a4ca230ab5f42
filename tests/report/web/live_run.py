"""A real study and a real dashboard, each a process of its own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STUDY = """
study: real
description: A real study in small
data: {name: synthetic, train_images: 8000, validation: {images: 1000}}
fixed: {depth: 3, width: 32, scaling: channel, early_stopping: none}
search:
  activation: [relu, elu, swish]
  learning_rate: {low: 1e-3, high: 1e-2, log: true}
budget: {trials: 8, epochs: 60}
pruner: {name: median, startup_trials: 3, min_epochs: 20}
seed: 5
"""
PATIENCE_SECONDS = 120
_SWEEP = str(Path(sys.executable).with_name("sweep"))


@contextmanager
def sweeping(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """`sweep run` of the study, which writes to `sweep.db` in the directory."""
    (directory / "real.yaml").write_text(STUDY)
    process = _start(directory, "run", "real.yaml", "--workers", "1")
    try:
        yield process
    finally:
        _end(process, signal.SIGINT)


@contextmanager
def dashboard(directory: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """`sweep dashboard` of that file, once it answers; it may be killed in the block."""
    process = _start(directory, "dashboard", "--no-browser", "--port", str(port))
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"dashboard: http://127.0.0.1:{port}/dashboard/\n"
        yield process
    finally:
        _end(process, signal.SIGTERM)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return int(opened.getsockname()[1])


def _start(directory: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [_SWEEP, *words],
        cwd=directory,
        env=os.environ | {"SWEEP_CACHE_DIR": str(directory / "cache")},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _end(process: subprocess.Popen[str], by: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(by)
    process.communicate(timeout=PATIENCE_SECONDS)
