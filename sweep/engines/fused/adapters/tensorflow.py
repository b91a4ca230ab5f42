"""TensorFlow: `GradientTape`, and XLA through `tf.function`."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from sweep.engines.fused.adapters.base import Adapter, Tensor, Tree, remove_files

_CACHE_FLAG = re.compile(r"--tf_xla_persistent_cache_directory=(\S+)")


class TensorFlowAdapter(Adapter):
    """Keras's default backend."""

    def gradient(self, loss: Callable[[Tree], tuple[Tensor, Tree]], at: Tree) -> tuple[Tree, Tree]:
        """See `Adapter.gradient`."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(at)
            value, others = loss(at)
        return tape.gradient(value, at), others

    def pull_back(self, function: Callable[[Tree], Tensor], at: Tree, gradient: Tensor) -> Tree:
        """See `Adapter.pull_back`."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(at)
            result = function(at)
        return tape.gradient(result, at, output_gradients=gradient)

    def compiled(self, function: Callable[..., Tree]) -> Callable[..., Tree]:
        """See `Adapter.compiled`."""
        compiled: Callable[..., Tree] = tf.function(function, jit_compile=True, autograph=False)
        return compiled

    def to_device(self, tree: Tree) -> Tree:
        """See `Adapter.to_device`."""
        return tf.nest.map_structure(tf.constant, tree)

    def share(self, array: npt.NDArray[Any]) -> Tensor:
        """See `Adapter.share`."""
        if tf.config.get_visible_devices("GPU"):
            return tf.constant(array)
        with tf.device("CPU:0"):
            return tf.experimental.dlpack.from_dlpack(np.asarray(array).__dlpack__())

    def to_host(self, tree: Tree) -> Tree:
        """See `Adapter.to_host`."""
        return tf.nest.map_structure(lambda tensor: tensor.numpy(), tree)

    def is_out_of_memory(self, error: Exception) -> bool:
        """See `Adapter.is_out_of_memory`."""
        return isinstance(error, tf.errors.ResourceExhaustedError)

    def memory_bytes(self) -> int | None:
        """See `Adapter.memory_bytes`; TensorFlow does not tell what a GPU has."""
        return None

    def forget_programs(self) -> bool:
        """See `Adapter.forget_programs`."""
        match = _CACHE_FLAG.search(os.environ.get("TF_XLA_FLAGS", ""))
        return match is not None and remove_files(Path(match[1]))
