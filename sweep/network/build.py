"""From a `TrialConfig` to a `keras.Model`."""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np
import numpy.typing as npt

from sweep.errors import ConfigError
from sweep.network.activations import ACTIVATION_LAYERS
from sweep.network.initializers import (
    KeepZeros,
    bias_initializer,
    kernel_initializer,
    output_initializer,
    sparse_kernel,
)
from sweep.network.training import compile_network, compile_portable
from sweep.trial import TrialConfig, stream_seed

Statistics = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]

IMAGE_SHAPE = (32, 32, 3)


def build_network(
    config: TrialConfig,
    *,
    seed: int,
    steps_per_epoch: int,
    statistics: Statistics | None = None,
    classes: int = 10,
    compile: bool = True,
) -> keras.Model:
    """Build the network of a trial.

    It takes raw pixels, 0 to 255, as (image, 32, 32, 3); scaling is part of the network. Each of
    the `depth` hidden layers is Dense, batch normalisation if it comes `before`, activation,
    batch normalisation if it comes `after`, dropout. Penalties, max-norm and the chosen
    initializers apply to the hidden kernels. The weights depend on `config` and `seed` alone.

    Args:
        config: The trial's configuration.
        seed: The trial's seed; every layer draws from a stream of its own.
        steps_per_epoch: Training steps of an epoch, for schedules.
        statistics: Mean and standard deviation of the training split, in pixels of [0, 1], per
            feature (32, 32, 3) or per channel (3,); needed unless `config.scaling` is `unit`.
            What never varies (deviation 0) is centred only.
        classes: Number of classes.
        compile: Whether to compile it for training.

    Returns:
        The network, with class probabilities as outputs.

    Raises:
        ConfigError: `statistics` are missing or of the wrong shape.
    """
    image = keras.Input(IMAGE_SHAPE, name="image")
    signal = keras.layers.Rescaling(1.0 / 255.0, name="scaling")(image)
    if config.scaling != "unit":
        signal = _standardisation(config.scaling, statistics)(signal)
    signal = keras.layers.Flatten(name="flatten")(signal)
    for layer in range(config.depth):
        signal = _hidden_layer(config, seed, layer, signal)
    output = keras.layers.Dense(
        classes,
        activation="softmax",
        kernel_initializer=output_initializer(config, seed, config.depth, signal.shape[-1]),
        name="output",
    )(signal)
    model = keras.Model(image, output, name="deep_network")
    if compile:
        compile_network(model, config, steps_per_epoch)
    return model


def portable_network(
    config: TrialConfig,
    weights: Sequence[npt.NDArray[np.float32]],
    *,
    seed: int,
    statistics: Statistics | None = None,
    classes: int = 10,
) -> keras.Model:
    """The network with given weights, made of plain Keras parts alone, to be saved.

    It predicts what the trained network predicts. The constraint that keeps sparse kernels
    sparse, schedules and label smoothing are of no use to predictions and left out.

    Args:
        config: The trial's configuration.
        weights: What `get_weights` of the trained network returned.
        seed: The trial's seed.
        statistics: As for `build_network`.
        classes: Number of classes.

    Returns:
        The network, compiled with a constant learning rate.
    """
    if config.kernel_initializer == "sparse":
        config = replace(config, kernel_initializer="he_normal")
    model = build_network(
        config,
        seed=seed,
        steps_per_epoch=1,
        statistics=statistics,
        classes=classes,
        compile=False,
    )
    model.set_weights(weights)
    compile_portable(model, config)
    return model


def _standardisation(scaling: str, statistics: Statistics | None) -> keras.layers.Layer:
    shape = IMAGE_SHAPE if scaling == "feature" else IMAGE_SHAPE[-1:]
    received = None if statistics is None else tuple(array.shape for array in statistics)
    if statistics is None or received != (shape, shape):
        raise ConfigError(
            f"scaling `{scaling}` needs the mean and standard deviation of the training split",
            where="scaling",
            expected=f"two arrays of shape {shape}",
            received=f"shapes {received}" if received else "none",
        )
    mean, deviation = statistics
    divisor = np.where(deviation > 0.0, deviation, 1.0)
    return keras.layers.Normalization(
        axis=(1, 2, 3) if scaling == "feature" else -1,
        mean=mean,
        variance=np.square(divisor),
        name="standardisation",
    )


def _hidden_layer(
    config: TrialConfig, seed: int, layer: int, signal: keras.KerasTensor
) -> keras.KerasTensor:
    number = layer + 1
    signal = _dense(config, seed, layer, signal)
    if config.batch_norm == "before":
        signal = _batch_norm(config, number)(signal)
    activation = ACTIVATION_LAYERS[config.activation](config, f"activation_{number}")
    signal = activation(signal)
    if config.batch_norm == "after":
        signal = _batch_norm(config, number)(signal)
    if config.dropout != "none" and (config.dropout_position == "all" or number == config.depth):
        kind = keras.layers.Dropout if config.dropout == "dropout" else keras.layers.AlphaDropout
        signal = kind(
            config.dropout_rate,
            seed=stream_seed(seed, "dropout", layer),
            name=f"dropout_{number}",
        )(signal)
    return signal


def _dense(
    config: TrialConfig, seed: int, layer: int, signal: keras.KerasTensor
) -> keras.KerasTensor:
    fan_in = signal.shape[-1]
    constraint = (
        keras.constraints.MaxNorm(config.max_norm, axis=0) if config.max_norm > 0.0 else None
    )
    kernel = None
    if config.kernel_initializer == "sparse":
        kernel = sparse_kernel(seed, layer, (fan_in, config.width), config.kernel_sparsity)
        constraint = KeepZeros((kernel != 0.0).astype(np.float32), constraint)
    penalised = config.l1 > 0.0 or config.l2 > 0.0
    dense = keras.layers.Dense(
        config.width,
        kernel_initializer=kernel_initializer(config, seed, layer, fan_in),
        bias_initializer=bias_initializer(config),
        kernel_regularizer=keras.regularizers.L1L2(config.l1, config.l2) if penalised else None,
        kernel_constraint=constraint,
        name=f"hidden_{layer + 1}",
    )
    signal = dense(signal)
    if kernel is not None:
        dense.kernel.assign(kernel)
    return signal


def _batch_norm(config: TrialConfig, number: int) -> keras.layers.Layer:
    return keras.layers.BatchNormalization(
        momentum=config.batch_norm_momentum, name=f"batch_norm_{number}"
    )
