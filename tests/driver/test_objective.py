import math

import pytest

from sweep.driver.objective import (
    diverged_values,
    intermediate_value,
    kept_epoch,
    objective_values,
)
from sweep.spec.model import ObjectiveSpec
from sweep.trial import EpochReport, TrialConfig

ACCURACY = ObjectiveSpec()
LOSS = ObjectiveSpec(metric="val_loss", direction="minimize")
SECONDS = ObjectiveSpec(metric="seconds_per_epoch", direction="minimize")
PARAMETERS = ObjectiveSpec(metric="parameters", direction="minimize")


def curve(*points: tuple[float, float]) -> list[EpochReport]:
    """Epochs of the given validation loss and accuracy, each one second longer."""
    return [
        EpochReport(
            number=0,
            epoch=epoch,
            loss=1.0,
            accuracy=0.5,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            learning_rate=0.001,
            seconds=float(epoch),
        )
        for epoch, (val_loss, val_accuracy) in enumerate(points, start=1)
    ]


REPORTS = curve((2.0, 0.3), (1.5, 0.4), (1.5, 0.5), (1.9, 0.45))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (TrialConfig(), 4),
        (TrialConfig(early_stopping="val_loss"), 2),
        (TrialConfig(early_stopping="val_accuracy"), 3),
        (TrialConfig(early_stopping="val_loss", restore_best_weights=False), 4),
    ],
)
def test_the_kept_epoch_is_the_first_of_the_best_only_if_it_is_restored(
    config: TrialConfig, expected: int
) -> None:
    assert kept_epoch(config, REPORTS) == expected


def test_no_epoch_is_kept_of_a_trial_without_epochs() -> None:
    assert kept_epoch(TrialConfig(), []) == 0


def test_an_epoch_with_nan_is_never_the_best() -> None:
    reports = curve((math.nan, math.nan), (2.0, 0.2))
    for metric in ("val_loss", "val_accuracy"):
        assert kept_epoch(TrialConfig(early_stopping=metric), reports) == 2


def test_values_are_those_of_the_kept_epoch() -> None:
    values = objective_values(
        [ACCURACY, LOSS, SECONDS, PARAMETERS], REPORTS, kept=2, parameters=500_210
    )
    assert values == [0.4, 1.5, 2.5, 500_210.0]


def test_divergence_is_worth_the_worst_of_what_was_measured_and_guessing() -> None:
    reports = curve((2.0, 0.3), (math.inf, 0.09), (math.nan, math.nan))
    values = diverged_values([ACCURACY, LOSS], reports, classes=10, parameters=1)
    assert values == [0.09, math.log(10)]
    reports = curve((40.0, 0.3), (math.nan, math.nan))
    values = diverged_values([ACCURACY, LOSS, SECONDS], reports, classes=10, parameters=1)
    assert values == [0.1, 40.0, 1.5]


def test_pruners_are_told_finite_epoch_metrics_only() -> None:
    good, bad = curve((2.0, 0.3), (math.nan, 0.1))
    assert intermediate_value(LOSS, good) == 2.0
    assert intermediate_value(ACCURACY, good) == 0.3
    assert intermediate_value(LOSS, bad) is None
    assert intermediate_value(PARAMETERS, good) is None
