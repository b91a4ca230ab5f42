"""Dropout's masks: as many units kept as asked for, and all of them independent.

Every bound is five standard deviations of a count of millions: chance passes it once in a million
and a half times, and the seeds are fixed. What is tested is compiled, as it is in training.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from sweep.engines.draws import dropout_keys
from sweep.engines.fused import noise
from sweep.engines.fused.adapters import make_adapter
from sweep.engines.fused.key import FusionKey, fusion_key
from sweep.engines.fused.network import Network
from sweep.engines.fused.settings import slot_settings
from sweep.trial import TrialConfig

Array = npt.NDArray[Any]

SIGMAS = 5.0
UNITS, BATCH = 256, 4096
RATES = (0.001, 0.01, 0.05, 0.1, 0.25, 1 / 3, 0.5, 0.8, 0.95)
# Two slots of different seeds, two steps and two layers.
KEYS = np.stack([dropout_keys(seed, epoch=2, steps=2, layers=2) for seed in (11, 12)], axis=2)


def network(rate: float, depth: int = 1, kind: str = "dropout", position: str = "all") -> Any:
    """A network that passes its inputs on, one unit for each, but for dropout.

    Its function: inputs (slot, batch, unit), keys (layer, slot, 2) -> (slot, unit, batch).
    """
    config = TrialConfig(
        depth=depth, width=1, activation="leaky_relu", leaky_relu_slope=1.0, dropout=kind,
        dropout_rate=rate, dropout_position=position,
    )  # fmt: skip
    key: FusionKey = fusion_key(config)
    adapter = make_adapter()

    def passed_on(x: Any, keys: Any, is_training: bool) -> Any:
        slots, _, units = x.shape
        one = slot_settings(config, None, 0.0, "float32")
        settings = {name: np.stack([array] * slots) for name, array in one.items()}
        settings = {name: keras.ops.convert_to_tensor(a) for name, a in settings.items()}
        identity = np.broadcast_to(np.eye(units, dtype=np.float32), (slots, units, units))
        weights = {
            "first": identity,
            "hidden": np.broadcast_to(identity, (depth - 1, *identity.shape)),
            "bias": np.zeros((depth, slots, units, 1), np.float32),
            "output": identity,
            "output_bias": np.zeros((slots, units, 1), np.float32),
        }
        weights = {name: keras.ops.convert_to_tensor(a) for name, a in weights.items()}
        hidden = Network(
            key, weights, {}, settings, None, keys if is_training else None, is_training
        )
        return hidden.logits(hidden.forward(x)[0], weights)

    def run(x: Array, keys: Array, is_training: bool = True) -> Array:
        function = adapter.compiled(lambda x, keys: passed_on(x, keys, is_training))
        result = function(adapter.to_device(x), adapter.to_device(keys))
        return np.asarray(adapter.to_host(result))

    return run


def masks(rate: float, keys: Array, units: int = UNITS, batch: int = BATCH) -> Array:
    """Which units dropout keeps, (slot, unit, batch) bool, for keys (slot, 2)."""
    ones = np.ones((len(keys), batch, units), np.float32)
    kept: Array = network(rate)(ones, keys[None]) != 0.0
    return kept


@pytest.mark.parametrize("rate", RATES)
def test_drops_the_share_asked_for(rate: float) -> None:
    kept = masks(rate, KEYS[0, 0])
    assert kept.size > 2e6
    assert abs(kept.mean() - (1 - rate)) < SIGMAS * np.sqrt(rate * (1 - rate) / kept.size)


def test_rate_zero_keeps_all() -> None:
    assert masks(0.0, KEYS[0, 0]).all()


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_units_and_images_are_equally_often_kept(rate: float) -> None:
    """The counts of each unit, and of each image, spread as binomial counts do."""
    kept = masks(rate, KEYS[0, 0])
    for axes, counted in (((0, 2), UNITS), ((0, 1), BATCH)):
        counts = kept.sum(axis=axes)
        trials = kept.size // counted
        chi_square = float(np.square(counts - counts.mean()).sum()) / (trials * rate * (1 - rate))
        assert 1e-6 < stats.chi2.sf(chi_square, counted - 1) < 1 - 1e-6


@pytest.mark.parametrize("rate", [0.05, 0.5])
@pytest.mark.parametrize("shift", [*(2**k for k in range(8)), 3, 5, 100])
def test_neighbours_are_independent(rate: float, shift: int) -> None:
    kept = masks(rate, KEYS[0, 0])
    assert_independent(kept[:, shift:], kept[:, :-shift], rate)
    assert_independent(kept[..., shift:], kept[..., :-shift], rate)
    assert_independent(kept[:, shift:, shift:], kept[:, :-shift, :-shift], rate)


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_slots_steps_and_layers_are_independent(rate: float) -> None:
    kept = {
        (step, layer): masks(rate, KEYS[step, layer]) for step in range(2) for layer in range(2)
    }
    assert_independent(kept[0, 0][0], kept[0, 0][1], rate)
    assert_independent(kept[0, 0], kept[1, 0], rate)
    assert_independent(kept[0, 0], kept[0, 1], rate)
    assert_independent(kept[0, 1], kept[1, 0], rate)


def assert_independent(first: Array, second: Array, rate: float) -> None:
    """Two equally long rows of draws are correlated no more than chance makes them."""
    product = (first - (1.0 - rate)) * (second - (1.0 - rate))
    correlation = product.mean() / (rate * (1 - rate))
    assert abs(correlation) < SIGMAS / np.sqrt(product.size)


def test_masks_depend_on_the_keys_alone() -> None:
    keys = KEYS[0, 0]
    both, swapped = masks(0.3, keys), masks(0.3, keys[::-1])
    assert np.array_equal(both, swapped[::-1])
    assert np.array_equal(both[1], masks(0.3, keys[1:])[0])


def test_all_steps_layers_and_trials_have_keys_of_their_own() -> None:
    keys = [dropout_keys(seed, epoch, 40, 5) for seed in (1, 2) for epoch in (1, 2, 3)]
    assert len(np.unique(np.concatenate(keys).reshape(-1, 2), axis=0)) == 6 * 40 * 5


def test_every_bit_is_uniform() -> None:
    adapter = make_adapter()
    words = np.asarray(
        adapter.to_host(
            adapter.compiled(lambda keys: noise.uniform_words(keys, UNITS, BATCH))(
                adapter.to_device(KEYS[0, 0])
            )
        )
    )
    assert words.dtype == np.uint32
    for low in range(0, 32, 4):
        for values, kinds in ((words >> low & 0xFF, 256), (words >> low & 0xFFFF, 65536)):
            limit = min(kinds, 1 << (32 - low))
            counts = np.bincount(values.ravel(), minlength=limit)
            assert len(counts) == limit
            assert 1e-6 < stats.chisquare(counts).pvalue < 1 - 1e-6


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.8])
def test_dropout_preserves_the_mean(rate: float) -> None:
    x = np.ones((2, BATCH, UNITS), np.float32)
    signal = network(rate)(x, KEYS[0, :1])
    variance = rate / (1 - rate)
    assert abs(signal.mean() - 1.0) < SIGMAS * np.sqrt(variance / signal.size)
    assert signal.var() == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.8])
def test_alpha_dropout_preserves_mean_and_variance(rate: float) -> None:
    x = np.random.default_rng(5).normal(size=(2, BATCH, UNITS)).astype(np.float32)
    signal = network(rate, kind="alpha_dropout")(x, KEYS[0, :1]).astype(np.float64)
    assert abs(signal.mean()) < SIGMAS / np.sqrt(signal.size)
    spread = np.sqrt(np.square(np.square(signal) - 1.0).mean() / signal.size)
    assert abs(np.square(signal).mean() - 1.0) < SIGMAS * spread


KindOfLayer = Callable[..., keras.layers.Layer]


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize(
    ("kind", "layer"),
    [("dropout", keras.layers.Dropout), ("alpha_dropout", keras.layers.AlphaDropout)],
)
def test_what_becomes_of_a_signal_is_what_keras_makes_of_it(
    rate: float, kind: str, layer: KindOfLayer
) -> None:
    """Keras's layer and ours on the same signals: where both keep, or both drop, they agree."""
    x = np.random.default_rng(6).normal(size=(1, 64, 32)).astype(np.float32)
    ours = network(rate, kind=kind)(x, KEYS[0, :1, :1])[0]
    theirs = keras.ops.convert_to_numpy(layer(rate, seed=1)(x[0], training=True)).T
    value, count = np.unique(ours, return_counts=True)
    our_drops = ours == value[count.argmax()]
    value, count = np.unique(theirs, return_counts=True)
    their_drops = theirs == value[count.argmax()]
    for is_alike in (our_drops & their_drops, ~our_drops & ~their_drops):
        assert is_alike.any()
        np.testing.assert_allclose(ours[is_alike], theirs[is_alike], rtol=1e-5, atol=1e-6)
    assert our_drops.mean() == pytest.approx(rate, abs=0.05)
    assert their_drops.mean() == pytest.approx(rate, abs=0.05)


def test_dropout_at_the_last_position_leaves_the_other_layers_alone() -> None:
    x = np.ones((2, 512, 64), np.float32)
    last = network(0.5, depth=3, position="last")(x, KEYS[0, :1])
    assert np.array_equal(last != 0.0, masks(0.5, KEYS[0, 0], 64, 512))
    everywhere = network(0.5, depth=2)(x, KEYS[0])
    expected = masks(0.5, KEYS[0, 0], 64, 512) & masks(0.5, KEYS[0, 1], 64, 512)
    assert np.array_equal(everywhere != 0.0, expected)


def test_validation_is_without_noise() -> None:
    x = np.random.default_rng(7).normal(size=(2, 32, 16)).astype(np.float32)
    signal = network(0.5, kind="alpha_dropout")(x, KEYS[0, :1], is_training=False)
    np.testing.assert_allclose(signal, x.swapaxes(1, 2), rtol=1e-6)
