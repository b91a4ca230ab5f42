"""What `keras.ops` lacks, for each backend: gradient, compilation, memory of the device."""

import keras

from sweep.engines.fused.adapters.base import Adapter
from sweep.errors import ExecutorError

__all__ = ["Adapter", "make_adapter"]


def make_adapter() -> Adapter:
    """The adapter of the backend that Keras runs on in this process.

    Raises:
        ExecutorError: The fused engine does not support that backend.
    """
    match keras.backend.backend():
        case "tensorflow":
            from sweep.engines.fused.adapters.tensorflow import TensorFlowAdapter

            return TensorFlowAdapter()
        case "jax":
            from sweep.engines.fused.adapters.jax import JaxAdapter

            return JaxAdapter()
        case other:
            raise ExecutorError(
                "the fused engine has no adapter for Keras's backend",
                where="KERAS_BACKEND or keras.json",
                expected="tensorflow or jax",
                received=other,
                next_step="set the environment variable KERAS_BACKEND=tensorflow",
            )
