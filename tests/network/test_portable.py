"""Networks that are saved for use without `sweep`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from sweep.network import build_network, portable_network
from sweep.trial import TrialConfig

# Keras reads variables through numpy in a way that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

IMAGES = np.random.default_rng(4).integers(0, 256, (16, 32, 32, 3)).astype(np.uint8)
LABELS = np.arange(16) % 10
STATISTICS = (np.full(3, 0.4, np.float32), np.full(3, 0.2, np.float32))
EVERYTHING: dict[str, Any] = {
    "depth": 2, "width": 6, "activation": "prelu", "kernel_initializer": "sparse",
    "batch_norm": "before", "dropout": "alpha_dropout", "l1": 1e-4, "l2": 1e-4, "max_norm": 1.0,
    "schedule": "one_cycle", "label_smoothing": 0.1, "scaling": "channel", "clip_norm": 1.0,
}  # fmt: skip


def trained(config: TrialConfig) -> tuple[keras.Model, keras.Model]:
    model = build_network(config, seed=1, steps_per_epoch=2, statistics=STATISTICS)
    model.run_eagerly = True
    model.train_on_batch(IMAGES, LABELS)
    portable = portable_network(config, model.get_weights(), seed=1, statistics=STATISTICS)
    return model, portable


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "adamw", "nadam"])
def test_a_loaded_network_predicts_the_same(optimizer: str, tmp_path: Path) -> None:
    model, portable = trained(TrialConfig(**EVERYTHING, optimizer=optimizer))
    portable.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert np.array_equal(loaded(IMAGES), model(IMAGES))
    loaded.fit(IMAGES, LABELS, epochs=1, verbose=0)


PLAIN = """
import sys
sys.modules["sweep"] = None
import keras, numpy
model = keras.models.load_model(sys.argv[1])
images = numpy.load(sys.argv[2])
numpy.save(sys.argv[3], model.predict(images, verbose=0))
model.evaluate(images, numpy.zeros(len(images)), verbose=0)
"""


@pytest.mark.slow
def test_plain_keras_loads_it_without_sweep(tmp_path: Path) -> None:
    model, portable = trained(TrialConfig(**EVERYTHING))
    portable.save(tmp_path / "network.keras")
    np.save(tmp_path / "images.npy", IMAGES)
    files = [str(tmp_path / name) for name in ("network.keras", "images.npy", "out.npy")]
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", PLAIN, *files], check=True)
    predicted = np.load(files[2])
    np.testing.assert_allclose(predicted, model.predict(IMAGES, verbose=0), rtol=1e-5)
