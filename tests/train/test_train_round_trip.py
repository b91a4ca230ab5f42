"""The whole way: a study, its best trial exported, trained again to the same figures."""

from pathlib import Path

import keras
import numpy as np
import pytest

from sweep.data import open_split, prepare
from sweep.driver.progress import Progress
from sweep.driver.run import run_study
from sweep.driver.stop import StopFlag
from sweep.executors.process import ProcessExecutor
from sweep.export import export_trials
from sweep.spec import parse_study
from sweep.spec.config_file import load_trial_file
from sweep.store import Store
from sweep.train import train_trial_file

STUDY = """
study: round-trip
data: {{name: {npz}}}
fixed:
  depth: 3
  width: 20
  epochs: 4
  batch_size: 32
  dropout: dropout
  batch_norm: before
  scaling: feature
  flip: true
  shift: 2
  early_stopping: val_loss
search:
  activation: [relu, selu]
  learning_rate: {{low: 1.0e-3, high: 1.0e-2, log: true}}
budget: {{trials: 2}}
keep_weights: 1
engine: {engine}
backend: {backend}
"""


class Silent:
    def update(self, progress: Progress) -> None:
        pass

    def message(self, text: str) -> None:
        pass


def write_images(path: Path) -> None:
    generator = np.random.default_rng(11)
    bases = generator.integers(0, 256, (10, 32, 32, 3))
    arrays = {}
    for part, count in (("train", 400), ("test", 100)):
        labels = generator.integers(0, 10, count).astype(np.uint8)
        noise = generator.normal(0, 90, (count, 32, 32, 3))
        arrays[f"x_{part}"] = (bases[labels] + noise).clip(0, 255).astype(np.uint8)
        arrays[f"y_{part}"] = labels
    np.savez(path, **arrays)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "backend"),
    [("reference", "tensorflow"), ("fused", "tensorflow"), ("fused", "jax")],
)
def test_an_exported_trial_trains_again_to_the_same_figures(
    tmp_path: Path, engine: str, backend: str
) -> None:
    write_images(tmp_path / "images.npz")
    text = STUDY.format(npz=tmp_path / "images.npz", engine=engine, backend=backend)
    spec = parse_study(text)
    data = prepare(
        spec.data, data_dir=None, cache_dir=tmp_path / "cache", progress=lambda text: None
    )
    with Store.open(f"sqlite:///{tmp_path / 'sweep.db'}") as store:
        run_study(
            spec,
            store=store,
            executor=ProcessExecutor(
                engine, data, backend=backend, workers=1, log_dir=tmp_path / "logs"
            ),
            data=data,
            watcher=Silent(),
            artifacts=tmp_path / "artifacts",
            stop=StopFlag(),
        )
        ((number, config),) = export_trials(store, "round-trip", output=tmp_path / "best.yaml")
        ((_, network),) = export_trials(
            store, "round-trip", format="keras", output=tmp_path / "best.keras"
        )
        row = next(row for row in store.trial_rows("round-trip") if row["number"] == number)
        curve = store.epoch_rows("round-trip", number)

    file = load_trial_file(config)
    trained = train_trial_file(
        file, data=data, output=tmp_path / "out", on_epoch=lambda report: None
    )
    assert (file.engine, file.backend) == (engine, backend)
    assert row["engine"] == trained.result.engine == engine

    for metric in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
        again = [getattr(report, metric) for report in trained.reports]
        assert again == [epoch[metric] for epoch in curve], metric
    assert trained.comparison is not None
    assert trained.comparison.is_exact, trained.comparison.message
    assert trained.result.kept_epoch == row["kept_epoch"]
    assert trained.test is not None
    assert trained.test.images == 100

    exported = keras.models.load_model(network, compile=False)
    written = keras.models.load_model(trained.result.weights, compile=False)
    for one, other in zip(exported.get_weights(), written.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    validation = open_split(data, "validation")
    probabilities = exported.predict(validation.images, verbose=0)
    accuracy = float((probabilities.argmax(axis=1) == validation.labels).mean())
    assert accuracy == pytest.approx(row["values"][0], abs=1e-6)

    if (engine, backend) == ("fused", "tensorflow"):
        other = train_trial_file(
            load_trial_file(config, ["engine=reference"]),
            data=data,
            output=tmp_path / "reference",
            on_epoch=lambda report: None,
        )
        assert other.result.engine == "reference"
        assert other.comparison is not None
        assert other.comparison.is_exact is False
        assert "the trial trained with fused, this with reference" in other.comparison.message
        # The masks of dropout are others; the network is the same.
        assert other.comparison.differences["val_accuracy"] < 0.3
