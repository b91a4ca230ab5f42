import math
from typing import Any

import pytest

from sweep.report.analysis.words import effect_sentence, phrase

ROW: dict[str, Any] = {
    "setting": "batch_norm",
    "level": "before",
    "effect": 0.039,
    "low": 0.028,
    "high": 0.051,
    "clear": True,
    "count": 40,
    "others": 56,
    "time_ratio": 1.52,
    "time_low": 1.4,
    "time_high": 1.6,
    "caution": "",
}


@pytest.mark.parametrize(
    ("metric", "changes", "sentence"),
    [
        (
            "val_accuracy",
            {},
            "batch norm before the activation: +3.9 points [2.8, 5.1] at 1.5x the time per "
            "epoch, 96 trials",
        ),
        (
            "val_accuracy",
            {"effect": -0.039, "low": -0.051, "high": -0.028, "time_high": math.nan},
            "batch norm before the activation: -3.9 points [-5.1, -2.8] at 1.5x the time per "
            "epoch, 96 trials",
        ),
        (
            "val_loss",
            {"setting": "depth", "level": "20", "clear": False, "time_low": 0.9},
            "depth 20: +0.039 in val loss [0.028, 0.051], which may be chance among so many, "
            "96 trials",
        ),
        (
            "parameters",
            {"effect": 1234.5, "low": -1.0, "high": 2470.0, "clear": False, "time_ratio": 1.01},
            "batch norm before the activation: +1,234 [-1, 2,470], which may be chance, 96 trials",
        ),
        (
            "val_accuracy",
            {"effect": math.nan, "low": math.nan, "high": math.nan, "caution": "too few"},
            "batch norm before the activation: these data cannot say, 96 trials (too few)",
        ),
    ],
)
def test_an_effect_in_words(metric: str, changes: dict[str, Any], sentence: str) -> None:
    assert effect_sentence(metric, ROW | changes) == sentence


def test_settings_without_a_phrase_are_named_by_field_and_value() -> None:
    assert phrase("kernel_initializer", "he_normal") == "kernel initializer he_normal"
    assert phrase("dropout", "none") == "no dropout"
