"""Small data on disk, and settings of TensorFlow for all tests of engines."""

import numpy as np
import pytest

from sweep.data import DataRef
from sweep.engines.device import configure_device

IMAGES, TRAIN, VALIDATION = 512, (0, 384), (384, 512)


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> DataRef:
    """Noise on ten base images: 384 to train on, 128 to validate."""
    directory = tmp_path_factory.mktemp("small-data")
    generator = np.random.default_rng(7)
    labels = generator.integers(0, 10, IMAGES)
    bases = generator.integers(0, 256, (10, 32, 32, 3))
    images = bases[labels] + generator.normal(0, 40, (IMAGES, 32, 32, 3))
    np.save(directory / "train_images.npy", images.clip(0, 255).astype(np.uint8))
    np.save(directory / "train_labels.npy", labels.astype(np.uint8))
    return DataRef(
        directory=directory,
        name="small",
        is_fallback=False,
        fingerprint="0" * 64,
        train=TRAIN,
        validation=VALIDATION,
        classes=10,
    )


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The settings that trials train with."""
    configure_device("cpu:0")
