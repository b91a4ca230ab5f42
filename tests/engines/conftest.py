"""Small data on disk, and every engine on it."""

from collections.abc import Iterator

import numpy as np
import pytest

from sweep.data import DataRef
from sweep.engines import Engine, make_engine

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


@pytest.fixture(params=["reference"])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Name of each engine in turn."""
    return str(request.param)


@pytest.fixture
def engine(engine_name: str, small_data: DataRef) -> Iterator[Engine]:
    """An empty engine."""
    made = make_engine(engine_name, small_data, "cpu:0")
    yield made
    made.abandon()
