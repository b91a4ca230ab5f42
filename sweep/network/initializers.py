"""How a layer's weights start, and what holds them during training.

Every layer draws from its own stream of the trial's seed, so a kernel depends on the seed, the
layer's index, its shape and the initializer alone.
"""

import math
from collections.abc import Callable, Mapping

import keras
import numpy as np
import numpy.typing as npt

from sweep.trial import TrialConfig, stream_seed

KERAS_INITIALIZERS: Mapping[str, Callable[..., keras.Initializer]] = {
    "glorot_normal": keras.initializers.GlorotNormal,
    "glorot_uniform": keras.initializers.GlorotUniform,
    "he_normal": keras.initializers.HeNormal,
    "he_uniform": keras.initializers.HeUniform,
    "lecun_normal": keras.initializers.LecunNormal,
    "lecun_uniform": keras.initializers.LecunUniform,
    "orthogonal": keras.initializers.Orthogonal,
}


def kernel_initializer(
    config: TrialConfig, seed: int, layer: int, fan_in: int
) -> keras.Initializer:
    """The initializer of one hidden kernel.

    `constant` takes one value from He's normal distribution, of standard deviation
    sqrt(2 / fan_in), for all weights of the layer. The kernel of a `sparse` layer is not drawn
    here but by `sparse_kernel`, which `build_network` puts in its place.

    Args:
        config: The trial's configuration.
        seed: The trial's seed.
        layer: Index of the layer, from 0.
        fan_in: Number of inputs of each unit.
    """
    layer_seed = stream_seed(seed, "weights", layer)
    match config.kernel_initializer:
        case "random_normal":
            return keras.initializers.RandomNormal(stddev=config.kernel_stddev, seed=layer_seed)
        case "constant":
            deviation = math.sqrt(2.0 / fan_in)
            return keras.initializers.Constant(
                float(np.random.default_rng(layer_seed).normal(0.0, deviation))
            )
        case "sparse":
            return keras.initializers.Zeros()
        case name:
            return KERAS_INITIALIZERS[name](seed=layer_seed)


def output_initializer(
    config: TrialConfig, seed: int, layer: int, fan_in: int
) -> keras.Initializer:
    """The initializer of the output kernel: Keras's default, Glorot's uniform distribution.

    `constant` alone covers the output layer too: a random output kernel would send different
    gradients to the units of the last hidden layer and so break the symmetry that it is about.
    """
    if config.kernel_initializer == "constant":
        return kernel_initializer(config, seed, layer, fan_in)
    return keras.initializers.GlorotUniform(seed=stream_seed(seed, "weights", layer))


def bias_initializer(config: TrialConfig) -> keras.Initializer:
    """The initializer of the hidden biases; the output's start at zero, as always in Keras."""
    if config.bias_initializer == "constant":
        return keras.initializers.Constant(config.bias_value)
    return keras.initializers.Zeros()


def sparse_kernel(
    seed: int, layer: int, shape: tuple[int, int], sparsity: float
) -> npt.NDArray[np.float32]:
    """A kernel in which every unit has the same number of incoming weights that are not zero.

    These are drawn from He's normal distribution for the inputs that are left: its standard
    deviation is sqrt(2 / kept inputs), so that signals neither fade nor grow for their being few.

    Args:
        seed: The trial's seed.
        layer: Index of the layer, from 0.
        shape: Inputs and units.
        sparsity: Share of weights that are zero; at least one input of each unit is kept.

    Returns:
        Array of `shape`, (input, unit).
    """
    fan_in, units = shape
    kept = max(1, round((1.0 - sparsity) * fan_in))
    generator = np.random.default_rng(stream_seed(seed, "weights", layer))
    order = generator.permuted(np.tile(np.arange(fan_in), (units, 1)), axis=1)
    values = generator.normal(0.0, math.sqrt(2.0 / kept), size=(units, kept))
    kernel = np.zeros((units, fan_in), np.float32)
    np.put_along_axis(kernel, order[:, :kept], values.astype(np.float32), axis=1)
    return np.ascontiguousarray(kernel.T)


class KeepZeros(keras.constraints.Constraint):  # type: ignore[misc]  # Keras has no types
    """Constraint that keeps the zeros of a sparse kernel at zero, then applies another one."""

    def __init__(
        self, mask: npt.NDArray[np.float32], then: keras.constraints.Constraint | None
    ) -> None:
        """Remember which weights may differ from zero.

        Args:
            mask: 1 where a weight may differ from zero, else 0; (input, unit).
            then: Constraint that holds besides.
        """
        self._mask = mask
        self._then = then

    def __call__(self, weights: keras.KerasTensor) -> keras.KerasTensor:
        """The nearest weights that satisfy both constraints."""
        masked = weights * keras.ops.convert_to_tensor(self._mask)
        return masked if self._then is None else self._then(masked)
