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
from sweep.trial import EpochReport, StopReason, TrialConfig, TrialResult

CONFIG = TrialConfig(depth=2)
DATA = DataRef(Path("."), "small", False, "f00d", (0, 10), (10, 12), 10)


def reports(*curve: float) -> list[EpochReport]:
    return [
        EpochReport(1, epoch, 2.0, 0.1, 3.0 - value, value, 0.1, 1.0)
        for epoch, value in enumerate(curve, start=1)
    ]


def result(engine: str = "reference", device: str = "cpu:1") -> TrialResult:
    return TrialResult(1, StopReason.COMPLETED, 2, 2, 9, 1.0, engine, device)


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
    compared = compare(trial_file(*curve), DATA, result(), reports(*curve))
    assert compared is not None
    assert compared.is_exact
    assert compared.epochs == len(curve)
    assert compared.differences == {"val_accuracy": 0.0, "val_loss": 0.0}


def test_the_smallest_difference_is_told(caplog: pytest.LogCaptureFixture) -> None:
    other = math.nextafter(0.3, 1.0)
    compared = compare(trial_file(0.2, 0.3), DATA, result(), reports(0.2, other))
    assert compared is not None
    assert compared.is_exact is False
    assert compared.differences["val_accuracy"] == other - 0.3
    assert "from epoch 2 on" in compared.message


def test_a_number_against_none_is_infinitely_different() -> None:
    compared = compare(trial_file(0.2, math.nan), DATA, result(), reports(0.2, 0.3))
    assert compared is not None
    assert compared.is_exact is False
    assert compared.differences["val_loss"] == math.inf


def test_on_a_gpu_the_fused_engine_is_not_expected_to_be_exact() -> None:
    file = replace(trial_file(0.2, engine="fused", device="gpu:1"), engine="fused")
    compared = compare(file, DATA, result("fused", "gpu:0"), reports(0.3))
    assert compared is not None
    assert compared.message.endswith("depend on how many trials train together")
    reference = trial_file(0.2, device="gpu:1")
    compared = compare(reference, DATA, result(device="gpu:0"), reports(0.3))
    assert compared is not None
    assert compared.message.startswith("not reproduced")


def test_a_longer_training_is_compared_as_far_as_the_trial_went() -> None:
    compared = compare(trial_file(0.2), DATA, result(), reports(0.2, 0.3))
    assert compared is not None
    assert (compared.is_exact, compared.epochs) == (True, 1)


@pytest.mark.parametrize(
    ("file", "trained", "words"),
    [
        (trial_file(0.2, device="gpu:0"), result(), ("gpu", "cpu")),
        (trial_file(0.2, engine="fused"), result(), ("fused", "reference")),
        (
            replace(trial_file(0.2, engine="fused"), engine="fused", backend="jax"),
            result("fused"),
            ("tensorflow", "jax"),
        ),
        (
            # The fused engine handed the trial on.
            replace(trial_file(0.2, engine="fused", backend="jax"), engine="fused", backend="jax"),
            result(),
            ("fused, jax", "reference, tensorflow"),
        ),
    ],
    ids=["device", "engine", "backend", "stand-in"],
)
def test_a_training_of_another_kind_is_not_expected_to_be_exact(
    file: TrialFile, trained: TrialResult, words: tuple[str, str]
) -> None:
    compared = compare(file, DATA, trained, reports(0.3))
    assert compared is not None
    assert compared.is_exact is False
    assert compared.message.startswith("validation accuracy within 0.1 and loss within 0.1 of")
    assert compared.message.endswith(f"the trial trained with {words[0]}, this with {words[1]}")
    exact = compare(file, DATA, trained, reports(0.2))
    assert exact is not None
    assert exact.is_exact


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
    compared = compare(file, data, result(), reports(0.2))
    assert compared is not None
    assert compared.is_exact is None
    assert reason in compared.message


def test_a_config_that_expects_nothing_is_not_compared() -> None:
    assert compare(replace(trial_file(), expected=None), DATA, result(), reports(0.2)) is None
