"""What a trial computes depends on nothing but the trial: equal to the last bit."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from engine_contract import copied, figures
from keras_fit import kept_weights

from sweep.data import DataRef
from sweep.engines.checkpoint import Checkpoint
from sweep.engines.fused import placement
from sweep.engines.fused.engine import FusedEngine
from sweep.engines.fused.key import fusion_key
from sweep.trial import EpochReport, StopReason, TrialConfig, TrialTask

SLOTS = 4
ANCHOR = 0  # In its slot from the first epoch to the last, so that the cohort stays open.
DIVERGING = 1
TRIALS = 10

Weights = list[npt.NDArray[Any]]


def adaptive(number: int) -> dict[str, Any]:
    """Batch normalisation, noise and augmentation; what can differ in a program differs."""
    return {
        "activation": ("selu", "elu")[number % 2],
        "batch_norm": "before",
        "batch_norm_momentum": 0.5 + 0.04 * number,
        "dropout": ("dropout", "alpha_dropout")[number // 2 % 2],
        "dropout_rate": 0.05 * (number + 1),
        "optimizer": ("adam", "rmsprop", "nadam", "adamw")[number % 4],
        "flip": True,
        "shift": number % 3,
        "l2": 1e-4 * number,
        "l1": 1e-5,
        "clip_norm": 0.5 + number,
        "early_stopping": ("none", "val_loss")[number % 2],
        "patience": 1,
        "weight_decay": 1.0 if number == DIVERGING else 0.01 * number,
        "learning_rate": 100.0 if number == DIVERGING else 0.001 * (number + 1),
    }


def sgd(number: int) -> dict[str, Any]:
    """Sparse kernels of limited norm, momentum, schedules."""
    return {
        "activation": ("relu", "leaky_relu")[number % 2],
        "kernel_initializer": "sparse",
        "max_norm": 1e3 if number == DIVERGING else 0.5 + number,
        "optimizer": "sgd",
        "momentum": 0.1 * number,
        "nesterov": number % 3 == 0,
        "schedule": ("constant", "one_cycle", "cosine", "exponential", "plateau")[number % 5],
        "label_smoothing": 0.02 * number,
        "learning_rate": 100.0 if number == DIVERGING else 0.003 * (number + 1),
    }


STRUCTURES: Mapping[str, Callable[[int], dict[str, Any]]] = {"adaptive": adaptive, "sgd": sgd}


def trial(structure: str, number: int) -> TrialTask:
    config = TrialConfig(
        depth=2,
        width=8,
        batch_size=50,
        epochs=30 if number == ANCHOR else 1 + number % 5,
        **STRUCTURES[structure](number),
    )
    return TrialTask(number, config, seed=100 + number)


class Life:
    """All trials through four slots, in an order and with fates that a seed decides.

    Some are broken off, and go on from their checkpoints in another slot, among other neighbours.
    """

    def __init__(self, engine: FusedEngine, structure: str, seed: int) -> None:
        self._engine = engine
        self._structure = structure
        self._draw = np.random.default_rng(seed)
        others = [n for n in range(TRIALS) if n != ANCHOR]
        order = self._draw.permutation(others).tolist() if seed else others
        # The anchor is among the first four, in a slot that the seed decides.
        order.insert(int(self._draw.integers(SLOTS)) if seed else 0, ANCHOR)
        self._queue: list[tuple[TrialTask, Checkpoint | None]]
        self._queue = [(trial(structure, number), None) for number in order]
        self.broken_off = 0
        self.reports: dict[int, list[EpochReport]] = {number: [] for number in range(TRIALS)}
        self.weights: dict[int, Weights] = {}
        self._idle: dict[int, int] = {}

    def live(self) -> None:
        while self._queue or len(self._engine.active) > 1:
            while self._queue and len(self._engine.active) < SLOTS:
                self._engine.admit(*self._queue.pop(0))
            for report in self._engine.run_epoch():
                self.reports[report.number].append(report)
                if report.finished is not None:
                    self.weights[report.number] = kept_weights(self._engine, report.number)
                    # Some stay in their slot, idle, while their neighbours go on.
                    self._idle[report.number] = int(self._draw.integers(3))
                elif report.number != ANCHOR and self._draw.random() < 0.15:
                    self._idle[report.number] = 0  # pruned
                elif report.number != ANCHOR and self._draw.random() < 0.2:
                    self._break_off(trial(self._structure, report.number))
            for number in [n for n in self._idle if n in self._engine.active]:
                self._idle[number] -= 1
                if self._idle[number] < 0:
                    self._engine.retire(number, StopReason.PRUNED, None)
        self._engine.retire(ANCHOR, StopReason.INTERRUPTED, None)

    def _break_off(self, task: TrialTask) -> None:
        checkpoint = copied(self._engine.checkpoint(task.number))
        self._engine.retire(task.number, StopReason.INTERRUPTED, None)
        place = int(self._draw.integers(len(self._queue) + 1))
        self._queue.insert(place, (task, checkpoint))
        self.broken_off += 1


@pytest.fixture(scope="module")
def engine(small_data: DataRef) -> FusedEngine:
    return FusedEngine(small_data, "cpu:0", capacity=SLOTS)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_neighbours_slot_and_order_of_arrival_do_not_matter(
    engine: FusedEngine, structure: str
) -> None:
    assert len({fusion_key(trial(structure, number).config) for number in range(TRIALS)}) == 1
    lives = [Life(engine, structure, seed) for seed in range(6)]
    for life in lives:
        life.live()
        assert {width for _, width in engine._placement._programs._kept} == {SLOTS}
    assert sum(life.broken_off for life in lives) >= 5
    longest = {n: max((life.reports[n] for life in lives), key=len) for n in range(TRIALS)}
    assert longest[DIVERGING][-1].finished == StopReason.DIVERGED
    for number, expected in longest.items():
        assert len(expected) > 0
        for life in lives:
            reports = life.reports[number]
            # Written out, NaN equals NaN.
            assert repr(comparable(reports)) == repr(comparable(expected[: len(reports)]))
    finished = [n for n in range(TRIALS) if sum(n in life.weights for life in lives) > 1]
    assert len(finished) > TRIALS // 2
    assert DIVERGING in finished
    for number in finished:
        first, *others = (life.weights[number] for life in lives if number in life.weights)
        for other in others:
            for ours, theirs in zip(first, other, strict=True):
                np.testing.assert_array_equal(ours, theirs)


def comparable(reports: list[EpochReport]) -> list[EpochReport]:
    return [figures(report) for report in reports]


def test_the_diverging_neighbour_has_lost_all_bounds(engine: FusedEngine) -> None:
    """Otherwise the test above would prove less than it says."""
    for structure in STRUCTURES:
        for number in range(SLOTS):
            engine.admit(trial(structure, number))
        for _ in range(4):
            engine.run_epoch()
        (cohort,) = engine._placement._cohorts
        state = engine._adapter.to_host(cohort.state_of(engine._slots[DIVERGING]))
        assert not all((np.abs(array) < 1e15).all() for array in state["weights"].values())
        assert all(np.isfinite(array).all() for array in kept_weights(engine, ANCHOR))
        engine.abandon()


@pytest.mark.parametrize("structure", STRUCTURES)
def test_an_epoch_may_take_many_calls(
    engine: FusedEngine, structure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, calls = epoch_of_all(engine, structure)
    monkeypatch.setattr(placement, "_CALL_FLOPS", 1.0)
    second, more_calls = epoch_of_all(engine, structure)
    assert repr(first) == repr(second)
    assert more_calls == 8 * calls  # 384 images in batches of 50


def epoch_of_all(engine: FusedEngine, structure: str) -> tuple[list[EpochReport], int]:
    before = engine.progress
    for number in range(SLOTS):
        engine.admit(trial(structure, number))
    reports = [replace(report, seconds=0.0) for report in engine.run_epoch()]
    engine.abandon()
    return reports, engine.progress - before
