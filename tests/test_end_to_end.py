"""The whole road with Keras, by the commands a user types, with kills on the way."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweep.errors import StoreError
from sweep.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STUDY = """
study: road
description: The whole road in small
data: {name: synthetic, train_images: 1000, validation: {images: 500}}
fixed: {depth: 3, width: 32, scaling: channel, epochs: 3}
search:
  activation: [relu, selu]
  kernel_initializer: [he_normal, lecun_normal]
  optimizer: [sgd, adam]
  learning_rate: {low: 1e-3, high: 1e-2, log: true}
rules:
  - {when: {activation: selu}, then: {kernel_initializer: lecun_normal}}
budget: {trials: 6}
pruner: {name: median, startup_trials: 2}
seed: 5
"""
PLAIN_KERAS = """
import sys
import keras, numpy as np
assert "sweep" not in sys.modules
model = keras.models.load_model(sys.argv[1])
pixels = np.full((4, 32, 32, 3), 128, "uint8")
print(model.predict(pixels, verbose=0).shape)
"""


class Terminal:
    """Runs `sweep` in a directory of its own."""

    def __init__(self, directory: Path, cache: Path) -> None:
        self.directory = directory
        self._environment = os.environ | {"SWEEP_CACHE_DIR": str(cache)}
        self._sweep = [str(Path(sys.executable).with_name("sweep"))]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._sweep, *arguments],
            cwd=self.directory,
            env=self._environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def type(self, *arguments: str) -> str:
        process = self.start(*arguments)
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        return output

    def rows(self) -> list[dict[str, Any]]:
        with Store.open(f"sqlite:///{self.directory / 'sweep.db'}", create=False) as store:
            return store.trial_rows("road")

    def wait_for_epochs(self, process: subprocess.Popen[str], more: int) -> None:
        def known() -> int:
            try:
                return sum(row["epochs"] or 0 for row in self.rows())
            except StoreError:
                return 0  # The program has not made the study yet.

        goal = known() + more
        while known() < goal and process.poll() is None:
            time.sleep(0.1)
        assert process.poll() is None, "the study ended before it could be killed"


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A study that was killed three times and then ran to its end."""
    directory = tmp_path_factory.mktemp("road")
    (directory / "road.yaml").write_text(STUDY)
    terminal = Terminal(directory, tmp_path_factory.mktemp("cache"))
    dice = random.Random(3)
    for victim in ("driver", "worker and driver"):
        process = terminal.start("run", "road.yaml")
        terminal.wait_for_epochs(process, more=dice.choice((1, 2)))
        workers = psutil.Process(process.pid).children()
        if "worker" in victim:
            os.kill(dice.choice(workers).pid, signal.SIGKILL)
            terminal.wait_for_epochs(process, more=1)
        process.kill()
        process.communicate()
        assert psutil.wait_procs(workers, timeout=10)[1] == []
    winner = json.loads(terminal.type("run", "road.yaml", "--json"))
    assert winner["study"] == "road"
    return terminal


def test_every_trial_is_there_once_and_finished(terminal: Terminal) -> None:
    rows = terminal.rows()
    assert [row["number"] for row in rows] == list(range(6))
    assert {row["state"] for row in rows} <= {"COMPLETE", "PRUNED"}
    with Store.open(f"sqlite:///{terminal.directory / 'sweep.db'}", create=False) as store:
        for row in rows:
            epochs = [epoch["epoch"] for epoch in store.epoch_rows("road", row["number"])]
            assert epochs == list(range(1, row["epochs"] + 1))
        assert store.record("road").data_name == "synthetic"  # type: ignore[union-attr]


def test_the_results_can_be_read(terminal: Terminal) -> None:
    assert "road" in terminal.type("status")
    assert len(json.loads(terminal.type("trials", "--json"))) == 6
    assert "val_accuracy" in terminal.type("show", "0")
    terminal.type("report", "-o", "report.html")
    page = (terminal.directory / "report.html").read_text()
    assert "synthetic" in page


def test_the_winner_trains_again_to_the_same_curve(terminal: Terminal) -> None:
    terminal.type("export", "-o", "best.yaml")
    again = terminal.type("train", "best.yaml", "-o", "again")
    assert "exactly" in again
    assert "test" in again


def test_the_winner_runs_in_plain_keras(terminal: Terminal) -> None:
    terminal.type("export", "--format", "keras", "-o", "best.keras")
    done = subprocess.run(
        [sys.executable, "-c", PLAIN_KERAS, str(terminal.directory / "best.keras")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split("\n")[-2:] == ["(4, 10)", ""], done.stderr
