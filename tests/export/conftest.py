"""A few images that anything can be learned from."""

from pathlib import Path

import numpy as np
import pytest

from sweep.data import DataRef, prepare
from sweep.spec.model import DataSpec


@pytest.fixture(scope="session")
def npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 200 training and 50 test images of ten classes."""
    generator = np.random.default_rng(11)
    bases = generator.integers(0, 256, (10, 32, 32, 3))
    arrays = {}
    for part, count in (("train", 200), ("test", 50)):
        labels = generator.integers(0, 10, count).astype(np.uint8)
        noise = generator.normal(0, 60, (count, 32, 32, 3))
        arrays[f"x_{part}"] = (bases[labels] + noise).clip(0, 255).astype(np.uint8)
        arrays[f"y_{part}"] = labels
    path = tmp_path_factory.mktemp("images") / "images.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="session")
def ref(npz: Path, tmp_path_factory: pytest.TempPathFactory) -> DataRef:
    """The same, prepared: 160 images to train on, 40 to validate."""
    cache = tmp_path_factory.mktemp("cache")
    spec = DataSpec(name=str(npz))
    return prepare(spec, data_dir=None, cache_dir=cache, progress=lambda text: None)
