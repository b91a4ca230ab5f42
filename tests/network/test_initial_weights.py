"""Initial weights without a network are those of the network."""

import numpy as np
import pytest

from sweep.network import build_network
from sweep.network.weights import initial_weights
from sweep.trial import KERNEL_INITIALIZERS, TrialConfig


@pytest.mark.parametrize("activation", ["selu", "prelu"])
@pytest.mark.parametrize("batch_norm", ["none", "before", "after"])
@pytest.mark.parametrize("initializer", KERNEL_INITIALIZERS)
def test_equal_those_of_the_network(initializer: str, batch_norm: str, activation: str) -> None:
    for bias, seed, classes in (("zeros", 5, 10), ("constant", 6, 3)):
        config = TrialConfig(
            depth=3, width=7, activation=activation, batch_norm=batch_norm,
            kernel_initializer=initializer, kernel_stddev=0.3, kernel_sparsity=0.8,
            bias_initializer=bias, bias_value=0.2,
        )  # fmt: skip
        model = build_network(config, seed=seed, steps_per_epoch=4, classes=classes, compile=False)
        ours = initial_weights(config, seed=seed, classes=classes)
        theirs = model.get_weights()
        assert [array.shape for array in ours] == [array.shape for array in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_depend_on_the_seed() -> None:
    first, second = (initial_weights(TrialConfig(depth=1), seed=seed)[0] for seed in (1, 2))
    assert not np.array_equal(first, second)
