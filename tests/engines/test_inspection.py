"""What the inspection finds is what Keras computes, for every structure of a network."""

import math
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from sweep.data import DataRef, Split, open_split, statistics
from sweep.engines.inspection import Inspector
from sweep.engines.inspection.inspector import MOST_IMAGES
from sweep.engines.scaling import Scaling
from sweep.network import build_network
from sweep.trial import ACTIVATIONS, Inspection, TrialConfig

Array = npt.NDArray[Any]
DEPTH, WIDTH = 3, 8


@pytest.fixture(scope="module")
def split(small_data: DataRef) -> Split:
    return open_split(small_data, "validation")


@pytest.fixture(scope="module")
def inspector(small_data: DataRef) -> Inspector:
    return Inspector(small_data, Scaling(small_data))


def config_of(**changes: Any) -> TrialConfig:
    sizes = {"depth": DEPTH, "width": WIDTH, "leaky_relu_slope": 0.3}
    return TrialConfig(**(sizes | changes))


def network_of(config: TrialConfig, data: DataRef) -> tuple[keras.Model, list[Array]]:
    """A network whose weights, moving statistics and slopes are all unlike their first values."""
    scaling = None if config.scaling == "unit" else statistics(data, config.scaling)
    model = build_network(config, seed=5, steps_per_epoch=1, statistics=scaling)
    chance = np.random.default_rng(5)
    weights = [
        array + chance.uniform(0.1, 0.4, array.shape).astype(np.float32)
        if array.ndim == 1
        else chance.normal(0.0, 1.5 / math.sqrt(len(array)), array.shape).astype(np.float32)
        for array in model.get_weights()
    ]
    model.set_weights(weights)
    return model, weights


def by_keras(model: keras.Model, config: TrialConfig, split: Split) -> tuple[list[Array], Any]:
    """Outputs of each layer and norms of the gradients of each kernel, by Keras."""
    images, labels = np.asarray(split.images[:MOST_IMAGES]), split.labels[:MOST_IMAGES]
    last = {"none": "activation", "before": "activation", "after": "batch_norm"}
    names = [f"{last[config.batch_norm]}_{n}" for n in range(1, config.depth + 1)] + ["output"]
    kernels = [model.get_layer(f"hidden_{n}").kernel for n in range(1, config.depth + 1)]
    kernels.append(model.get_layer("output").kernel)
    outputs = keras.Model(model.input, [model.get_layer(name).output for name in names])
    with tf.GradientTape() as tape:
        signals = outputs(images, training=False)
        loss = tf.reduce_mean(model.loss(labels, signals[-1]))
    gradients = tape.gradient(loss, [kernel.value for kernel in kernels])
    return [s.numpy() for s in signals], [float(tf.norm(g)) for g in gradients]


def check(inspection: Inspection | None, signals: list[Array], norms: list[float]) -> None:
    assert inspection is not None
    layers = inspection.layers
    assert [layer.layer for layer in layers] == list(range(1, len(signals) + 1))
    assert [layer.mean for layer in layers] == pytest.approx([s.mean() for s in signals], 1e-4)
    assert [layer.std for layer in layers] == pytest.approx([s.std() for s in signals], 1e-4)
    assert [layer.gradient_norm for layer in layers] == pytest.approx(norms, 1e-3)


@pytest.mark.parametrize("batch_norm", ["none", "before", "after"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_outputs_and_gradients_are_those_of_keras(
    small_data: DataRef, split: Split, inspector: Inspector, activation: str, batch_norm: str
) -> None:
    config = config_of(activation=activation, batch_norm=batch_norm)
    model, weights = network_of(config, small_data)
    check(inspector.inspect(config, weights), *by_keras(model, config, split))


@pytest.mark.parametrize(
    "changes",
    [
        {"scaling": "feature", "depth": 1},
        {"scaling": "channel", "label_smoothing": 0.2},
        {"dropout": "alpha_dropout", "dropout_rate": 0.5, "l2": 0.1, "l1": 0.1},
    ],
    ids=["features", "channels, smoothed labels", "dropout and penalties left out"],
)
def test_images_and_loss_are_those_of_the_trial(
    small_data: DataRef, split: Split, inspector: Inspector, changes: dict[str, Any]
) -> None:
    config = config_of(**changes)
    model, weights = network_of(config, small_data)
    found = inspector.inspect(config, weights)
    check(found, *by_keras(model, config, split))


def weights_of(config: TrialConfig, data: DataRef) -> list[Array]:
    return network_of(config, data)[1]


def dead_shares(inspection: Inspection | None) -> list[float]:
    assert inspection is not None
    return [layer.dead for layer in inspection.layers]


@pytest.mark.parametrize(
    ("activation", "bias"),
    [("tanh", 30.0), ("sigmoid", 30.0), ("relu", -1e3)]
    + [(name, -50.0) for name in ("sigmoid", "elu", "selu", "swish", "gelu", "mish", "softplus")],
)
def test_units_that_are_off_or_saturated_for_all_images_are_dead(
    small_data: DataRef, inspector: Inspector, activation: str, bias: float
) -> None:
    config = config_of(activation=activation)
    weights = weights_of(config, small_data)
    for kernel, biases in zip(weights[2:6:2], weights[3:6:2], strict=True):
        kernel *= 0.1
        biases[:] = 2.0
    assert dead_shares(inspector.inspect(config, weights))[:DEPTH] == [0.0, 0.0, 0.0]
    weights[3][:2] = bias
    assert dead_shares(inspector.inspect(config, weights))[:DEPTH] == [0.0, 0.25, 0.0]
    weights[3][:] = bias
    found = inspector.inspect(config, weights)
    assert dead_shares(found)[1] == 1.0


def test_what_gets_the_same_input_for_all_images_is_dead(
    small_data: DataRef, inspector: Inspector
) -> None:
    config = config_of(activation="leaky_relu")
    weights = weights_of(config, small_data)
    weights[2][:] = 0.0
    found = inspector.inspect(config, weights)
    assert dead_shares(found) == [0.0, 1.0, 1.0, 1.0]
    assert found is not None
    assert found.layers[0].gradient_norm == 0.0
    assert found.layers[2].gradient_norm > 0.0


def test_units_that_are_off_for_most_images_live(
    small_data: DataRef, inspector: Inspector, split: Split
) -> None:
    config = config_of(activation="relu", depth=1)
    weights = weights_of(config, small_data)
    brightness = split.images[:MOST_IMAGES].reshape(MOST_IMAGES, -1).mean(axis=1) / 255.0
    second, first = np.sort(brightness)[-2:]
    weights[0][:] = 1.0 / 3072
    # Only the brightest image is above it.
    weights[1][:] = -(first + second) / 2
    assert dead_shares(inspector.inspect(config, weights))[0] == 0.0
    weights[1][:] = -1.1 * first
    assert dead_shares(inspector.inspect(config, weights))[0] == 1.0


def test_a_faint_signal_is_not_a_dead_one(small_data: DataRef, inspector: Inspector) -> None:
    config = config_of(activation="tanh", depth=8)
    weights = [w * np.float32(1e-4) for w in weights_of(config, small_data)]
    for bias in weights[1::2]:
        bias[:] = 0.0
    found = inspector.inspect(config, weights)
    assert found is not None
    assert 0.0 < found.layers[7].std < 1e-30
    assert dead_shares(found)[:8] == [0.0] * 8
    # Its square is less than the least number of single precision.
    assert 0.0 < found.layers[4].gradient_norm < 1e-19


def test_zero_weights_are_counted_in_kernels_alone(
    small_data: DataRef, inspector: Inspector
) -> None:
    config = config_of(batch_norm="before", depth=2)
    weights = weights_of(config, small_data)
    for array in weights:
        if array.ndim == 1:
            array[:] = 0.0
    kernels = [array for array in weights if array.ndim == 2]
    kernels[0][:768] = 0.0
    kernels[1][0] = 1e-7
    kernels[2][0, 0] = 1e-5
    found = inspector.inspect(config, weights)
    assert found is not None
    total = sum(kernel.size for kernel in kernels)
    assert found.zero_weights == (768 * WIDTH + WIDTH) / total


def test_no_figure_is_made_of_weights_that_are_not_finite(
    small_data: DataRef, inspector: Inspector
) -> None:
    config = config_of()
    for value in (math.nan, math.inf):
        weights = weights_of(config, small_data)
        weights[2][0, 0] = value
        assert inspector.inspect(config, weights) is None


def test_what_overflows_is_nan(small_data: DataRef, inspector: Inspector) -> None:
    config = config_of(activation="relu")
    weights = [w * np.float32(1e15) for w in weights_of(config, small_data)]
    found = inspector.inspect(config, weights)
    assert found is not None
    assert math.isfinite(found.layers[0].mean)
    assert math.isnan(found.layers[2].mean)
    assert math.isnan(found.layers[2].std)
    assert math.isnan(found.layers[2].dead)
    numbers = [n for layer in found.layers for n in (layer.std, layer.dead, layer.gradient_norm)]
    assert not any(math.isinf(number) for number in numbers)


def test_few_images_are_enough(small_data: DataRef) -> None:
    config = config_of()
    few = replace(small_data, validation=(384, 389))
    found = Inspector(few, Scaling(few)).inspect(config, weights_of(config, small_data))
    assert found is not None
    assert found.inference_seconds > 0.0
