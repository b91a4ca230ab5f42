"""What Keras runs on in the workers: whether it is there, and the variables that it needs."""

from collections.abc import Mapping
from typing import Final

from sweep.errors import UsageError
from sweep.spec.advice import missing_backend

_DETERMINISM: Final = "--xla_gpu_deterministic_ops=true"


def check_backend(backend: str) -> None:
    """Make sure that a backend is installed; it is not loaded.

    Raises:
        UsageError: It is not.
    """
    command = missing_backend(backend)
    if command is not None:
        raise UsageError(
            f"the backend {backend} is not installed",
            where="backend",
            next_step=f"{command}, or choose another backend",
        )


def backend_environment(
    backend: str, *, on_gpu: bool, inherited: Mapping[str, str]
) -> dict[str, str]:
    """Variables that must be set before a worker loads Keras.

    They overrule the user's `KERAS_BACKEND` and `keras.json`: the study file decides. On a GPU,
    memory is taken as it is needed, since workers may share the device, and the same program gives
    the same figures every time. TensorFlow is told the latter by `configure_device`.

    Args:
        backend: `tensorflow` or `jax`.
        on_gpu: Whether the worker has a GPU; otherwise it must find none.
        inherited: The environment that these are added to.
    """
    variables = {"KERAS_BACKEND": backend}
    if backend == "tensorflow":
        return variables | ({"TF_FORCE_GPU_ALLOW_GROWTH": "true"} if on_gpu else {})
    if not on_gpu:
        return variables | {"JAX_PLATFORMS": "cpu"}
    return variables | {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "XLA_FLAGS": f"{inherited.get('XLA_FLAGS', '')} {_DETERMINISM}".strip(),
    }
