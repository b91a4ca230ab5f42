"""Making engines, preparing their device and writing their files."""

import os
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from engine_contract import KERAS_READS_VARIABLES

from sweep.data import DataRef
from sweep.engines import make_engine
from sweep.engines.device import configure_device
from sweep.engines.weights import save_network
from sweep.errors import ExecutorError


def test_unknown_engine_is_refused(small_data: DataRef) -> None:
    with pytest.raises(ExecutorError, match="no such engine") as caught:
        make_engine("magic", small_data, "cpu:0")
    assert caught.value.received == "'magic'"


def test_unknown_device_is_refused(small_data: DataRef) -> None:
    with pytest.raises(ExecutorError, match="no such device"):
        make_engine("reference", small_data, "tpu:0")


def test_absent_gpu_is_refused(small_data: DataRef, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    with pytest.raises(ExecutorError, match="sees no GPU") as caught:
        make_engine("reference", small_data, "gpu:0")
    assert caught.value.next_step is not None


def test_other_backends_are_refused(small_data: DataRef, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ExecutorError) as caught:
        configure_device("cpu:0")
    assert (caught.value.expected, caught.value.received) == ("tensorflow or jax", "torch")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ExecutorError) as caught:
        make_engine("reference", small_data, "cpu:0")
    assert (caught.value.expected, caught.value.received) == ("tensorflow", "jax")


WITHOUT_TENSORFLOW = """
import pickle, sys
from pathlib import Path
sys.modules["tensorflow"] = None  # whoever imports it fails
from sweep.engines import make_engine
from sweep.engines.device import configure_device
from sweep.errors import ExecutorError
from sweep.trial import StopReason, TrialConfig, TrialTask
engine = make_engine("fused", pickle.load(sys.stdin.buffer), "cpu:0")
import jax
assert {device.platform for device in jax.devices()} == {"cpu"}
engine.admit(TrialTask(1, TrialConfig(depth=1, width=8, epochs=1), seed=3))
(report,) = engine.run_epoch()
assert report.finished is StopReason.COMPLETED
assert engine.retire(1, report.finished, Path(sys.argv[1])).engine == "fused"
try:
    configure_device("gpu:0")
except ExecutorError as error:
    assert "JAX sees no GPU" in error.what
    assert "sweep[jax-gpu]" in error.next_step
else:
    sys.exit("a GPU was found")
"""


def test_the_fused_engine_on_jax_needs_no_tensorflow(small_data: DataRef, tmp_path: Path) -> None:
    network = tmp_path / "trial.keras"
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, str(network)],
        input=pickle.dumps(small_data),
        env={**os.environ, "KERAS_BACKEND": "jax", "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    assert network.exists()


def test_a_cpu_worker_has_one_thread_and_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    # TensorFlow may run already in this process, with other settings.
    threading, chosen = tf.config.threading, {}
    for part in ("intra", "inter"):
        name = f"set_{part}_op_parallelism_threads"
        monkeypatch.setattr(threading, name, partial(chosen.__setitem__, part))
    monkeypatch.setattr(
        tf.config, "set_visible_devices", lambda found, kind: chosen.update({kind: found})
    )
    configure_device("cpu:1")
    assert chosen == {"intra": 1, "inter": 1, "GPU": []}


def test_settings_that_come_too_late_are_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def too_late(threads: int) -> None:
        raise RuntimeError("cannot be modified after initialization")

    monkeypatch.setattr(tf.config.threading, "set_intra_op_parallelism_threads", too_late)
    configure_device("cpu:0")
    assert "keeps its settings for cpu:0" in caplog.text


def test_engines_are_listed_without_tensorflow() -> None:
    code = "import sys, sweep.engines; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@KERAS_READS_VARIABLES
def test_a_failed_save_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    path = tmp_path / "trial.keras"
    save_network(model, path)
    complete = path.read_bytes()

    def full(*args: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        save_network(model, path)
    assert [file.name for file in tmp_path.iterdir()] == ["trial.keras"]
    assert path.read_bytes() == complete
