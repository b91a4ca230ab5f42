"""Activation layers of the hidden layers, by name."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from sweep.trial import TrialConfig

LayerFactory = Callable[[TrialConfig, str], keras.layers.Layer]


def _function(function: Callable[[Any], Any]) -> LayerFactory:
    return lambda config, name: keras.layers.Activation(function, name=name)


ACTIVATION_LAYERS: Mapping[str, LayerFactory] = {
    "relu": _function(keras.activations.relu),
    "leaky_relu": lambda config, name: keras.layers.LeakyReLU(config.leaky_relu_slope, name=name),
    "prelu": lambda config, name: keras.layers.PReLU(name=name),
    "elu": _function(keras.activations.elu),
    "selu": _function(keras.activations.selu),
    "swish": _function(keras.activations.silu),
    "gelu": _function(keras.activations.gelu),
    "mish": _function(keras.activations.mish),
    "softplus": _function(keras.activations.softplus),
    "tanh": _function(keras.activations.tanh),
    "sigmoid": _function(keras.activations.sigmoid),
}
