"""Settings of what Keras runs on, for the one device of a worker."""

import logging

import keras

from sweep.errors import ExecutorError

logger = logging.getLogger(__name__)


def configure_device(device: str) -> None:
    """Prepare this process to train on one device; before anything else uses it.

    A CPU core gets one thread and sees no GPU. A GPU allocates memory as it needs it, and its
    operations are made deterministic; those of one CPU thread are so by nature. Where Keras runs
    on JAX, all of that but the choice of the device must be in the environment before JAX is
    loaded; the executor puts it there. Only the backend of Keras is loaded.

    Args:
        device: `cpu:N` or `gpu:N`. Which core or GPU that is, the process was told when it was
            started, by its CPU affinity or CUDA_VISIBLE_DEVICES.

    Raises:
        ExecutorError: The device is not there, or Keras runs on another backend.
    """
    kind = device.partition(":")[0]
    if kind not in ("cpu", "gpu"):
        raise ExecutorError("no such device", expected="cpu:N or gpu:N", received=device)
    match keras.backend.backend():
        case "tensorflow":
            _configure_tensorflow(device, on_gpu=kind == "gpu")
        case "jax":
            _configure_jax(device, on_gpu=kind == "gpu")
        case other:
            raise _wrong_backend("tensorflow or jax", other)


def require_tensorflow() -> None:
    """Make sure that Keras runs on TensorFlow.

    Raises:
        ExecutorError: It does not.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise _wrong_backend("tensorflow", backend)


def _wrong_backend(expected: str, received: str) -> ExecutorError:
    return ExecutorError(
        "Keras runs on a backend that the engine does not know",
        where="KERAS_BACKEND or keras.json",
        expected=expected,
        received=received,
        next_step="set the environment variable KERAS_BACKEND=tensorflow",
    )


def _configure_tensorflow(device: str, *, on_gpu: bool) -> None:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if on_gpu and not gpus:
        raise _no_gpu("TensorFlow", device, "the GPU libraries come with the extra `sweep[gpu]`")
    try:
        if on_gpu:
            tf.config.experimental.enable_op_determinism()
            for gpu in gpus:
                tf.config.experimental.set_memory_growth(gpu, True)
        else:
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
            tf.config.set_visible_devices([], "GPU")
    except RuntimeError as error:
        logger.warning("TensorFlow runs already and keeps its settings for %s: %s", device, error)


def _configure_jax(device: str, *, on_gpu: bool) -> None:
    import jax

    if on_gpu:
        try:
            jax.devices("gpu")
        except RuntimeError as error:
            hint = "the GPU libraries come with the extra `sweep[jax-gpu]`"
            raise _no_gpu("JAX", device, hint) from error
    else:
        jax.config.update("jax_platforms", "cpu")


def _no_gpu(backend: str, device: str, hint: str) -> ExecutorError:
    return ExecutorError(
        f"{backend} sees no GPU", where=device, next_step=f"run `sweep doctor`; {hint}"
    )
