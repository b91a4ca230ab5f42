"""The reference engine is plain Keras `fit`, with everything that `fit` leaves to chance fixed."""

import gc
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from engine_contract import KERAS_READS_VARIABLES, EngineContract, figures, task, train

from sweep.data import DataRef, open_split
from sweep.data import statistics as split_statistics
from sweep.engines import make_engine
from sweep.engines.draws import epoch_order
from sweep.engines.reference import ReferenceEngine
from sweep.errors import TrialError
from sweep.network import build_network
from sweep.trial import EpochReport, StopReason, TrialTask

STEPS = 8  # 384 images in batches of 50: the last batch holds 34


class TestReferenceEngine(EngineContract):
    """The contract."""

    engine_name = "reference"


@pytest.fixture
def reference(small_data: DataRef) -> ReferenceEngine:
    return ReferenceEngine(small_data, "cpu:0")


def plain_keras(
    trial: TrialTask, data: DataRef, callbacks: list[Any] | None = None
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train as a user of Keras would, in the engine's order: arrays, `fit`, callbacks."""
    train_split, validation = open_split(data, "train"), open_split(data, "validation")
    model = build_network(trial.config, seed=trial.seed, steps_per_epoch=STEPS)
    callbacks = keras.callbacks.CallbackList(callbacks or [], model=model)
    callbacks.on_train_begin()
    history: dict[str, list[float]] = {}
    for epoch in range(trial.config.epochs):
        order = epoch_order(trial.seed, epoch + 1, len(train_split))
        logs = model.fit(
            train_split.images[order],
            train_split.labels[order],
            batch_size=trial.config.batch_size,
            shuffle=False,
            validation_data=(validation.images, validation.labels),
            validation_batch_size=1000,
            verbose=0,
        ).history
        for name, values in logs.items():
            history.setdefault(name, []).extend(values)
        model.stop_training = False
        callbacks.on_epoch_end(epoch, {name: values[-1] for name, values in logs.items()})
        if model.stop_training:
            break
    callbacks.on_train_end()
    return model, history


def curves(reports: list[EpochReport]) -> dict[str, list[float]]:
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    return {name: [getattr(report, name) for report in reports] for name in names}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dropout": "dropout", "batch_norm": "before", "optimizer": "nadam", "l2": 1e-3},
        {"schedule": "one_cycle", "optimizer": "sgd", "momentum": 0.9, "label_smoothing": 0.1},
    ],
    ids=["plain", "dropout and batch norm", "1cycle"],
)
def test_epochs_equal_plain_keras_exactly(
    reference: ReferenceEngine, small_data: DataRef, changes: dict[str, Any]
) -> None:
    trial = task(**changes)
    model, history = plain_keras(trial, small_data)
    reports = train(reference, trial)
    assert curves(reports) == history
    slot = reference._slot
    assert slot is not None
    pairs = zip(slot.kept_weights, model.get_weights(), strict=True)
    assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)


@pytest.mark.parametrize(("monitor", "restore"), [("val_loss", True), ("val_accuracy", False)])
def test_early_stopping_equals_keras_s(
    reference: ReferenceEngine, small_data: DataRef, monitor: str, restore: bool
) -> None:
    trial = task(
        epochs=30, early_stopping=monitor, patience=2, restore_best_weights=restore,
        learning_rate=0.02,
    )  # fmt: skip
    callback = keras.callbacks.EarlyStopping(monitor, patience=2, restore_best_weights=restore)
    model, history = plain_keras(trial, small_data, [callback])
    reports = train(reference, trial)
    assert curves(reports) == history
    assert reports[-1].finished == StopReason.EARLY_STOPPING
    slot = reference._slot
    assert slot is not None
    assert slot.course.kept_epoch == (callback.best_epoch + 1 if restore else len(reports))
    pairs = zip(slot.kept_weights, model.get_weights(), strict=True)
    assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)


@KERAS_READS_VARIABLES
def test_plateau_equals_keras_s(reference: ReferenceEngine, small_data: DataRef) -> None:
    trial = task(
        epochs=8, schedule="plateau", plateau_factor=0.3, plateau_patience=1, learning_rate=0.05
    )
    callback = keras.callbacks.ReduceLROnPlateau(factor=0.3, patience=1)
    _, history = plain_keras(trial, small_data, [callback])
    reports = train(reference, trial)
    assert curves(reports) == history
    assert reports[-1].learning_rate < 0.05


def test_reports_the_rate_of_the_last_step(reference: ReferenceEngine) -> None:
    trial = task(schedule="exponential", exponential_decay=0.5, learning_rate=0.01)
    rates = [report.learning_rate for report in train(reference, trial)]
    assert rates == pytest.approx([0.01 * 0.5 ** (7 / 8), 0.01 * 0.5 ** (15 / 8)])


def test_progress_grows_inside_an_epoch(reference: ReferenceEngine) -> None:
    reference.admit(task(batch_size=1))
    reference.run_epoch()
    assert reference.progress > 384 // 25  # Keras calls back after every 25 steps


def test_standardises_with_the_training_split_alone(
    reference: ReferenceEngine, small_data: DataRef
) -> None:
    reference.admit(task(scaling="feature"))
    slot = reference._slot
    assert slot is not None
    mean, deviation = split_statistics(small_data, "feature")
    pixels = open_split(small_data, "train").images / 255.0
    layer = slot.model.get_layer("standardisation")
    np.testing.assert_allclose(np.asarray(layer.mean)[0], mean, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(layer.mean)[0], pixels.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(layer.variance)[0], deviation, rtol=1e-5)


def test_large_penalties_are_no_divergence(reference: ReferenceEngine) -> None:
    reports = train(reference, task(epochs=1, l2=10.0, width=1000))
    assert reports[0].loss > 1e4
    assert reports[0].finished == StopReason.COMPLETED


def test_broken_training_fails_the_trial_with_its_cause(
    reference: ReferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise MemoryError("out of memory")

    reference.admit(task(number=4))
    monkeypatch.setattr(keras.Model, "fit", broken)
    with pytest.raises(TrialError, match="training broke") as caught:
        reference.run_epoch()
    assert isinstance(caught.value.__cause__, MemoryError)
    assert caught.value.where is not None
    assert "trial 4" in caught.value.where
    assert reference.active == ()


def test_network_that_cannot_be_built_fails_the_trial_with_its_cause(
    reference: ReferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise ValueError("no such layer")

    monkeypatch.setattr("sweep.engines.reference.build_network", broken)
    with pytest.raises(TrialError, match="cannot be built") as caught:
        reference.admit(task())
    assert isinstance(caught.value.__cause__, ValueError)
    assert reference.active == ()


def test_images_are_not_copied(reference: ReferenceEngine) -> None:
    maps = [
        line
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "train_images.npy" in line
    ]
    pointer = np.asarray(reference._train.images).__array_interface__["data"][0]
    ranges = [tuple(int(end, 16) for end in line.split()[0].split("-")) for line in maps]
    assert any(start <= pointer < end for start, end in ranges)


OTHER_PROCESS = """
import pickle, sys
from sweep.engines import make_engine
data, tasks = pickle.load(open(sys.argv[1], "rb"))
engine = make_engine("reference", data, "cpu:0")
reports = []
for trial in tasks:
    engine.admit(trial)
    reports.append([engine.run_epoch()[0], engine.run_epoch()[0]])
    engine.abandon()
pickle.dump(reports[-1], open(sys.argv[2], "wb"))
"""


@pytest.mark.slow
def test_another_process_gets_the_same_figures(
    small_data: DataRef, reference: ReferenceEngine, tmp_path: Path
) -> None:
    trial = task(dropout="dropout", flip=True, shift=3, batch_norm="after")
    (tmp_path / "in").write_bytes(pickle.dumps((small_data, [task(number=1, seed=3), trial])))
    subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "in"), str(tmp_path / "out")],
        check=True,
    )
    theirs = pickle.loads((tmp_path / "out").read_bytes())
    ours = train(reference, trial)
    assert [figures(report) for report in ours] == [figures(report) for report in theirs]


def test_nothing_is_left_of_a_trial(small_data: DataRef) -> None:
    engine = make_engine("reference", small_data, "cpu:0")
    left = []
    for number in range(3):
        train(engine, task(number, epochs=1, activation="swish", seed=number))
        engine.retire(number, StopReason.COMPLETED, None)
        gc.collect()
        left.append(len(gc.get_objects()))
    # A trial that is not given back leaves more than 6,000 objects.
    assert left[2] - left[1] < 600
