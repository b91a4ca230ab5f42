"""When a device or a compiler fails, cohorts get smaller, trials go elsewhere, and all goes on."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from engine_contract import copied
from keras_fit import METRICS, EngineOf, curves, fused_fit, kept_weights

from sweep.data import DataRef
from sweep.engines.fused import cohort as cohorts
from sweep.engines.fused import engine as engines
from sweep.engines.fused.adapters import make_adapter
from sweep.engines.fused.cohort import Program
from sweep.engines.fused.engine import FusedEngine
from sweep.engines.fused.footprint import slot_bytes
from sweep.engines.fused.key import FusionKey, fusion_key
from sweep.engines.reference import ReferenceEngine
from sweep.errors import CheckpointError, TrialError
from sweep.trial import EpochReport, StopReason, TrialConfig, TrialTask

BASE: dict[str, Any] = {"depth": 1, "width": 4, "batch_size": 25, "epochs": 3}
COHORT = 8


# What cannot be compiled goes to the reference engine, which is Keras on TensorFlow.
needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the reference engine needs TensorFlow"
)


def trial(number: int, **changes: Any) -> TrialTask:
    config = TrialConfig(**BASE | {"learning_rate": 0.001 * (1 + number)} | changes)
    return TrialTask(number, config, seed=number)


TRIALS = [trial(number) for number in range(COHORT)]
KEY = fusion_key(TRIALS[0].config)


class DeviceIsFull(Exception):
    """What the adapter takes for an error of the device's memory."""


@pytest.fixture
def engine(
    few_images: DataRef, double_precision: None, monkeypatch: pytest.MonkeyPatch
) -> FusedEngine:
    """An engine of eight slots whose programs are not compiled."""
    made = FusedEngine(few_images, "cpu:0", capacity=COHORT, dtype="float64")
    monkeypatch.setattr(made._adapter, "compiled", lambda function: function)
    monkeypatch.setattr(
        made._adapter, "is_out_of_memory", lambda error: isinstance(error, DeviceIsFull)
    )
    return made


def widths(engine: FusedEngine) -> list[int]:
    return [len(cohort.slots) for cohort in engine._placement._cohorts]


def fail_when(monkeypatch: pytest.MonkeyPatch, is_too_much: Callable[[int, int], bool]) -> None:
    """Let calls of programs run out of memory, by their width and number among all calls."""
    make, calls = Program.of, []

    def failing(key: FusionKey, width: int, *args: Any, **kwargs: Any) -> Program:
        program = make(key, width, *args, **kwargs)

        def epoch(*inputs: Any) -> Any:
            calls.append(width)
            if is_too_much(width, len(calls)):
                raise DeviceIsFull(f"{width} slots")
            return program.epoch(*inputs)

        return replace(program, epoch=epoch)

    monkeypatch.setattr(Program, "of", failing)


def assert_all_equal(ours: list[Any], theirs: list[Any]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        for name in METRICS:
            assert one.metrics[name] == pytest.approx(other.metrics[name], abs=1e-11)
        for a, b in zip(one.weights, other.weights, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("most", [4, 2, 1])
def test_a_cohort_too_large_to_begin_is_divided(
    most: int,
    engine: FusedEngine,
    plain_engine: EngineOf,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = fused_fit(plain_engine(COHORT), TRIALS)
    fail_when(monkeypatch, lambda width, calls: width > most)
    with caplog.at_level(logging.WARNING):
        assert_all_equal(fused_fit(engine, TRIALS), expected)
    assert "do not fit into memory" in caplog.text
    caplog.clear()
    # What was learned about the device is not tried again.
    for task in TRIALS:
        engine.admit(task)
    engine.run_epoch()
    assert widths(engine) == [most] * (COHORT // most)
    assert "memory" not in caplog.text


@pytest.mark.parametrize("call", [2, 3, 4], ids=["first epoch", "second epoch", "third epoch"])
def test_a_cohort_that_gets_too_large_in_training_is_divided(
    call: int, engine: FusedEngine, plain_engine: EngineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fused_fit(plain_engine(COHORT), TRIALS)
    fail_when(monkeypatch, lambda width, calls: width == COHORT and calls >= call)
    assert_all_equal(fused_fit(engine, TRIALS), expected)


def test_finished_and_kept_weights_survive_the_division(
    engine: FusedEngine, plain_engine: EngineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One trial has finished and waits to be retired, another has put its best weights aside."""
    trials = [
        trial(0, epochs=1),
        trial(1, early_stopping="val_loss", patience=9),
        *(trial(n) for n in range(2, 5)),
    ]
    expected = fused_fit(plain_engine(COHORT), trials)
    fail_when(monkeypatch, lambda width, calls: width == COHORT and calls >= 3)
    for task in trials:
        engine.admit(task)
    reports = [report for _ in range(3) for report in engine.run_epoch()]
    assert max(widths(engine)) < COHORT
    for task, theirs in zip(trials, expected, strict=True):
        mine = [report for report in reports if report.number == task.number]
        assert curves(mine)["val_loss"] == pytest.approx(theirs.metrics["val_loss"], abs=1e-11)
        for a, b in zip(kept_weights(engine, task.number), theirs.weights, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)


def test_a_single_trial_that_does_not_fit_fails(
    engine: FusedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.admit(trial(3))
    engine.run_epoch()
    fail_when(monkeypatch, lambda width, calls: True)
    (cohort,) = engine._placement._cohorts
    cohort._program = Program.of(KEY, 1, engine._sizes, engine._adapter)
    with pytest.raises(TrialError, match="training broke") as caught:
        engine.run_epoch()
    assert isinstance(caught.value.__cause__, DeviceIsFull)
    assert caught.value.where == "trial 3, seed 3"
    assert engine.active == ()


@pytest.mark.parametrize("room", [0, 1, 3])
def test_trials_wait_until_memory_is_free(
    room: int, few_images: DataRef, plain_engine: EngineOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = slot_bytes(KEY, classes=10, itemsize=8)
    expected = fused_fit(plain_engine(COHORT), TRIALS)
    engine = FusedEngine(
        few_images, "cpu:0", capacity=COHORT, dtype="float64", memory_bytes=one * room + one // 2
    )
    monkeypatch.setattr(engine._adapter, "compiled", lambda function: function)
    for task in TRIALS:
        engine.admit(task)
    assert {report.number for report in engine.run_epoch()} == set(range(max(room, 1)))
    assert sum(widths(engine)) == max(room, 1)
    assert engine.active == tuple(range(COHORT))
    engine.abandon()
    assert_all_equal(fused_fit(engine, TRIALS), expected)


def test_a_waiting_trial_of_another_structure_gets_its_turn(
    few_images: DataRef, double_precision: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = slot_bytes(KEY, classes=10, itemsize=8)
    engine = FusedEngine(
        few_images, "cpu:0", capacity=3, dtype="float64", memory_bytes=one + one // 2
    )
    monkeypatch.setattr(engine._adapter, "compiled", lambda function: function)
    trials = [trial(0), trial(1, activation="tanh"), trial(2, width=40)]
    assert all(len(ours.metrics["loss"]) == 3 for ours in fused_fit(engine, trials))


@pytest.fixture
def broken_compiler(monkeypatch: pytest.MonkeyPatch) -> list[FusionKey]:
    """The compiler fails for tanh alone; the keys it was asked to compile."""
    asked: list[FusionKey] = []
    make = cohorts.epoch_program

    def failing(key: FusionKey, *args: Any) -> Any:
        asked.append(key)
        if key.activation == "tanh":
            raise RuntimeError("the compiler\n   gave up " + "x" * 1000)
        return make(key, *args)

    monkeypatch.setattr(cohorts, "epoch_program", failing)
    return asked


@needs_tensorflow
def test_a_trial_that_cannot_be_compiled_goes_to_the_reference_engine(
    engine: FusedEngine, few_images: DataRef, broken_compiler: list[FusionKey]
) -> None:
    trials = [trial(0), trial(1, activation="tanh"), trial(2)]
    for task in trials:
        engine.admit(task)
    before = engine.progress
    reports = [report for _ in range(3) for report in engine.run_epoch()]
    assert engine.progress > before
    assert [report.number for report in reports] == [0, 1, 2] * 3
    assert all(report.finished == StopReason.COMPLETED for report in reports[-3:])
    results = [engine.retire(n, StopReason.COMPLETED, None) for n in range(3)]
    assert [result.engine for result in results] == ["fused", "reference", "fused"]
    assert [result.epochs for result in results] == [3, 3, 3]
    assert results[0].remark == results[2].remark == ""
    remark = results[1].remark
    assert remark.startswith("trained by the reference engine")
    assert "RuntimeError: the compiler gave up" in remark
    assert len(remark) < 400
    assert_same_figures(reports, 1, alone(ReferenceEngine(few_images, "cpu:0"), trials[1]))
    # Without the failing neighbour the others train alike.
    for task in (trials[0], trials[2]):
        engine.admit(task)
    again = [report for _ in range(3) for report in engine.run_epoch()]
    for number in (0, 2):
        assert_same_figures(reports, number, [r for r in again if r.number == number])


@needs_tensorflow
def test_a_structure_that_failed_is_not_compiled_again(
    engine: FusedEngine, broken_compiler: list[FusionKey]
) -> None:
    for number in range(2):
        engine.admit(trial(number, activation="tanh", epochs=1))
        engine.run_epoch()
        assert engine.retire(number, StopReason.COMPLETED, None).engine == "reference"
    assert len(broken_compiler) == 1
    engine.admit(trial(7, width=5))
    engine.run_epoch()
    assert len(broken_compiler) == 2


@pytest.mark.parametrize("number", [0, 1])
def test_without_a_reference_engine_it_fails_alone(
    number: int,
    engine: FusedEngine,
    broken_compiler: list[FusionKey],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "_HAS_REFERENCE", False)
    broken, other = trial(number, activation="tanh"), trial(1 - number)
    for task in sorted((broken, other), key=lambda task: task.number):
        engine.admit(task)
    with pytest.raises(TrialError, match="cannot be compiled") as caught:
        engine.run_epoch()
    assert caught.value.where == f"trial {number}, seed {number}"
    assert "the compiler" in str(caught.value.received)
    assert engine.active == (other.number,)
    assert [report.epoch for report in engine.run_epoch()] == [1]


@needs_tensorflow
def test_a_trial_in_which_it_hung_goes_to_the_reference_engine(
    engine: FusedEngine, few_images: DataRef
) -> None:
    hung = replace(trial(1), attempt=2, stall="hung, without progress for 300 seconds")
    engine.admit(trial(0))
    engine.admit(hung)
    reports = [report for _ in range(3) for report in engine.run_epoch()]
    results = [engine.retire(n, StopReason.COMPLETED, None) for n in range(2)]
    assert [result.engine for result in results] == ["fused", "reference"]
    assert results[1].remark == (
        "trained by the reference engine, since the fused engine hung, without progress for 300 "
        "seconds"
    )
    assert_same_figures(reports, 1, alone(ReferenceEngine(few_images, "cpu:0"), trial(1)))


@needs_tensorflow
def test_a_trial_of_the_reference_engine_goes_on_there(
    engine: FusedEngine,
    few_images: DataRef,
    broken_compiler: list[FusionKey],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = trial(1, activation="tanh")
    engine.admit(task)
    reports = [*engine.run_epoch()]
    checkpoint = copied(engine.checkpoint(1))
    remark = engine.retire(1, StopReason.INTERRUPTED, None).remark
    monkeypatch.setattr(engines, "_HAS_REFERENCE", False)
    with pytest.raises(CheckpointError, match="another engine"):
        engine.admit(task, checkpoint)
    monkeypatch.setattr(engines, "_HAS_REFERENCE", True)
    engine.admit(task, checkpoint)
    reports += [report for _ in range(2) for report in engine.run_epoch()]
    assert len(broken_compiler) == 1
    result = engine.retire(1, StopReason.COMPLETED, None)
    assert (result.engine, result.epochs) == ("reference", 3)
    assert result.remark == remark
    assert "the compiler gave up" in remark
    assert_same_figures(reports, 1, alone(ReferenceEngine(few_images, "cpu:0"), task))


@needs_tensorflow
def test_no_other_engine_goes_on_with_what_hung(engine: FusedEngine) -> None:
    engine.admit(trial(1))
    engine.run_epoch()
    checkpoint = copied(engine.checkpoint(1))
    engine.abandon()
    hung = replace(trial(1), attempt=2, stall="hung, without progress for 300 seconds")
    with pytest.raises(CheckpointError, match="another engine"):
        engine.admit(hung, checkpoint)
    assert engine.active == ()
    engine.admit(hung)
    assert [report.epoch for report in engine.run_epoch()] == [1]


@needs_tensorflow
def test_abandoning_empties_the_reference_engines_too(
    engine: FusedEngine, broken_compiler: list[FusionKey]
) -> None:
    engine.admit(trial(0, activation="tanh"))
    engine.run_epoch()
    engine.abandon()
    assert engine.active == ()
    assert engine.run_epoch() == ()


def alone(engine: Any, task: TrialTask) -> list[EpochReport]:
    engine.admit(task)
    reports = [report for _ in range(task.config.epochs) for report in engine.run_epoch()]
    engine.abandon()
    return reports


def assert_same_figures(
    reports: list[EpochReport], number: int, expected: list[EpochReport]
) -> None:
    mine = [report for report in reports if report.number == number]
    assert [replace(r, seconds=0.0) for r in mine] == [replace(r, seconds=0.0) for r in expected]


def test_the_adapter_knows_its_backend_s_error() -> None:
    adapter = make_adapter()
    error: Exception
    if keras.backend.backend() == "jax":
        from jax.errors import JaxRuntimeError

        error, other = JaxRuntimeError("RESOURCE_EXHAUSTED: out"), JaxRuntimeError("INTERNAL: x")
    else:
        from tensorflow import errors

        error = errors.ResourceExhaustedError(None, None, "out")
        other = errors.InternalError(None, None, "x")
    assert adapter.is_out_of_memory(error)
    assert not adapter.is_out_of_memory(other)
    assert not adapter.is_out_of_memory(ValueError("RESOURCE_EXHAUSTED"))
