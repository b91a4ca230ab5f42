"""What a trial draws for an epoch: the order of its images, their augmentation, dropout's keys.

All of it follows from the trial's seed and the number of the epoch, so every engine draws alike.

Notation:
    n       images of a split
    order   (n,) indices into the split: image `order[k]` is the k-th of the epoch
    flips   (n,) bool: whether the k-th image of the epoch is mirrored
    shifts  (n, 2): rows and columns by which the k-th image of the epoch moves down and right
"""

import numpy as np
import numpy.typing as npt

from sweep.trial import TrialConfig, stream_seed


def epoch_order(seed: int, epoch: int, images: int) -> npt.NDArray[np.int64]:
    """The order in which an epoch visits the training images.

    Args:
        seed: The trial's seed.
        epoch: Number of the epoch, from 1.
        images: Images of the training split.
    """
    return np.random.default_rng(stream_seed(seed, "shuffle", epoch)).permutation(images)


def draw_augmentation(
    config: TrialConfig, seed: int, epoch: int, images: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int32]]:
    """The flips and shifts of an epoch, one for each image in the order of the epoch.

    Args:
        config: Says whether images are flipped, and how far they are shifted at most.
        seed: The trial's seed.
        epoch: Number of the epoch, from 1.
        images: Images of the training split.

    Returns:
        flips (n,) and shifts (n, 2); without effect where `config` has none.
    """
    generator = np.random.default_rng(stream_seed(seed, "augment", epoch))
    flips = generator.random(images) < (0.5 if config.flip else 0.0)
    shifts = generator.integers(-config.shift, config.shift, (images, 2), np.int32, endpoint=True)
    return flips, shifts


def dropout_keys(seed: int, epoch: int, steps: int, layers: int) -> npt.NDArray[np.uint32]:
    """Keys of an epoch's dropout masks, for engines that make masks from keys.

    Args:
        seed: The trial's seed.
        epoch: Number of the epoch, from 1.
        steps: Training steps of an epoch.
        layers: Dropout layers of the network.

    Returns:
        (step, layer, 2) of 32 random bits each.
    """
    generator = np.random.default_rng(stream_seed(seed, "dropout", epoch))
    return generator.integers(0, 1 << 32, (steps, layers, 2), np.uint32)
