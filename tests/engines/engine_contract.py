"""What every engine must do. A test module inherits `EngineContract` and names its engine."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pytest

from sweep.data import DataRef, open_split
from sweep.engines import Engine, make_engine
from sweep.engines.checkpoint import Checkpoint
from sweep.engines.inspection import Inspector
from sweep.engines.scaling import Scaling
from sweep.errors import CheckpointError, TrialError
from sweep.trial import EpochReport, StopReason, TrialConfig, TrialTask

CONFIG: dict[str, Any] = {
    "depth": 1, "width": 16, "activation": "leaky_relu", "kernel_initializer": "he_normal",
    "batch_size": 50, "epochs": 2,
}  # fmt: skip


# Between them they have all that an engine must carry over a break.
CONTINUED: dict[str, dict[str, Any]] = {
    "momentum, cosine, augmentation": {
        "optimizer": "sgd", "momentum": 0.9, "nesterov": True, "schedule": "cosine",
        "flip": True, "shift": 2, "max_norm": 2.0, "clip_norm": 1.0,
    },
    "nadam, batch norm, dropout": {
        "optimizer": "nadam", "batch_norm": "before", "dropout": "dropout", "l2": 1e-3,
    },
    "adam, sparse, alpha dropout, plateau": {
        "optimizer": "adam", "kernel_initializer": "sparse", "kernel_sparsity": 0.5,
        "dropout": "alpha_dropout", "activation": "selu", "scaling": "channel",
        "schedule": "plateau", "plateau_patience": 1, "learning_rate": 0.1,
    },
    "rmsprop, batch norm, 1cycle": {
        "optimizer": "rmsprop", "batch_norm": "after", "activation": "prelu",
        "schedule": "one_cycle", "weight_decay": 0.01, "label_smoothing": 0.1,
    },
    "early stopping": {
        "optimizer": "adamw", "early_stopping": "val_accuracy", "patience": 3, "epochs": 50,
        "learning_rate": 0.003,
    },
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


def continued_task(name: str) -> TrialTask:
    return task(**({"depth": 2, "epochs": 6} | CONTINUED[name]))


def train_to_checkpoint(engine: Engine, name: str) -> tuple[list[EpochReport], Checkpoint]:
    """Train three epochs, or until the best one has passed; the trial stays in its slot."""
    engine.admit(continued_task(name))
    reports = [report for _ in range(3) for report in engine.run_epoch()]
    while name == "early stopping" and reports[-1] is best(reports):
        reports += engine.run_epoch()
    return reports, copied(engine.checkpoint(0))


def best(reports: list[EpochReport]) -> EpochReport:
    return max(reports, key=lambda report: report.val_accuracy)


def copied(checkpoint: Checkpoint) -> Checkpoint:
    """As another process reads it."""
    return Checkpoint.from_bytes(checkpoint.to_bytes())


def finish(engine: Engine, reports: list[EpochReport], path: Path) -> list[Any]:
    """Train the one active trial to its end; its reports, without times, then its weights."""
    while not reports or reports[-1].finished is None:
        reports += engine.run_epoch()
    reason = reports[-1].finished
    assert reason is not None
    result = engine.retire(reports[-1].number, reason, path)
    weights = [
        hashlib.sha256(array.tobytes()).hexdigest()
        for array in keras.models.load_model(path).get_weights()
    ]
    kept = (result.epochs, result.kept_epoch, result.parameters)
    return [*map(figures, reports), kept, *weights]


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
    def test_inspects_the_kept_weights(
        self, engine: Engine, small_data: DataRef, tmp_path: Path
    ) -> None:
        trial = task(
            depth=2, activation="prelu", batch_norm="before", scaling="channel", epochs=50,
            early_stopping="val_accuracy", patience=2, learning_rate=0.003, label_smoothing=0.1,
        )  # fmt: skip
        train(engine, trial)
        path = tmp_path / "trial.keras"
        found = engine.retire(0, StopReason.EARLY_STOPPING, path).inspection
        weights = keras.models.load_model(path).get_weights()
        expected = Inspector(small_data, Scaling(small_data)).inspect(trial.config, weights)
        assert found is not None
        assert expected is not None
        assert (found.layers, found.zero_weights) == (expected.layers, expected.zero_weights)
        assert found.inference_seconds > 0.0

    @KERAS_READS_VARIABLES
    def test_a_trial_may_be_retired_before_its_first_epoch(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        engine.admit(task())
        result = engine.retire(0, StopReason.INTERRUPTED, tmp_path / "trial.keras")
        assert (result.epochs, result.kept_epoch, result.inspection) == (0, 0, None)
        assert (tmp_path / "trial.keras").exists()

    def test_weights_that_cannot_be_saved_fail_the_trial_alone(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        engine.admit(task())
        with pytest.raises(TrialError, match="cannot be inspected or saved") as caught:
            engine.retire(0, StopReason.COMPLETED, tmp_path / "file" / "trial.keras")
        assert isinstance(caught.value.__cause__, OSError)
        assert engine.active == ()
        engine.admit(task(number=1))

    @KERAS_READS_VARIABLES
    @pytest.mark.parametrize("name", CONTINUED)
    def test_goes_on_from_a_checkpoint_bit_for_bit(
        self, engine: Engine, tmp_path: Path, name: str
    ) -> None:
        reports, checkpoint = train_to_checkpoint(engine, name)
        assert checkpoint.epoch == len(reports)
        undisturbed = finish(engine, list(reports), tmp_path / "undisturbed.keras")
        engine.admit(continued_task(name), checkpoint)
        assert engine.active == (0,)
        assert finish(engine, list(reports), tmp_path / "resumed.keras") == undisturbed
        every = undisturbed[: next(i for i, e in enumerate(undisturbed) if isinstance(e, tuple))]
        if name == "early stopping":
            assert best(every).epoch <= checkpoint.epoch - 1
        if "plateau" in name:
            assert len({report.learning_rate for report in every[: len(reports) + 1]}) > 1

    @KERAS_READS_VARIABLES
    @pytest.mark.slow
    def test_goes_on_in_another_process(
        self, engine: Engine, small_data: DataRef, tmp_path: Path
    ) -> None:
        expected = []
        for place, name in enumerate(CONTINUED):
            reports, checkpoint = train_to_checkpoint(engine, name)
            (tmp_path / str(place)).write_bytes(checkpoint.to_bytes())
            outcome = finish(engine, reports, tmp_path / "undisturbed.keras")
            expected.append(outcome[checkpoint.epoch :])
        fields = asdict(small_data) | {"directory": str(small_data.directory)}
        program = Path(__file__).with_name("continuing_process.py")
        arguments = [json.dumps(fields), self.engine_name, str(tmp_path)]
        subprocess.run([sys.executable, str(program), *arguments], check=True)
        for place, outcome in enumerate(expected):
            found = (tmp_path / f"{place}.txt").read_text()
            assert found == "\n".join(map(repr, outcome))

    def test_goes_on_twice(self, engine: Engine) -> None:
        trial = task(epochs=3, dropout="dropout", early_stopping="val_loss")
        undisturbed = train(engine, trial)
        result = engine.retire(0, StopReason.COMPLETED, None)
        engine.admit(trial)
        resumed = [*engine.run_epoch()]
        for _ in range(2):
            checkpoint = copied(engine.checkpoint(0))
            engine.abandon()
            engine.admit(trial, checkpoint)
            resumed += engine.run_epoch()
        assert list(map(figures, resumed)) == list(map(figures, undisturbed))
        again = engine.retire(0, StopReason.COMPLETED, None)
        assert (again.epochs, again.kept_epoch) == (result.epochs, result.kept_epoch)
        assert again.seconds > checkpoint.seconds > sum(r.seconds for r in resumed[:2])

    def test_a_checkpoint_disturbs_nobody(self, engine: Engine) -> None:
        trial = task(epochs=3, dropout="dropout", flip=True)
        undisturbed = train(engine, trial)
        engine.abandon()
        engine.admit(trial)
        reports: list[EpochReport] = []
        for _ in range(3):
            reports += engine.run_epoch()
            if reports[-1].finished is None:
                engine.checkpoint(0)
        assert list(map(figures, reports)) == list(map(figures, undisturbed))

    def test_refuses_the_checkpoint_of_another(self, engine: Engine) -> None:
        engine.admit(task())
        engine.run_epoch()
        checkpoint = copied(engine.checkpoint(0))
        engine.abandon()
        other_engine = replace(checkpoint, owner=replace(checkpoint.owner, engine="softmax"))
        for trial, foreign in (
            (task(seed=12), checkpoint),
            (task(learning_rate=0.002), checkpoint),
            (task(), other_engine),
            (task(), replace(checkpoint, arrays=dict(list(checkpoint.arrays.items())[1:]))),
        ):
            with pytest.raises(CheckpointError, match="the checkpoint"):
                engine.admit(trial, foreign)
            assert engine.active == ()
        engine.admit(task(number=5), checkpoint)
        (report,) = engine.run_epoch()
        assert (report.number, report.epoch) == (5, 2)

    def test_takes_no_checkpoint_of_a_stranger(self, engine: Engine) -> None:
        engine.admit(task(number=1))
        with pytest.raises(TrialError, match="no such trial"):
            engine.checkpoint(2)
        assert engine.active == (1,)

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
