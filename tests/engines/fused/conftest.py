"""Double precision, a handful of images, and engines that keep what they have compiled."""

from collections.abc import Iterator

import keras
import numpy as np
import pytest
from keras_fit import EngineOf

from sweep.data import DataRef
from sweep.engines.fused.engine import FusedEngine

TRAIN, VALIDATION = (0, 50), (50, 80)


@pytest.fixture(scope="session")
def few_images(tmp_path_factory: pytest.TempPathFactory) -> DataRef:
    """Noise: 50 images to train on, 30 to validate. Batches of 32 leave a last one of 18."""
    directory = tmp_path_factory.mktemp("few-images")
    generator = np.random.default_rng(3)
    images = generator.integers(0, 256, (VALIDATION[1], 32, 32, 3), np.uint8)
    np.save(directory / "train_images.npy", images)
    np.save(directory / "train_labels.npy", generator.integers(0, 10, len(images), np.uint8))
    return DataRef(directory, "few", False, "0" * 64, TRAIN, VALIDATION, classes=10)


@pytest.fixture(scope="module")
def double_precision() -> Iterator[None]:
    """Everything that Keras makes has 64 bits."""
    before, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    # Keras makes its policy from the former once and for all.
    keras.config.set_dtype_policy("float64")
    on_jax = keras.backend.backend() == "jax"
    if on_jax:
        import jax

        jax.config.update("jax_enable_x64", True)
    yield
    keras.config.set_floatx(before)
    keras.config.set_dtype_policy(policy)
    if on_jax:
        jax.config.update("jax_enable_x64", False)


@pytest.fixture(scope="module")
def double_engine(few_images: DataRef, double_precision: None) -> EngineOf:
    """Engines of a capacity, in double precision; each is made once."""
    made: dict[int, FusedEngine] = {}

    def engine_of(capacity: int) -> FusedEngine:
        if capacity not in made:
            made[capacity] = FusedEngine(few_images, "cpu:0", capacity=capacity, dtype="float64")
        return made[capacity]

    return engine_of


@pytest.fixture(scope="module")
def plain_engine(few_images: DataRef, double_precision: None) -> EngineOf:
    """The same, but their programs run as they are written, without being compiled."""
    made: dict[int, FusedEngine] = {}

    def engine_of(capacity: int) -> FusedEngine:
        if capacity not in made:
            engine = FusedEngine(few_images, "cpu:0", capacity=capacity, dtype="float64")
            engine._adapter.compiled = lambda function: function  # type: ignore[method-assign]
            made[capacity] = engine
        return made[capacity]

    return engine_of
