"""Rules between epochs."""

import json
import math

import numpy as np
import pytest

from sweep.engines.stopping import EarlyStopping, Plateau, TrialCourse, is_diverged
from sweep.trial import TrialConfig


@pytest.mark.parametrize(
    ("loss", "penalty", "diverged"),
    [
        (2.3, 0.0, False),
        (math.nan, 0.0, True),
        (math.inf, 0.0, True),
        (-math.inf, 0.0, True),
        (9_999.0, 0.0, False),
        (10_001.0, 0.0, True),
        (30_000.0, 20_000.0, False),
        (210_001.0, 20_000.0, True),
    ],
)
def test_divergence(loss: float, penalty: float, diverged: bool) -> None:
    assert is_diverged(loss, penalty) is diverged


def over_at(values: list[float], patience: int, maximize: bool) -> tuple[int, int]:
    """The epoch after which training stops (0 for never) and the best epoch."""
    rule = EarlyStopping(patience, maximize)
    for epoch, value in enumerate(values, start=1):
        rule.is_new_best(epoch, value)
        if rule.is_over:
            return epoch, rule.best_epoch
    return 0, rule.best_epoch


@pytest.mark.parametrize(
    ("values", "patience", "maximize", "expected"),
    [
        ([3.0, 2.0, 2.5, 2.4, 1.0], 2, False, (4, 2)),
        ([3.0, 2.0, 2.5, 1.0, 0.5], 2, False, (0, 5)),
        ([0.1, 0.3, 0.2, 0.3], 2, True, (4, 2)),
        ([2.0, 2.0], 1, False, (2, 1)),
        ([2.0, math.nan, math.nan], 2, False, (3, 1)),
    ],
)
def test_early_stopping(
    values: list[float], patience: int, maximize: bool, expected: tuple[int, int]
) -> None:
    assert over_at(values, patience, maximize) == expected


def test_rules_exist_only_where_asked_for() -> None:
    assert EarlyStopping.from_config(TrialConfig()) is None
    assert Plateau.from_config(TrialConfig()) is None
    config = TrialConfig(early_stopping="val_accuracy", patience=3, schedule="plateau")
    assert EarlyStopping.from_config(config) == EarlyStopping(3, maximize=True)
    assert Plateau.from_config(config) == Plateau(0.5, 5)


def test_plateau_lowers_the_rate_and_starts_to_count_again() -> None:
    rule, rate, rates = Plateau(factor=0.5, patience=2), 1.0, []
    for loss in (2.0, 2.0, 1.99995, 2.1, 2.1, 1.0):
        rate = rule.next_rate(rate, loss)
        rates.append(rate)
    assert rates == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("seed", range(20))
def test_a_course_goes_on_where_it_was(seed: int) -> None:
    generator = np.random.default_rng(seed)
    config = TrialConfig(
        epochs=30,
        schedule="plateau",
        plateau_patience=int(generator.integers(1, 4)),
        early_stopping=str(generator.choice(["val_loss", "val_accuracy"])),
        patience=int(generator.integers(1, 9)),
    )
    straight, broken = TrialCourse(config), TrialCourse(config)
    while straight.finished is None:
        loss, accuracy = generator.random(2)
        resumed = TrialCourse(config)
        resumed.restore(json.loads(json.dumps(broken.state())))
        broken = resumed
        expected = straight.record(loss, accuracy, has_diverged=False)
        assert broken.record(loss, accuracy, has_diverged=False) == expected
        assert broken.state() == straight.state()
        assert (broken.finished, broken.kept_epoch) == (straight.finished, straight.kept_epoch)


def test_a_course_without_rules_goes_on_too() -> None:
    config = TrialConfig(epochs=3)
    course, resumed = TrialCourse(config), TrialCourse(config)
    course.record(1.0, 0.5, has_diverged=False)
    resumed.restore(course.state())
    assert (resumed.epochs, resumed.kept_epoch) == (1, 1)
