"""Whether a training is told to be the trial's or not."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.data import DataRef
from sweep.spec.config_file import TrialFile, dump_trial_file, parse_trial_file
from sweep.spec.model import DataSpec
from sweep.train.comparison import compare
from sweep.trial import EpochReport, TrialConfig

CONFIG = TrialConfig(depth=2)
DATA = DataRef(Path("."), "small", False, "f00d", (0, 10), (10, 12), 10)


def reports(*curve: float) -> list[EpochReport]:
    return [
        EpochReport(1, epoch, 2.0, 0.1, 3.0 - value, value, 0.1, 1.0)
        for epoch, value in enumerate(curve, start=1)
    ]


def trial_file(*curve: float, **changes: Any) -> TrialFile:
    """A file as it is read after it was written."""
    expected = {
        "config_fingerprint": CONFIG.fingerprint(),
        "seed": 5,
        "data_fingerprint": "f00d",
        "engine": "reference",
        "device": "cpu:0",
        "val_accuracy": list(curve),
        "val_loss": [3.0 - value for value in curve],
    }
    made = TrialFile(CONFIG, 5, DataSpec(), "small", 1, expected | changes)
    return parse_trial_file(dump_trial_file(made))


@given(st.lists(st.floats(0.0, 1.0) | st.just(math.nan), min_size=1, max_size=5))
def test_the_same_figures_are_exactly_the_same_after_a_round_trip(curve: list[float]) -> None:
    result = compare(trial_file(*curve), DATA, "cpu:1", reports(*curve))
    assert result is not None
    assert result.is_exact
    assert result.epochs == len(curve)
    assert result.differences == {"val_accuracy": 0.0, "val_loss": 0.0}


def test_the_smallest_difference_is_told(caplog: pytest.LogCaptureFixture) -> None:
    other = math.nextafter(0.3, 1.0)
    result = compare(trial_file(0.2, 0.3), DATA, "cpu:1", reports(0.2, other))
    assert result is not None
    assert result.is_exact is False
    assert result.differences["val_accuracy"] == other - 0.3
    assert "from epoch 2 on" in result.message


def test_a_number_against_none_is_infinitely_different() -> None:
    result = compare(trial_file(0.2, math.nan), DATA, "cpu:1", reports(0.2, 0.3))
    assert result is not None
    assert result.is_exact is False
    assert result.differences["val_loss"] == math.inf


def test_a_longer_training_is_compared_as_far_as_the_trial_went() -> None:
    result = compare(trial_file(0.2), DATA, "cpu:1", reports(0.2, 0.3))
    assert result is not None
    assert (result.is_exact, result.epochs) == (True, 1)


def test_another_kind_of_device_is_named() -> None:
    result = compare(trial_file(0.2, device="gpu:0"), DATA, "cpu:1", reports(0.3))
    assert result is not None
    assert result.message.endswith("the trial trained on gpu:0, this on cpu:1")


@pytest.mark.parametrize(
    ("file", "data", "reason"),
    [
        (trial_file(0.2), replace(DATA, fingerprint="beef"), "other images"),
        (replace(trial_file(0.2), config=TrialConfig(depth=3)), DATA, "settings were changed"),
        (replace(trial_file(0.2), seed=6), DATA, "seed was changed"),
        (trial_file(), DATA, "no curve"),
        (trial_file(0.2, val_loss="low"), DATA, "no curve"),
        (trial_file(0.2, val_accuracy=["high"]), DATA, "no curve"),
    ],
)
def test_what_cannot_be_compared_is_not(file: TrialFile, data: DataRef, reason: str) -> None:
    result = compare(file, data, "cpu:1", reports(0.2))
    assert result is not None
    assert result.is_exact is None
    assert reason in result.message


def test_a_config_that_expects_nothing_is_not_compared() -> None:
    assert compare(replace(trial_file(), expected=None), DATA, "cpu:1", reports(0.2)) is None
