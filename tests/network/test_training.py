"""Optimizers, schedules, penalties and the loss."""

import math
from typing import Any

import keras
import numpy as np
import pytest

from sweep.network import build_network
from sweep.network.schedules import learning_rate, one_cycle_knots
from sweep.network.training import make_optimizer
from sweep.trial import OPTIMIZERS, TrialConfig

STEPS_PER_EPOCH = 10


def rates(config: TrialConfig) -> list[float]:
    schedule = learning_rate(config, STEPS_PER_EPOCH)
    return [float(schedule(step)) for step in range(config.epochs * STEPS_PER_EPOCH)]


def test_constant_and_plateau_start_as_a_number() -> None:
    for schedule in ("constant", "plateau"):
        config = TrialConfig(schedule=schedule, learning_rate=0.02)
        assert learning_rate(config, STEPS_PER_EPOCH) == 0.02


def test_cosine_follows_its_formula() -> None:
    config = TrialConfig(schedule="cosine", learning_rate=0.2, cosine_floor=0.1, epochs=5)
    expected = [0.2 * (0.1 + 0.9 * (1 + math.cos(math.pi * step / 50)) / 2) for step in range(50)]
    np.testing.assert_allclose(rates(config), expected, rtol=1e-5)


def test_exponential_follows_its_formula() -> None:
    config = TrialConfig(
        schedule="exponential", learning_rate=0.2, exponential_decay=0.5, epochs=3
    )
    expected = [0.2 * 0.5 ** (step / STEPS_PER_EPOCH) for step in range(30)]
    np.testing.assert_allclose(rates(config), expected, rtol=1e-5)


def test_one_cycle_follows_its_corners() -> None:
    config = TrialConfig(schedule="one_cycle", learning_rate=0.05, epochs=10)
    got = rates(config)
    # 100 steps: 11 at the end, 44 up and 44 down.
    assert got[0] == pytest.approx(0.005)
    assert got[22] == pytest.approx((0.005 + 0.05) / 2)
    assert got[44] == max(got) == pytest.approx(0.05)
    assert got[66] == pytest.approx((0.005 + 0.05) / 2)
    assert got[88] == pytest.approx(0.005)
    assert got[99] == pytest.approx(0.005 + (5e-6 - 0.005) * 11 / 12)
    corners, values = zip(*one_cycle_knots(0.05, 100), strict=True)
    np.testing.assert_allclose(got, np.interp(range(100), corners, values), rtol=1e-4)


@pytest.mark.parametrize("steps", range(1, 25))
def test_one_cycle_of_few_steps_stays_within_its_bounds(steps: int) -> None:
    config = TrialConfig(schedule="one_cycle", learning_rate=1.0, epochs=steps)
    schedule = learning_rate(config, 1)
    got = [float(schedule(step)) for step in range(steps)]
    assert got[0] == pytest.approx(0.1)
    assert all(1e-4 < rate <= 1.0 for rate in got)


def test_schedule_drives_the_optimizer() -> None:
    config = TrialConfig(
        depth=1, width=3, schedule="exponential", exponential_decay=0.5, optimizer="sgd"
    )
    model = build_network(config, seed=1, steps_per_epoch=2)
    model.run_eagerly = True
    images, labels = np.zeros((4, 32, 32, 3), np.uint8), np.zeros(4, np.int32)
    before = float(model.optimizer.learning_rate)
    for _ in range(2):
        model.train_on_batch(images, labels)
    assert float(model.optimizer.learning_rate) == pytest.approx(before / 2)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_has_the_asked_class_and_settings(name: str) -> None:
    config = TrialConfig(
        optimizer=name, learning_rate=0.01, weight_decay=0.1, clip_norm=2.0, momentum=0.9,
        nesterov=True,
    )  # fmt: skip
    optimizer = make_optimizer(config, STEPS_PER_EPOCH)
    settings = optimizer.get_config()
    assert type(optimizer).__name__.lower() == name
    assert settings["learning_rate"] == pytest.approx(0.01)
    assert settings["weight_decay"] == 0.1
    assert settings["global_clipnorm"] == 2.0
    if name == "sgd":
        assert settings["momentum"] == 0.9
        assert settings["nesterov"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_nothing_decays_or_clips_unless_asked(name: str) -> None:
    settings = make_optimizer(TrialConfig(optimizer=name), STEPS_PER_EPOCH).get_config()
    assert not settings["weight_decay"]
    assert settings["global_clipnorm"] is None


def step_size(**changes: Any) -> float:
    config = TrialConfig(depth=1, width=4, optimizer="sgd", learning_rate=1.0, **changes)
    model = build_network(config, seed=1, steps_per_epoch=2)
    model.run_eagerly = True
    before = model.get_weights()
    images = np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)
    model.train_on_batch(images, np.arange(8))
    pairs = zip(before, model.get_weights(), strict=True)
    return math.sqrt(sum(float(np.square(new - old).sum()) for old, new in pairs))


def test_clipping_limits_the_global_norm() -> None:
    assert step_size() > 0.2
    assert step_size(clip_norm=0.1) == pytest.approx(0.1, rel=1e-3)


def loss_of(**changes: Any) -> tuple[float, keras.Model]:
    config = TrialConfig(depth=2, width=4, **changes)
    model = build_network(config, seed=1, steps_per_epoch=2)
    images = np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)
    return float(model.evaluate(images, np.arange(8), verbose=0)[0]), model


def test_penalties_cover_the_hidden_kernels_alone() -> None:
    plain, model = loss_of()
    hidden = [model.get_layer(f"hidden_{n}").get_weights()[0] for n in (1, 2)]
    penalty = sum(0.01 * np.abs(k).sum() + 0.02 * np.square(k).sum() for k in hidden)
    assert loss_of(l1=0.01, l2=0.02)[0] == pytest.approx(plain + penalty, rel=1e-5)


def test_label_smoothing_mixes_in_the_uniform_distribution() -> None:
    _, model = loss_of()
    images = np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)
    logs = np.log(model.predict(images, verbose=0))
    expected = np.mean([-(0.7 * row[k] + 0.3 * row.mean()) for k, row in enumerate(logs)])
    assert loss_of(label_smoothing=0.3)[0] == pytest.approx(expected, rel=1e-5)


def test_loss_of_a_wrong_and_certain_network_is_not_clipped() -> None:
    for smoothing in (0.0, 0.1):
        _, model = loss_of(label_smoothing=smoothing)
        kernel, bias = model.get_layer("output").get_weights()
        bias[:] = -500.0
        bias[9] = 500.0
        model.get_layer("output").set_weights([kernel * 0, bias])
        images = np.zeros((4, 32, 32, 3), np.uint8)
        loss = model.evaluate(images, np.zeros(4, np.int32), verbose=0)[0]
        assert loss == pytest.approx(1000.0 * (1 - smoothing * 0.1), rel=1e-3)
