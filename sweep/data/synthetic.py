"""Images made by a seed, for machines that cannot have CIFAR-10.

An image is a mixture of a few smooth waves of colour, plus noise. The strengths of the waves are
those of one of `CLUSTERS` centres, with jitter, and each class owns several centres spread among
the others': no plane separates the classes, and because of the jitter nothing separates them
wholly. A linear classifier gets some way, a good deep network far, a bad one nowhere.

    symbol     meaning                               shape
    waves      the patterns, whole numbers           (wave, row, column, channel)
    centres    strength of each wave in a cluster    (cluster, wave)
    strengths  the same of each image, with jitter   (image, wave)

Everything is whole numbers from the generator's raw bits, so that every machine and every version
of numpy makes the same images: the float32 products below stay under 2^24 and are exact.
"""

import math

import numpy as np
from numpy.typing import NDArray

from sweep.data.arrays import IMAGE_SHAPE, Arrays, Images, Labels

VERSION = 1
SEED = 20
CLASSES = 10
CLUSTERS = 30
WAVES = 6
TRAIN_IMAGES = 12_500
TEST_IMAGES = 2_500
CHUNK_IMAGES = 500

# How far the strengths of an image stray from its centre's, which are uniform from -128 to 127;
# how much noise a pixel has; how bright a wave is. The sum of two bytes times JITTER / 128 is
# added to a strength (standard deviation 0.8 JITTER), times NOISE / 128 to a pixel (0.8 NOISE).
JITTER = 36
NOISE = 24
BRIGHTNESS = 44


def make(train_images: int = TRAIN_IMAGES, test_images: int = TEST_IMAGES) -> Arrays:
    """Make the data set; the same for everyone.

    Args:
        train_images: Images in the training archive.
        test_images: Images in the test set.
    """
    bits = np.random.PCG64(SEED)
    waves = _waves(bits)
    centres = _bytes(bits, CLUSTERS, WAVES) - 128
    train = _images(bits, waves, centres, train_images)
    return Arrays(train, _images(bits, waves, centres, test_images), CLASSES)


def _bytes(bits: np.random.PCG64, *shape: int) -> NDArray[np.int16]:
    """Uniform numbers from 0 to 255."""
    size = math.prod(shape)
    words = np.asarray(bits.random_raw(-(-size // 8)), "<u8")
    return words.view(np.uint8)[:size].reshape(shape).astype(np.int16)


def _bell(bits: np.random.PCG64, *shape: int) -> NDArray[np.int16]:
    """Numbers around 0 with the triangular distribution of the sum of two bytes."""
    return _bytes(bits, *shape) + _bytes(bits, *shape) - 255


def _waves(bits: np.random.PCG64) -> NDArray[np.float32]:
    """Waves with up to two periods across the image, another one in each channel."""
    sine = np.array([round(127 * math.sin(math.tau * i / 256)) for i in range(256)], np.float32)
    rows, columns, channels = IMAGE_SHAPE
    row = np.arange(rows).reshape(-1, 1, 1)
    column = np.arange(columns).reshape(1, -1, 1)
    drawn = _bytes(bits, WAVES, 3, 1, 1, channels)
    across, down, phase = drawn[:, 0] % 33 - 16, drawn[:, 1] % 33 - 16, drawn[:, 2]
    waves: NDArray[np.float32] = sine[(across * column + down * row + phase) % 256]
    return waves


def _images(
    bits: np.random.PCG64, waves: NDArray[np.float32], centres: NDArray[np.int16], count: int
) -> tuple[Images, Labels]:
    # Two bytes a draw keep the clusters equally likely to one in two thousand.
    high, low = _bytes(bits, 2, count).astype(np.int32)
    clusters = (256 * high + low) % CLUSTERS
    strengths = centres[clusters] + (_bell(bits, count, WAVES) * JITTER >> 7)
    images = np.empty((count, *IMAGE_SHAPE), np.uint8)
    for start in range(0, count, CHUNK_IMAGES):
        chunk = strengths[start : start + CHUNK_IMAGES].astype(np.float32)
        mixed = np.tensordot(chunk, waves, axes=1).astype(np.int32)
        noise = _bell(bits, *mixed.shape) * NOISE >> 7
        pixels = 128 + (mixed * BRIGHTNESS >> 14) + noise
        images[start : start + CHUNK_IMAGES] = np.clip(pixels, 0, 255)
    return images, (clusters % CLASSES).astype(np.uint8)
