"""In single precision the fused engine follows Keras as closely as Keras follows itself.

Keras with `jit_compile` computes the same as without, in another order of additions. Over hundreds
of steps the two drift apart; so does the fused engine, and it may go no more than `FACTOR` times
as far. That holds as long as drifting is all there is: settings under which training blows
rounding up (high rates; Adam on biases before batch normalisation, whose gradient is rounding
alone) throw Keras's two results as far apart as any two, and would prove nothing.
"""

import math
from typing import Any

import numpy as np
import pytest
from keras_fit import Trained, fused_fit, keras_fit

from sweep.data import DataRef
from sweep.engines.fused.engine import FusedEngine
from sweep.trial import TrialConfig, TrialTask

FACTOR = 2.5
BASE: dict[str, Any] = {
    "depth": 6, "width": 30, "activation": "swish", "batch_size": 16, "epochs": 8,
    "learning_rate": 3e-5,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "batch_norm": "before"},
        {"optimizer": "adam"},
        {"optimizer": "nadam", "schedule": "one_cycle"},
    ],
    ids=str,
)
def test_goes_no_farther_from_keras_than_keras_compiled(
    options: dict[str, Any], small_data: DataRef
) -> None:
    engine = FusedEngine(small_data, "cpu:0")
    ours, compiled = 0.0, 0.0
    for seed in (1, 2):
        trial = TrialTask(0, TrialConfig(**BASE | options), seed=seed)
        truth = keras_fit(trial, small_data)
        (fused,) = fused_fit(engine, [trial])
        ours = max(ours, distance(fused, truth))
        compiled = max(compiled, distance(keras_fit(trial, small_data, jit=True), truth))
    # Neither equal, which would mean that nothing was compared, nor torn apart.
    assert 1e-8 < compiled < 1e-5
    assert ours < FACTOR * compiled


def distance(one: Trained, other: Trained) -> float:
    """Between the weights of two networks, all of them as one vector."""
    pairs = zip(one.weights, other.weights, strict=True)
    return math.sqrt(sum(float(np.square(a.astype(np.float64) - b).sum()) for a, b in pairs))
