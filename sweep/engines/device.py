"""Settings of TensorFlow for the one device of a worker."""

import logging

import keras
import tensorflow as tf

from sweep.errors import ExecutorError

logger = logging.getLogger(__name__)


def configure_device(device: str) -> None:
    """Prepare this process to train on one device; before anything else uses TensorFlow.

    A CPU core gets one thread and sees no GPU. A GPU allocates memory as it needs it, and its
    operations are made deterministic; those of one CPU thread are so by nature.

    Args:
        device: `cpu:N` or `gpu:N`. Which core or GPU that is, the process was told when it was
            started, by its CPU affinity or CUDA_VISIBLE_DEVICES.

    Raises:
        ExecutorError: The device is not there, or Keras does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ExecutorError(
            "the reference engine trains with Keras on TensorFlow",
            where="KERAS_BACKEND or keras.json",
            expected="tensorflow",
            received=keras.backend.backend(),
            next_step="set the environment variable KERAS_BACKEND=tensorflow",
        )
    kind = device.partition(":")[0]
    if kind not in ("cpu", "gpu"):
        raise ExecutorError("no such device", expected="cpu:N or gpu:N", received=device)
    gpus = tf.config.list_physical_devices("GPU")
    if kind == "gpu" and not gpus:
        raise ExecutorError(
            "TensorFlow sees no GPU",
            where=device,
            next_step="run `sweep doctor`; the GPU libraries come with the extra `sweep[gpu]`",
        )
    try:
        if kind == "gpu":
            tf.config.experimental.enable_op_determinism()
            for gpu in gpus:
                tf.config.experimental.set_memory_growth(gpu, True)
        else:
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
            tf.config.set_visible_devices([], "GPU")
    except RuntimeError as error:
        logger.warning("TensorFlow runs already and keeps its settings for %s: %s", device, error)
