"""A trained network on the test split."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sweep.data import DataRef, open_split

BATCH_SIZE = 1000
SMALLEST_PROBABILITY = 1e-7


@dataclass(frozen=True, slots=True)
class TestFigures:
    """How well a network does on images that took no part in its making.

    Attributes:
        loss: Mean cross-entropy, without label smoothing and penalties.
        accuracy: Share of images classified right.
        images: Number of images.
    """

    __test__ = False  # no test of pytest's

    loss: float
    accuracy: float
    images: int


def has_test_split(data: DataRef) -> bool:
    """Whether the data has a test split."""
    return (data.directory / "test_images.npy").exists()


def evaluate(model: Path, data: DataRef) -> TestFigures:
    """Load a `.keras` file and evaluate it on the test split, in this process.

    Args:
        model: The file; it takes raw pixels.
        data: The images.

    Raises:
        DataError: There is no test split, or its files are damaged.
    """
    test = open_split(data, "test")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    network = keras.models.load_model(model, compile=False)
    probabilities = network.predict(test.images, batch_size=BATCH_SIZE, verbose=0)
    of_label = probabilities[np.arange(len(test)), test.labels].astype(np.float64)
    return TestFigures(
        loss=float(-np.log(np.maximum(of_label, SMALLEST_PROBABILITY)).mean()),
        accuracy=float((probabilities.argmax(axis=1) == test.labels).mean()),
        images=len(test),
    )
