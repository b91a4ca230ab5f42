"""What every engine must do. A test module inherits `EngineContract` and names its engine."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pytest

from sweep.data import DataRef, open_split
from sweep.engines import Engine, make_engine
from sweep.errors import TrialError
from sweep.trial import EpochReport, StopReason, TrialConfig, TrialTask

CONFIG: dict[str, Any] = {
    "depth": 1, "width": 16, "activation": "leaky_relu", "kernel_initializer": "he_normal",
    "batch_size": 50, "epochs": 2,
}  # fmt: skip


def task(number: int = 0, seed: int = 11, **changes: Any) -> TrialTask:
    return TrialTask(number, TrialConfig(**(CONFIG | changes)), seed)


def figures(report: EpochReport) -> EpochReport:
    """A report without what may differ from run to run and from number to number."""
    return replace(report, number=0, seconds=0.0)


def train(engine: Engine, trial: TrialTask) -> list[EpochReport]:
    """Train a trial alone until it is finished, and leave it in its slot."""
    engine.admit(trial)
    reports: list[EpochReport] = []
    while not reports or reports[-1].finished is None:
        (report,) = engine.run_epoch()
        reports.append(report)
    return reports


# Keras reads variables through numpy in a way that numpy 2 deprecates.
KERAS_READS_VARIABLES = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


class EngineContract:
    """Inherit, set `engine_name`, and every test runs on that engine."""

    engine_name: ClassVar[str]

    @pytest.fixture
    def engine(self, small_data: DataRef) -> Iterator[Engine]:
        made = make_engine(self.engine_name, small_data, "cpu:0")
        yield made
        made.abandon()

    def test_says_who_and_where_it_is(self, engine: Engine) -> None:
        assert engine.name == self.engine_name
        assert engine.device == "cpu:0"
        assert engine.capacity >= 1

    def test_without_trials_nothing_happens(self, engine: Engine) -> None:
        assert engine.active == ()
        assert engine.run_epoch() == ()
        engine.abandon()

    def test_trains_until_the_last_epoch(self, engine: Engine) -> None:
        trial = task(number=3)
        reports = train(engine, trial)
        assert [report.epoch for report in reports] == [1, 2]
        assert [report.finished for report in reports] == [None, StopReason.COMPLETED]
        assert all(report.number == 3 for report in reports)
        assert all(report.seconds > 0.0 for report in reports)
        assert all(report.learning_rate == pytest.approx(0.001) for report in reports)
        assert engine.active == (3,)
        assert engine.run_epoch() == ()
        result = engine.retire(3, StopReason.COMPLETED, None)
        assert (result.number, result.reason) == (3, StopReason.COMPLETED)
        assert (result.epochs, result.kept_epoch) == (2, 2)
        assert result.parameters == 3072 * 16 + 16 + 16 * 10 + 10
        assert (result.engine, result.device) == (engine.name, "cpu:0")
        assert result.seconds >= sum(report.seconds for report in reports)
        assert result.weights is None
        assert engine.active == ()

    def test_learns_to_tell_the_classes_apart(self, engine: Engine) -> None:
        reports = train(engine, task(epochs=6))
        assert reports[-1].val_accuracy > max(0.5, reports[0].val_accuracy)
        assert reports[-1].loss < reports[0].loss

    def test_figures_follow_from_config_and_seed_alone(self, engine: Engine) -> None:
        options = {"dropout": "dropout", "flip": True, "shift": 2}
        first = train(engine, task(number=0, **options))
        engine.retire(0, StopReason.COMPLETED, None)
        other = train(engine, task(number=1, seed=12, **options))
        engine.retire(1, StopReason.COMPLETED, None)
        again = train(engine, task(number=7, **options))
        assert [figures(report) for report in first] == [figures(report) for report in again]
        assert [figures(report) for report in first] != [figures(report) for report in other]

    def test_divergence_ends_a_trial_at_once(self, engine: Engine) -> None:
        (report,) = train(engine, task(epochs=9, optimizer="sgd", learning_rate=100.0))
        assert report.finished == StopReason.DIVERGED
        assert not report.loss < 1e4
        assert 0.0 <= report.val_accuracy <= 1.0
        assert engine.retire(0, StopReason.DIVERGED, None).epochs == 1

    def test_early_stopping_keeps_the_best_epoch(self, engine: Engine) -> None:
        trial = task(epochs=50, early_stopping="val_accuracy", patience=2, learning_rate=0.003)
        reports = train(engine, trial)
        assert reports[-1].finished == StopReason.EARLY_STOPPING
        best = max(reports, key=lambda report: report.val_accuracy)
        assert len(reports) == best.epoch + 2
        assert engine.retire(0, StopReason.EARLY_STOPPING, None).kept_epoch == best.epoch

    @KERAS_READS_VARIABLES
    @pytest.mark.parametrize("restore", [True, False])
    def test_saved_weights_are_the_kept_ones(
        self, engine: Engine, small_data: DataRef, tmp_path: Path, restore: bool
    ) -> None:
        trial = task(
            epochs=50, early_stopping="val_accuracy", patience=2, learning_rate=0.003,
            restore_best_weights=restore, scaling="feature", label_smoothing=0.1,
        )  # fmt: skip
        reports = train(engine, trial)
        path = tmp_path / "new" / "trial.keras"
        result = engine.retire(0, StopReason.EARLY_STOPPING, path)
        assert result.weights == str(path)
        assert [file.name for file in path.parent.iterdir()] == ["trial.keras"]
        kept = reports[result.kept_epoch - 1]
        assert (kept is reports[-1]) is not restore
        split = open_split(small_data, "validation")
        predicted = keras.models.load_model(path).predict(split.images, verbose=0)
        accuracy = float(np.mean(predicted.argmax(axis=1) == split.labels))
        assert accuracy == pytest.approx(kept.val_accuracy, abs=1e-6)

    @KERAS_READS_VARIABLES
    def test_a_trial_may_be_retired_before_its_first_epoch(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        engine.admit(task())
        result = engine.retire(0, StopReason.INTERRUPTED, tmp_path / "trial.keras")
        assert (result.epochs, result.kept_epoch) == (0, 0)
        assert (tmp_path / "trial.keras").exists()

    def test_weights_that_cannot_be_saved_fail_the_trial_alone(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        engine.admit(task())
        with pytest.raises(TrialError, match="cannot be saved") as caught:
            engine.retire(0, StopReason.COMPLETED, tmp_path / "file" / "trial.keras")
        assert isinstance(caught.value.__cause__, OSError)
        assert engine.active == ()
        engine.admit(task(number=1))

    def test_refuses_more_trials_than_slots(self, engine: Engine) -> None:
        for number in range(engine.capacity):
            engine.admit(task(number))
        with pytest.raises(TrialError, match="slot is free"):
            engine.admit(task(number=engine.capacity))
        assert engine.active == tuple(range(engine.capacity))

    def test_refuses_to_retire_a_stranger(self, engine: Engine) -> None:
        engine.admit(task(number=1))
        with pytest.raises(TrialError, match="no such trial"):
            engine.retire(2, StopReason.PRUNED, None)
        assert engine.active == (1,)

    def test_abandoned_trials_leave_free_slots(self, engine: Engine) -> None:
        engine.admit(task(number=1))
        engine.abandon()
        assert engine.active == ()
        engine.admit(task(number=1))
        assert engine.active == (1,)
