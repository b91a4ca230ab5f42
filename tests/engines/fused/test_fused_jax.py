"""The fused engine on JAX, in a process whose Keras runs on it.

It computes there what Keras computes on TensorFlow. Keras itself does not: on JAX it rounds other
numbers to single precision, and draws other initial weights from the same seed.
"""

import itertools
import os
import pickle
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from combinations import every_pair, task
from engine_contract import KERAS_READS_VARIABLES
from equality_contract import TOLERANCE
from keras_fit import difference, keras_fit
from test_fused_options import PAIRS, both

from sweep.data import DataRef
from sweep.engines.fused.key import fusion_key
from sweep.network.weights import initial_weights
from sweep.trial import TrialConfig, TrialTask

HERE = Path(__file__).parent
pytestmark = [
    KERAS_READS_VARIABLES,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="TensorFlow's figures are the truth"
    ),
]

TRAIN = """
import pickle, sys
import jax, keras
jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")
from keras_fit import fused_fit
from sweep.engines.fused import slot
from sweep.engines.fused.engine import FusedEngine
data, cohorts, initial = pickle.load(open(sys.argv[1], "rb"))
slot.initial_weights = lambda config, *, seed, classes: initial[config, seed]
engine = FusedEngine(data, "cpu:0", capacity=8, dtype="float64")
pickle.dump([fused_fit(engine, cohort) for cohort in cohorts], open(sys.argv[2], "wb"))
"""


def run_on_jax(arguments: list[str]) -> None:
    paths = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": paths}
    run = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout


def test_what_holds_on_tensorflow_holds_on_jax() -> None:
    # Of the failures, which do not depend on the backend, only how it tells of them.
    which = ["test_fused_contract.py", "test_fused_independence.py", "test_fused_noise.py"]
    which += ["test_fused_failures.py::test_the_adapter_knows_its_backend_s_error"]
    tests = [str(HERE / name) for name in which]
    run_on_jax(["-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", *tests])


def test_computes_on_jax_what_keras_computes_on_tensorflow(
    few_images: DataRef, double_precision: None, tmp_path: Path
) -> None:
    # On JAX `keras.ops` computes a few things in single precision at most: tanh, which mish calls
    # too, and the mean, which batch normalisation calls where no batch is partial.
    options = [
        trial
        for name in PAIRS
        if name != "whole batches, batch norm"
        for trial in both(*PAIRS[name])
    ]
    pairs = [task(0, choice) for choice in every_pair() if choice[0] not in ("tanh", "mish")]
    chosen = [*options, *pairs]
    trials = [TrialTask(n, trial.config, trial.seed) for n, trial in enumerate(chosen)]
    trials.sort(key=lambda trial: str(fusion_key(trial.config)))
    groups = itertools.groupby(trials, key=lambda trial: fusion_key(trial.config))
    cohorts = [list(group)[:8] for _, group in groups]
    initial = {(t.config, t.seed): initial_weights(t.config, seed=t.seed) for t in trials}
    (tmp_path / "in").write_bytes(pickle.dumps((few_images, cohorts, initial)))
    run_on_jax(["-c", TRAIN, str(tmp_path / "in"), str(tmp_path / "out")])
    results = pickle.loads((tmp_path / "out").read_bytes())
    apart = {
        describe(trial): difference(ours, keras_fit(trial, few_images, eagerly=True))
        / tolerance(trial)
        for trial, ours in zip(itertools.chain(*cohorts), itertools.chain(*results), strict=True)
    }
    assert {name: apart[name] for name in apart if not apart[name] <= 1.0} == {}


def tolerance(trial: TrialTask) -> float:
    """On JAX these two schedules give rates of single precision."""
    return 1e-6 if trial.config.schedule in ("cosine", "exponential") else TOLERANCE


def describe(trial: TrialTask) -> str:
    """What is not at its default."""
    default = TrialConfig()
    changed = {n: v for n, v in trial.config.to_dict().items() if v != getattr(default, n)}
    return f"{trial.number}: {changed}"
