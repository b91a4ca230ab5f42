"""`sweep run --executor ray`: the command line, a node killed under it, and the same figures."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ray_nodes import ray_nodes

from sweep.errors import StoreError
from sweep.store import Store

HERE = Path(__file__).parent
QUICK = [sys.executable, str(HERE / "quick_program.py")]
SWEEP = [str(Path(sys.executable).with_name("sweep"))]

QUICK_STUDY = """
study: nodes
data: {name: synthetic, train_images: 400, validation: {images: 100}}
fixed: {epochs: 25, batch_size: 1}
search: {learning_rate: {low: 0.0001, high: 0.01, log: true}}
budget: {trials: 6}
sampler: {name: random}
keep_weights: 6
"""

REAL_STUDY = """
study: nodes
data: {name: synthetic, train_images: 500, validation: {images: 250}}
fixed: {depth: 2, width: 16, scaling: channel, epochs: 2}
search:
  activation: [relu, selu]
  learning_rate: {low: 0.001, high: 0.01, log: true}
budget: {trials: 3}
sampler: {name: random}
seed: 5
"""


def test_an_address_without_ray_is_wrong_usage(cli, workdir):
    (workdir / "study.yaml").write_text(QUICK_STUDY)
    outcome = cli("run", "study.yaml", "--address", "10.0.0.5:6379")
    assert (outcome.code, outcome.out) == (2, "")
    assert "only a Ray cluster has an address" in outcome.err
    assert "--executor ray" in outcome.err
    assert not Path("sweep.db").exists()


def test_without_ray_nothing_is_begun(cli, workdir, monkeypatch):
    monkeypatch.setattr("sweep.executors.ray.find_spec", lambda name: None)
    (workdir / "study.yaml").write_text(QUICK_STUDY)
    outcome = cli("run", "study.yaml", "--executor", "ray")
    assert (outcome.code, outcome.out) == (2, "")
    assert "Ray is not installed" in outcome.err
    assert "pip install 'sweep[ray]'" in outcome.err
    assert not Path("sweep.db").exists()


def rows(directory: Path) -> list[dict[str, Any]]:
    with Store.open(f"sqlite:///{directory / 'sweep.db'}", create=False) as store:
        return store.trial_rows("nodes")


def figures(directory: Path) -> list[list[tuple[float, ...]]]:
    """The curves of all trials."""
    names = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    with Store.open(f"sqlite:///{directory / 'sweep.db'}", create=False) as store:
        return [
            [tuple(epoch[name] for name in names) for epoch in store.epoch_rows("nodes", number)]
            for number in range(len(store.trial_rows("nodes")))
        ]


def in_training(directory: Path, workers: int) -> list[int]:
    """Wait until so many workers train, and each has reported; their process ids."""
    patience = time.monotonic() + 120
    while time.monotonic() < patience:
        # At first the program has made neither the database nor the study.
        with (
            contextlib.suppress(StoreError),
            Store.open(f"sqlite:///{directory / 'sweep.db'}", create=False) as store,
        ):
            running = [r for r in store.trial_rows("nodes") if r["state"] == "RUNNING"]
            if len(running) == workers and all(row["epochs"] for row in running):
                return [worker["pid"] for worker in store.worker_rows("nodes")]
        time.sleep(0.2)
    raise TimeoutError


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_node_loses_and_doubles_nothing(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(QUICK_STUDY)
    with ray_nodes(2, tmp_path / "caches") as nodes:
        process = subprocess.Popen(
            [*QUICK, "run", "study.yaml", "--executor=ray", "--address", nodes.address, "--json"],
            cwd=tmp_path,
            env=os.environ | {"SWEEP_CACHE_DIR": str(tmp_path / "cache")},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        (victim,) = (pid for pid in in_training(tmp_path, 2) if not nodes.is_on_head(pid))
        nodes.kill_node_of(victim)
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    document = json.loads(out)
    assert document["trials"]["complete"] == 6, err
    assert "was lost" in err
    trials = rows(tmp_path)
    assert [row["number"] for row in trials] == list(range(6))
    assert sorted(row["attempt"] for row in trials) == [1, 1, 1, 1, 1, 2]
    assert all(Path(row["weights"]).is_file() for row in trials), "they came to this machine"
    assert [[epoch[0] for epoch in curve] for curve in figures(tmp_path)] == [
        list(range(1, 26)) for _ in range(6)
    ]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_figures_are_those_of_this_machines_processes(tmp_path: Path) -> None:
    """With the fused engine, on a cluster that is started for the purpose."""
    environment = os.environ | {"SWEEP_CACHE_DIR": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    for executor, options in (("process", []), ("ray", ["--address", "local"])):
        directory = tmp_path / executor
        directory.mkdir()
        (directory / "study.yaml").write_text(REAL_STUDY)
        done = subprocess.run(
            [*SWEEP, "run", "study.yaml", "--json", "--executor", executor, *options],
            cwd=directory,
            env=environment,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["trials"]["complete"] == 3
        assert "ray" not in done.stderr.lower().replace("connecting to ray at local", "")
    assert figures(tmp_path / "ray") == figures(tmp_path / "process")
    assert {row["engine"] for row in rows(tmp_path / "ray")} == {"fused"}
