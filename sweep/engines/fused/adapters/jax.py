"""JAX: `jax.grad` and `jax.jit`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from sweep.engines.fused.adapters.base import Adapter, Tensor, Tree, remove_files

_SHARE = 0.8


class JaxAdapter(Adapter):
    """For GPUs without TensorFlow's CUDA libraries, among others."""

    def gradient(self, loss: Callable[[Tree], tuple[Tensor, Tree]], at: Tree) -> tuple[Tree, Tree]:
        """See `Adapter.gradient`."""
        gradient, others = jax.grad(loss, has_aux=True)(at)
        return gradient, others

    def pull_back(self, function: Callable[[Tree], Tensor], at: Tree, gradient: Tensor) -> Tree:
        """See `Adapter.pull_back`."""
        _, pull_back = jax.vjp(function, at)
        return pull_back(gradient)[0]

    def compiled(self, function: Callable[..., Tree]) -> Callable[..., Tree]:
        """See `Adapter.compiled`."""
        compiled: Callable[..., Tree] = jax.jit(function)
        return compiled

    def to_device(self, tree: Tree) -> Tree:
        """See `Adapter.to_device`."""
        return jax.device_put(tree)

    def share(self, array: npt.NDArray[Any]) -> Tensor:
        """See `Adapter.share`."""
        return jax.device_put(np.asarray(array))

    def to_host(self, tree: Tree) -> Tree:
        """See `Adapter.to_host`."""
        return jax.tree.map(np.asarray, tree)

    def is_out_of_memory(self, error: Exception) -> bool:
        """See `Adapter.is_out_of_memory`."""
        return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)

    def memory_bytes(self) -> int | None:
        """See `Adapter.memory_bytes`."""
        statistics = jax.devices()[0].memory_stats() or {}
        limit = statistics.get("bytes_limit")
        return None if limit is None else int(limit * _SHARE)

    def forget_programs(self) -> bool:
        """See `Adapter.forget_programs`."""
        directory = jax.config.jax_compilation_cache_dir
        return directory is not None and remove_files(Path(directory))
