"""Batches of images from memory-mapped files."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from sweep.data import Split
from sweep.engines.draws import draw_augmentation, epoch_order
from sweep.trial import TrialConfig

VALIDATION_BATCH = 1000


@dataclass(frozen=True, slots=True)
class ImageTensors:
    """A split as tensors that read the memory-mapped file itself.

    Attributes:
        images: (image, row, column, channel) uint8.
        labels: (image,) int32.
    """

    images: tf.Tensor
    labels: tf.Tensor

    @classmethod
    def from_split(cls, split: Split) -> "ImageTensors":
        """Wrap a split; its images are not copied."""
        with tf.device("CPU:0"):
            images = tf.experimental.dlpack.from_dlpack(np.asarray(split.images).__dlpack__())
            return cls(images, tf.constant(split.labels.astype(np.int32)))

    def __len__(self) -> int:
        """Number of images."""
        return int(self.labels.shape[0])


def augment(images: tf.Tensor, flips: tf.Tensor, shifts: tf.Tensor, limit: int) -> tf.Tensor:
    """Mirror, then move each image; what moves in from outside is black.

    Args:
        images: (image, row, column, channel).
        flips: (image,) bool.
        shifts: (image, 2): rows down, columns right, each between -limit and limit.
        limit: Largest shift in pixels; 0 for none.
    """
    images = tf.where(flips[:, None, None, None], tf.reverse(images, axis=[2]), images)
    if limit == 0:
        return images
    height, width = images.shape[1:3]
    padded = tf.pad(images, [[0, 0], [limit, limit], [limit, limit], [0, 0]])
    rows = tf.range(height)[None, :] + limit - shifts[:, :1]
    columns = tf.range(width)[None, :] + limit - shifts[:, 1:]
    return tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def training_batches(
    data: ImageTensors, config: TrialConfig, seed: int, epoch: int
) -> tf.data.Dataset:
    """The batches of one epoch: all training images once, the last batch what is left over.

    Args:
        data: The training split.
        config: Batch size and augmentation.
        seed: The trial's seed, which the order and the augmentation follow from.
        epoch: Number of the epoch, from 1.
    """
    order = epoch_order(seed, epoch, len(data))
    columns: tuple[Any, ...] = (order,)
    if config.flip or config.shift > 0:
        columns += draw_augmentation(config, seed, epoch, len(data))

    def load(indices: tf.Tensor, *draws: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.gather(data.images, indices)
        if draws:
            images = augment(images, draws[0], draws[1], config.shift)
        return images, tf.gather(data.labels, indices)

    return _on_one_thread(
        tf.data.Dataset.from_tensor_slices(columns).batch(config.batch_size).map(load)
    )


def validation_batches(data: ImageTensors) -> tf.data.Dataset:
    """The images of a split in order, in batches as large as speed wants them."""

    def load(start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        window = slice(start, start + VALIDATION_BATCH)
        return data.images[window], data.labels[window]

    return _on_one_thread(tf.data.Dataset.range(0, len(data), VALIDATION_BATCH).map(load))


def _on_one_thread(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Let the pipeline use one thread and prepare one batch ahead."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    options.deterministic = True
    return batches.prefetch(1).with_options(options)
