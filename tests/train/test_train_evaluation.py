"""A network on the test split."""

from pathlib import Path

import keras
import numpy as np
import pytest
from scripted_executor import untested_data

from sweep.data import DataRef
from sweep.errors import SweepError
from sweep.train.evaluation import evaluate, figures_of, has_test_split


@pytest.fixture
def data(tmp_path: Path) -> DataRef:
    """Four black test images of class 0, 1, 1 and 9."""
    np.save(tmp_path / "test_images.npy", np.zeros((4, 32, 32, 3), np.uint8))
    np.save(tmp_path / "test_labels.npy", np.array([0, 1, 1, 9], np.uint8))
    return untested_data(tmp_path)


# Keras reads a variable's values through NumPy 1's protocol when it saves them.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_figures_are_those_of_the_probabilities(data: DataRef, tmp_path: Path) -> None:
    probabilities = np.array([0.2, 0.5, 0.3, 0, 0, 0, 0, 0, 0, 0], np.float32)
    image = keras.Input((32, 32, 3))
    flat = keras.layers.Flatten()(image)
    bias = keras.initializers.Constant(np.log(np.maximum(probabilities, 1e-30)))
    out = keras.layers.Dense(
        10, activation="softmax", kernel_initializer="zeros", bias_initializer=bias
    )(flat)
    keras.Model(image, out).save(tmp_path / "model.keras")
    figures = figures_of(tmp_path / "model.keras", data)
    assert figures.images == 4
    assert figures.accuracy == 0.5
    expected = -np.log([0.2, 0.5, 0.5, 1e-7]).mean()
    assert figures.loss == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_a_network_that_cannot_be_loaded_is_an_error_with_the_log(
    data: DataRef, tmp_path: Path
) -> None:
    (tmp_path / "broken.keras").write_bytes(b"no zip")
    with pytest.raises(SweepError, match="could not be evaluated") as caught:
        evaluate(tmp_path / "broken.keras", data, "tensorflow", tmp_path / "logs" / "test.log")
    assert "ValueError" in str(caught.value.received)


def test_data_without_test_images_is_known(tmp_path: Path) -> None:
    assert not has_test_split(untested_data(tmp_path))
