"""The weights that a trial starts from, without building its network."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from sweep.network.build import IMAGE_SHAPE
from sweep.network.initializers import (
    bias_initializer,
    kernel_initializer,
    output_initializer,
    sparse_kernel,
)
from sweep.trial import TrialConfig


def initial_weights(
    config: TrialConfig, *, seed: int, classes: int = 10
) -> list[npt.NDArray[np.float32]]:
    """What `build_network(config, ...).get_weights()` returns, in a hundredth of the time.

    Args:
        config: The trial's configuration.
        seed: The trial's seed.
        classes: Number of classes.
    """
    width = config.width
    ones, zeros = np.ones(width, np.float32), np.zeros(width, np.float32)
    batch_norm = [ones, zeros, zeros, ones]
    weights: list[npt.NDArray[np.float32]] = []
    fan_in = int(np.prod(IMAGE_SHAPE))
    for layer in range(config.depth):
        shape = (fan_in, width)
        if config.kernel_initializer == "sparse":
            weights.append(sparse_kernel(seed, layer, shape, config.kernel_sparsity))
        else:
            weights.append(_array(kernel_initializer(config, seed, layer, fan_in)(shape)))
        weights.append(_array(bias_initializer(config)((width,))))
        weights += batch_norm if config.batch_norm == "before" else []
        weights += [zeros] if config.activation == "prelu" else []
        weights += batch_norm if config.batch_norm == "after" else []
        fan_in = width
    output = output_initializer(config, seed, config.depth, fan_in)
    return [*weights, _array(output((fan_in, classes))), np.zeros(classes, np.float32)]


def _array(tensor: Any) -> npt.NDArray[np.float32]:
    return np.asarray(keras.ops.convert_to_numpy(tensor), np.float32)
