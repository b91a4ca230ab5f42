"""How weights start, and what stays true of them in training."""

import math
from typing import Any

import keras
import numpy as np
import pytest

from sweep.network import build_network
from sweep.network.initializers import kernel_initializer, sparse_kernel
from sweep.trial import TrialConfig

GENERATOR = np.random.default_rng(4)
IMAGES = GENERATOR.integers(0, 256, (64, 32, 32, 3)).astype(np.uint8)
LABELS = GENERATOR.integers(0, 10, 64)


def build(**changes: Any) -> keras.Model:
    config = TrialConfig(**{"depth": 3, "width": 12, "activation": "leaky_relu", **changes})
    return build_network(config, seed=9, steps_per_epoch=4)


def kernels(model: keras.Model) -> list[Any]:
    return [layer.get_weights()[0] for layer in model.layers if layer.name.startswith("hidden")]


def train(model: keras.Model, steps: int) -> None:
    model.run_eagerly = True
    for _ in range(steps):
        model.train_on_batch(IMAGES, LABELS)


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("glorot_normal", math.sqrt(2 / (3072 + 100))),
        ("glorot_uniform", math.sqrt(2 / (3072 + 100))),
        ("he_normal", math.sqrt(2 / 3072)),
        ("he_uniform", math.sqrt(2 / 3072)),
        ("lecun_normal", math.sqrt(1 / 3072)),
        ("lecun_uniform", math.sqrt(1 / 3072)),
        ("random_normal", 0.02),
    ],
)
def test_first_kernel_has_its_distribution(name: str, deviation: float) -> None:
    kernel = kernels(build(kernel_initializer=name, kernel_stddev=0.02, depth=1, width=100))[0]
    assert kernel.mean() == pytest.approx(0.0, abs=deviation / 50)
    assert kernel.std() == pytest.approx(deviation, rel=0.02)
    if name.endswith("uniform"):
        assert np.abs(kernel).max() <= deviation * math.sqrt(3) * 1.0001


def test_orthogonal_kernel_is_orthogonal() -> None:
    kernel = kernels(build(kernel_initializer="orthogonal"))[0]
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(12), atol=1e-5)


def test_constant_kernels_have_one_value_each() -> None:
    model = build(kernel_initializer="constant")
    values = [np.unique(layer.get_weights()[0]) for layer in model.layers if layer.weights]
    assert [len(value) for value in values] == [1, 1, 1, 1]
    assert len(np.unique(values)) == 4


def test_constant_is_drawn_from_he_s_distribution() -> None:
    config = TrialConfig(kernel_initializer="constant")
    drawn = [kernel_initializer(config, seed, 0, 3072).value for seed in range(2000)]
    assert np.std(drawn) == pytest.approx(math.sqrt(2 / 3072), rel=0.05)
    assert abs(np.mean(drawn)) < 0.1 * math.sqrt(2 / 3072)


@pytest.mark.parametrize("initializer", ["constant", "he_normal"])
def test_units_that_start_equal_stay_equal(initializer: str) -> None:
    model = build(kernel_initializer=initializer, learning_rate=0.01)
    first = kernels(model)
    train(model, 8)
    trained = kernels(model)
    assert all(np.abs(new - old).max() > 1e-6 for old, new in zip(first, trained, strict=True))
    spread = max(float(np.ptp(kernel, axis=1).max()) for kernel in trained)
    assert spread < 1e-6 if initializer == "constant" else spread > 0.01


def test_sparse_kernel_keeps_the_same_share_of_every_unit() -> None:
    kernel = sparse_kernel(seed=1, layer=0, shape=(400, 300), sparsity=0.9)
    assert kernel.dtype == np.float32
    assert set((kernel != 0.0).sum(axis=0)) == {40}
    assert kernel[kernel != 0.0].std() == pytest.approx(math.sqrt(2 / 40), rel=0.03)
    # Which inputs are kept is drawn anew for every unit: all are used by some.
    assert (kernel != 0.0).any(axis=1).all()


def test_sparsity_leaves_every_unit_one_input() -> None:
    kernel = sparse_kernel(seed=1, layer=0, shape=(10, 30), sparsity=0.999)
    assert set((kernel != 0.0).sum(axis=0)) == {1}


@pytest.mark.parametrize("max_norm", [0.0, 0.8])
def test_sparse_kernels_stay_sparse(max_norm: float) -> None:
    model = build(kernel_initializer="sparse", kernel_sparsity=0.75, max_norm=max_norm)
    first = kernels(model)
    train(model, 4)
    for old, new in zip(first, kernels(model), strict=True):
        assert np.array_equal(old == 0.0, new == 0.0)
        assert np.mean(new == 0.0) == pytest.approx(0.75)
        assert not np.array_equal(old, new)
        if max_norm:
            assert np.linalg.norm(new, axis=0).max() <= max_norm * 1.001


def test_max_norm_holds_and_binds() -> None:
    model = build(max_norm=0.5, learning_rate=0.1)
    train(model, 4)
    norms = np.concatenate([np.linalg.norm(kernel, axis=0) for kernel in kernels(model)])
    assert norms.max() <= 0.5 * 1.001
    assert norms.max() > 0.49


def test_bias_initializers() -> None:
    model = build(bias_initializer="constant", bias_value=0.01)
    np.testing.assert_allclose(model.get_layer("hidden_2").get_weights()[1], 0.01)
    assert not model.get_layer("output").get_weights()[1].any()
    assert not build().get_layer("hidden_2").get_weights()[1].any()
