"""Activations, images and optimizers one by one, at the places where they are delicate."""

import math
from typing import Any

import keras
import numpy as np
import pytest
from keras_fit import moved

from sweep.engines.draws import draw_augmentation, epoch_order
from sweep.engines.fused import activations, images, optimizers
from sweep.engines.fused.adapters import make_adapter
from sweep.engines.fused.key import FAMILY_OF, fusion_key
from sweep.engines.fused.settings import epoch_inputs, slot_settings
from sweep.network.activations import ACTIVATION_LAYERS
from sweep.network.schedules import learning_rate
from sweep.network.training import make_optimizer
from sweep.trial import ACTIVATIONS, TrialConfig

PLACES = [-800.0, -90.0, -17.0, -1.0, -1e-3, -1e-6, 0.0, 1e-6, 1e-3, 1.0, 17.0, 90.0, 800.0]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_and_their_gradients_are_keras_s_everywhere(activation: str) -> None:
    config = TrialConfig(activation=activation, leaky_relu_slope=0.3)
    layer = ACTIVATION_LAYERS[activation](config, "activation")
    layer.build((None, 1))
    family = activations.FAMILIES[FAMILY_OF.get(activation, activation)]
    numbers = [keras.ops.full((1, 1, 1), n) for n in activations.numbers(config)]
    assert len(numbers) == activations.MOST_NUMBERS
    slope = keras.ops.zeros((1, 1, 1))
    if activation == "prelu":
        layer.set_weights([np.full(1, 0.2, np.float32)])
        slope = keras.ops.full((1, 1, 1), 0.2)
    adapter = make_adapter()
    z = adapter.to_device(np.asarray(PLACES, np.float32).reshape(1, 1, -1))

    def ours(z: Any) -> Any:
        return family(z, numbers, slope)

    def theirs(z: Any) -> Any:
        return keras.ops.reshape(layer(keras.ops.reshape(z, (-1, 1))), z.shape)

    both = [
        adapter.to_host(adapter.gradient(lambda z, f=f: (keras.ops.sum(f(z)), f(z)), z))
        for f in (ours, theirs)
    ]
    (our_gradient, our_values), (their_gradient, their_values) = both
    np.testing.assert_allclose(our_values, their_values, rtol=2e-6, atol=1e-30)
    np.testing.assert_allclose(our_gradient, their_gradient, rtol=2e-6, atol=1e-6)
    assert np.isfinite(our_gradient).all()


def test_images_are_taken_and_moved_as_they_should_be() -> None:
    generator = np.random.default_rng(2)
    pictures = generator.integers(0, 256, (7, 32, 32, 3), np.uint8)
    index = generator.integers(0, 7, (2, 40)).astype(np.int32)
    flips = generator.random((2, 40)) < 0.5
    shifts = generator.integers(-16, 17, (2, 40, 2)).astype(np.int32)
    adapter = make_adapter()
    flat, index_, flips_, shifts_ = (
        adapter.to_device(a) for a in (pictures.reshape(7, -1), index, flips, shifts)
    )
    plain = adapter.to_host(images.take(flat, index_))
    np.testing.assert_array_equal(plain, pictures.reshape(7, -1)[index])
    augmented = adapter.to_host(images.take_augmented(flat, index_, flips_, shifts_))
    assert augmented.dtype == np.uint8
    for place in np.ndindex(2, 40):
        expected = moved(pictures[index[place]], flips[place], shifts[place])
        np.testing.assert_array_equal(augmented[place].reshape(32, 32, 3), expected)


def test_scaling_is_in_the_numbers_of_a_slot() -> None:
    generator = np.random.default_rng(3)
    pixels = generator.integers(0, 256, (1, 5, 3072), np.uint8)
    mean = generator.random((32, 32, 3)).astype(np.float32)
    deviation = generator.random((32, 32, 3)).astype(np.float32)
    deviation[0, 0, 0] = 0.0
    settings = slot_settings(TrialConfig(scaling="feature"), (mean, deviation), 0.0, "float64")
    x = keras.ops.convert_to_numpy(
        images.scale(pixels, settings["factor"][None], settings["offset"][None])
    )
    divisor = np.where(deviation == 0.0, 1.0, deviation)
    expected = (pixels.reshape(5, 32, 32, 3) / 255.0 - mean) / divisor
    np.testing.assert_allclose(x.reshape(5, 32, 32, 3), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        {"optimizer": "sgd", "nesterov": True},
        {"optimizer": "rmsprop"},
        {"optimizer": "adam"},
        {"optimizer": "adamw", "weight_decay": 0.3},
        {"optimizer": "nadam"},
    ],
    ids=str,
)
def test_late_steps_of_optimizers_are_keras_s(changes: dict[str, Any]) -> None:
    """Two thousand steps of one weight: what depends on the number of the step shows late."""
    config = TrialConfig(**changes, schedule="cosine", epochs=4)
    steps, epochs = 500, 4
    gradients = np.random.default_rng(4).normal(size=steps * epochs).astype(np.float32)
    variable = keras.Variable(np.ones(1, np.float32))
    optimizer = make_optimizer(config, steps)
    optimizer.build([variable])
    schedule = learning_rate(config, steps)
    assert not isinstance(schedule, float)
    family = optimizers.FAMILIES[fusion_key(config).optimizer]
    k = [keras.ops.full((1, 1, 1), n) for n in optimizers.trial_numbers(config)]
    w: Any = keras.ops.ones((1, 1, 1))
    moments: Any = [keras.ops.zeros((1, 1, 1))] * family.moments
    for step in [*range(3), *range(1000, 1003), *range(1997, 2000)]:
        epoch = step // steps
        rates = np.asarray([float(schedule(t)) for t in (epoch * steps, step)])
        numbers = optimizers.step_numbers(config, np.full(steps, rates[1]), epoch * steps)
        c = [keras.ops.full((1, 1, 1), n) for n in numbers[step % steps]]
        g = gradients[step]
        optimizer.iterations.assign(step)
        if config.optimizer == "nadam":
            product = optimizers._nadam_schedule(max(step, 1))[0][-1] if step else 1.0
            optimizer._u_product.assign(product)
        w, moments = family.update(w, keras.ops.full((1, 1, 1), g), moments, c, k)
        optimizer.apply([keras.ops.full((1,), g)], [variable])
        np.testing.assert_allclose(np.ravel(w), np.ravel(variable.numpy()), rtol=3e-6)


def test_inputs_of_an_epoch_are_the_trial_s_own_draws() -> None:
    config = TrialConfig(flip=True, shift=3, dropout="dropout", depth=4, batch_size=32)
    rates = np.linspace(0.1, 0.2, 2)
    inputs = epoch_inputs(config, fusion_key(config), 9, 5, 50, rates, "float32")
    order = epoch_order(9, 5, 50)
    flips, shifts = draw_augmentation(config, 9, 5, 50)
    assert np.array_equal(inputs["index"].reshape(-1)[:50], order)
    assert np.array_equal(inputs["flips"].reshape(-1)[:50], flips)
    assert np.array_equal(inputs["shifts"].reshape(-1, 2)[:50], shifts)
    assert inputs["index"].shape == (2, 32)
    assert inputs["dropout_keys"].shape == (2, 4, 2)
    assert inputs["update"].shape == (2, optimizers.STEP_NUMBERS)
    plain = TrialConfig(batch_size=32)
    assert set(epoch_inputs(plain, fusion_key(plain), 9, 5, 50, rates, "float32")) == {
        "index",
        "update",
    }


def test_adam_s_numbers_at_the_first_and_a_late_step() -> None:
    c = optimizers.step_numbers(TrialConfig(), np.full(3, 0.01), 0)
    assert c[0, 1] == pytest.approx(0.01 * math.sqrt(0.001) / 0.1, rel=1e-4)
    late = optimizers.step_numbers(TrialConfig(), np.full(1, 0.01), 100_000)
    assert late[0, 1] == pytest.approx(0.01)
