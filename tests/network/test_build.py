"""What the network of a configuration is made of."""

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.errors import ConfigError
from sweep.network import build_network
from sweep.network.activations import ACTIVATION_LAYERS
from sweep.trial import ACTIVATIONS, FIELDS, KERNEL_INITIALIZERS, OPTIMIZERS, TrialConfig

GENERATOR = np.random.default_rng(3)
IMAGES = GENERATOR.integers(0, 256, (16, 32, 32, 3)).astype(np.uint8)
LABELS = GENERATOR.integers(0, 10, 16)
PER_FEATURE = (np.full((32, 32, 3), 0.4, np.float32), np.full((32, 32, 3), 0.2, np.float32))
PER_CHANNEL = (np.full(3, 0.4, np.float32), np.full(3, 0.2, np.float32))


def small(**changes: Any) -> TrialConfig:
    return TrialConfig(**{"depth": 2, "width": 6, **changes})


def build(config: TrialConfig, seed: int = 5, **options: Any) -> keras.Model:
    return build_network(config, seed=seed, steps_per_epoch=4, **options)


def names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers]


def train_step(model: keras.Model) -> float:
    model.run_eagerly = True
    return float(model.train_on_batch(IMAGES, LABELS)[0])


def test_reference_network_has_the_published_number_of_parameters() -> None:
    assert build(TrialConfig()).count_params() == 500_210


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"batch_norm": "before"}, 20 * 4 * 100),
        ({"batch_norm": "after"}, 20 * 4 * 100),
        ({"activation": "prelu"}, 20 * 100),
        ({"dropout": "dropout"}, 0),
    ],
)
def test_options_add_their_parameters(changes: dict[str, Any], more: int) -> None:
    assert build(TrialConfig(**changes), compile=False).count_params() == 500_210 + more


def test_every_activation_has_a_layer() -> None:
    assert tuple(ACTIVATION_LAYERS) == ACTIVATIONS


@pytest.mark.parametrize("initializer", KERNEL_INITIALIZERS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_and_initializer_trains(activation: str, initializer: str) -> None:
    model = build(small(activation=activation, kernel_initializer=initializer))
    before = model.get_weights()
    assert np.isfinite(train_step(model))
    assert any(
        not np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True)
    )


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", lambda x: np.maximum(x, 0)),
        ("leaky_relu", lambda x: np.where(x > 0, x, 0.3 * x)),
        ("prelu", lambda x: np.maximum(x, 0)),
        ("elu", lambda x: np.where(x > 0, x, np.expm1(x))),
        ("selu", lambda x: 1.05070098 * np.where(x > 0, x, 1.67326324 * np.expm1(x))),
        ("swish", lambda x: x / (1 + np.exp(-x))),
        ("mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
        ("softplus", lambda x: np.log1p(np.exp(x))),
        ("tanh", np.tanh),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
    ],
)
def test_activation_is_the_function_of_its_name(name: str, function: Any) -> None:
    points = np.array([[-3.0, -0.5, 0.0, 0.5, 3.0]], np.float32)
    config = small(activation=name, leaky_relu_slope=0.3)
    layer = ACTIVATION_LAYERS[name](config, "activation")
    np.testing.assert_allclose(np.asarray(layer(points)), function(points), atol=1e-6)


def test_order_of_layers() -> None:
    before = build(small(batch_norm="before", dropout="dropout", depth=1), compile=False)
    after = build(small(batch_norm="after", dropout="alpha_dropout", depth=1), compile=False)
    start, end = ["image", "scaling", "flatten", "hidden_1"], ["dropout_1", "output"]
    assert names(before) == [*start, "batch_norm_1", "activation_1", *end]
    assert names(after) == [*start, "activation_1", "batch_norm_1", *end]


def test_dropout_after_every_hidden_layer_or_only_the_last() -> None:
    everywhere = names(build(small(dropout="dropout"), compile=False))
    last = names(build(small(dropout="dropout", dropout_position="last"), compile=False))
    assert [name for name in everywhere if "dropout" in name] == ["dropout_1", "dropout_2"]
    assert [name for name in last if "dropout" in name] == ["dropout_2"]
    assert last[-2:] == ["dropout_2", "output"]


def test_batch_norm_momentum() -> None:
    model = build(small(batch_norm="before", batch_norm_momentum=0.7), compile=False)
    assert model.get_layer("batch_norm_2").momentum == 0.7


def test_dropout_keeps_the_mean_and_drops_its_share() -> None:
    model = build(small(dropout="dropout", dropout_rate=0.3), compile=False)
    ones = np.ones((200, 500), np.float32)
    dropped = np.asarray(model.get_layer("dropout_1")(ones, training=True))
    assert np.mean(dropped == 0.0) == pytest.approx(0.3, abs=0.01)
    assert dropped.max() == pytest.approx(1 / 0.7)
    assert np.array_equal(model.get_layer("dropout_1")(ones, training=False), ones)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    model = build(small(dropout="alpha_dropout", dropout_rate=0.3), compile=False)
    normal = np.random.default_rng(0).normal(size=(200, 500)).astype(np.float32)
    dropped = np.asarray(model.get_layer("dropout_1")(normal, training=True))
    assert not np.array_equal(dropped, normal)
    assert dropped.mean() == pytest.approx(0.0, abs=0.02)
    assert dropped.std() == pytest.approx(1.0, abs=0.02)


def test_dropout_masks_follow_from_the_seed_and_differ_between_layers() -> None:
    ones = np.ones((4, 50), np.float32)

    def mask(seed: int, layer: str) -> Any:
        model = build(small(dropout="dropout", dropout_rate=0.5), seed, compile=False)
        return np.asarray(model.get_layer(layer)(ones, training=True))

    assert np.array_equal(mask(1, "dropout_1"), mask(1, "dropout_1"))
    assert not np.array_equal(mask(1, "dropout_1"), mask(1, "dropout_2"))
    assert not np.array_equal(mask(1, "dropout_1"), mask(2, "dropout_1"))


def scaled(model: keras.Model) -> Any:
    inside = keras.Model(model.input, model.get_layer("flatten").output)
    return np.asarray(inside(IMAGES)).reshape(IMAGES.shape)


def test_raw_pixels_are_scaled_inside_the_network() -> None:
    np.testing.assert_allclose(scaled(build(small(), compile=False)), IMAGES / 255.0, atol=1e-6)


@pytest.mark.parametrize("scaling", ["feature", "channel"])
def test_standardisation_uses_the_given_statistics(scaling: str) -> None:
    shape = (32, 32, 3) if scaling == "feature" else (3,)
    mean = GENERATOR.uniform(0.3, 0.6, shape).astype(np.float32)
    deviation = GENERATOR.uniform(0.1, 0.3, shape).astype(np.float32)
    model = build(small(scaling=scaling), statistics=(mean, deviation), compile=False)
    expected = (IMAGES / 255.0 - mean) / deviation
    np.testing.assert_allclose(scaled(model), expected, rtol=1e-4, atol=1e-5)


def test_a_feature_that_never_varies_is_only_centred() -> None:
    mean, deviation = np.full(3, 0.5, np.float32), np.array([0.0, 0.2, 0.2], np.float32)
    model = build(small(scaling="channel"), statistics=(mean, deviation), compile=False)
    np.testing.assert_allclose(scaled(model)[..., 0], IMAGES[..., 0] / 255.0 - 0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("scaling", "statistics"),
    [("feature", None), ("feature", PER_CHANNEL), ("channel", PER_FEATURE)],
)
def test_missing_or_wrong_statistics_are_refused(scaling: str, statistics: Any) -> None:
    with pytest.raises(ConfigError, match="needs the mean") as caught:
        build(small(scaling=scaling), statistics=statistics)
    assert caught.value.expected is not None


def test_weights_follow_from_the_seed() -> None:
    config = small(kernel_initializer="he_normal")
    first, again, other = (build(config, seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_weights_do_not_depend_on_global_random_state() -> None:
    keras.utils.set_random_seed(1)
    first = build(small()).get_weights()
    keras.utils.set_random_seed(2)
    assert all(
        np.array_equal(a, b) for a, b in zip(first, build(small()).get_weights(), strict=True)
    )


def test_layers_of_one_shape_start_differently() -> None:
    model = build(small(depth=3))
    second, third = (model.get_layer(f"hidden_{n}").get_weights()[0] for n in (2, 3))
    assert not np.array_equal(second, third)


def test_number_of_classes() -> None:
    assert build(small(), classes=4).output_shape == (None, 4)


def _values(name: str) -> st.SearchStrategy[Any]:
    info = FIELDS[name]
    if info.choices is not None:
        return st.sampled_from(info.choices)
    return st.booleans() if info.type is bool else st.just(info.default)


@settings(max_examples=12, deadline=None)
@given(
    st.fixed_dictionaries({name: _values(name) for name in FIELDS}),
    st.sampled_from(OPTIMIZERS),
    st.sampled_from([0.0, 0.01]),
)
def test_any_mixture_of_options_trains(
    values: dict[str, Any], optimizer: str, strength: float
) -> None:
    values |= {
        "depth": 2, "width": 5, "optimizer": optimizer, "momentum": 0.9,
        "l1": strength, "l2": strength, "weight_decay": strength, "max_norm": 100 * strength,
        "clip_norm": 100 * strength, "label_smoothing": strength,
    }  # fmt: skip
    config = TrialConfig(**values)
    statistics = {"unit": None, "feature": PER_FEATURE, "channel": PER_CHANNEL}[config.scaling]
    assert np.isfinite(train_step(build(config, statistics=statistics)))
