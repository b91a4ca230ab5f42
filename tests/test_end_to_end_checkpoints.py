"""Trials of the fused engine that are broken off and go on, by the commands a user types."""

import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from test_end_to_end import Terminal

from sweep.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STUDY = """
study: road
data: {name: synthetic, train_images: 3000, validation: {images: 500}}
fixed: {depth: 20, scaling: channel, batch_size: 16, epochs: 8, flip: true, patience: 9,
        dropout: alpha_dropout, schedule: plateau, plateau_patience: 1, early_stopping: val_loss}
search:
  optimizer: [nadam, adam]
  learning_rate: {low: 1e-4, high: 1e-3, log: true}
budget: {trials: 2}
sampler: {name: random}
seed: 5
"""
METRICS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


def epochs(terminal: Terminal) -> list[dict[str, Any]]:
    with Store.open(f"sqlite:///{terminal.directory / 'sweep.db'}", create=False) as store:
        return store.epoch_rows("road")


def curves(terminal: Terminal) -> list[tuple[Any, ...]]:
    return [(row["number"], *(row[name] for name in METRICS)) for row in epochs(terminal)]


@pytest.mark.parametrize("engine", ["fused", "reference"])
def test_broken_off_twice_a_study_has_the_curves_of_an_undisturbed_one(
    engine: str, tmp_path: Path
) -> None:
    undisturbed, broken = (
        Terminal(tmp_path / name, tmp_path / "cache") for name in ("undisturbed", "broken")
    )
    command = ["run", "road.yaml", "--set", f"engine={engine}"]
    for terminal in (undisturbed, broken):
        terminal.directory.mkdir()
        (terminal.directory / "road.yaml").write_text(STUDY)
    undisturbed.type(*command)

    process = broken.start(*command)
    broken.wait_for_epochs(process, more=4)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    reached = {row["number"]: row["checkpoint_epoch"] for row in broken.rows() if row["epochs"]}
    assert reached == {row["number"]: row["epochs"] for row in broken.rows() if row["epochs"]}

    resumed = datetime.now(UTC)
    process = broken.start(*command)
    broken.wait_for_epochs(process, more=2)
    workers = psutil.Process(process.pid).children()
    process.kill()
    process.communicate()
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    broken.type(*command)

    for row in epochs(broken):
        was_kept = row["epoch"] <= reached.get(row["number"], 0)
        assert (row["reported_at"] < resumed) is was_kept, "trained once"
    assert curves(broken) == curves(undisturbed)
    for one, other in zip(broken.rows(), undisturbed.rows(), strict=True):
        for name in ("values", "kept_epoch", "stop_reason", "remark", "checkpoint"):
            assert one[name] == other[name]
    left = [path.name for path in broken.directory.rglob("*checkpoint-*")]
    assert left == []
