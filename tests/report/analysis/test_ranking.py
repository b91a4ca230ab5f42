import math

import numpy as np
import pytest
from report_studies import frames_of, trial_row
from scipy import stats

from sweep.report.analysis.ranking import lead, posterior_means, ranking
from sweep.report.frames import StudyFrames


def repeated(values: dict[str, list[float]], **goal: object) -> StudyFrames:
    """A study in which each activation was trained with as many seeds as it has values."""
    flat = [(activation, value) for activation, mine in values.items() for value in mine]
    rows = [
        trial_row(n, values=[value], config={"activation": activation})
        for n, (activation, value) in enumerate(flat)
    ]
    return frames_of(rows, **goal)  # type: ignore[arg-type]


def test_repeats_are_grouped_by_what_has_an_effect() -> None:
    adam = {"optimizer": "adam", "learning_rate": 0.1}
    rows = [
        trial_row(0, values=[0.4], config=adam | {"momentum": 0.5}),
        trial_row(1, values=[0.6], config=adam | {"momentum": 0.9}),
        trial_row(2, values=[0.45], config={"optimizer": "sgd", "momentum": 0.5}),
        trial_row(3, values=[0.1], config=adam, stop_reason="diverged"),
        trial_row(4, values=[0.9], config=adam, state="PRUNED"),
        trial_row(5, values=[0.3], config={"optimizer": "sgd", "momentum": 0.9}),
    ]
    table = ranking(frames_of(rows)).table
    assert table["trials"].tolist() == [[2], [0, 1, 3], [5]]
    known = table.iloc[1]
    interval = stats.t.interval(
        0.95, 2, loc=np.mean([0.4, 0.6, 0.1]), scale=stats.sem([0.4, 0.6, 0.1])
    )
    assert (known["low"], known["high"]) == pytest.approx(interval)
    assert table["low"].isna().tolist() == [True, False, True]


def test_lower_is_better_where_it_is_minimised() -> None:
    found = ranking(
        repeated(
            {"relu": [0.5], "selu": [0.2], "elu": [0.3]},
            metrics=("val_loss",),
            directions=("minimize",),
        )
    )
    assert found.table["mean"].tolist() == [0.2, 0.3, 0.5]
    assert lead(found, maximize=False).difference == pytest.approx(0.1)


def test_a_lead_of_repeated_configurations_is_that_of_welch() -> None:
    one, two = [0.50, 0.52, 0.51, 0.53], [0.40, 0.47, 0.43]
    found = lead(ranking(repeated({"relu": one, "selu": two})), maximize=True)
    interval = stats.ttest_ind(one, two, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.is_clear


def test_nothing_is_said_of_seeds_that_nobody_repeated() -> None:
    found = ranking(repeated({"relu": [0.9], "selu": [0.1], "elu": [0.5]}))
    assert found.table["expected"].isna().all()
    assert not lead(found, maximize=True).is_known


def test_single_seeds_are_judged_by_the_repeats_of_others() -> None:
    repeats = {"relu": [0.50, 0.52, 0.51], "selu": [0.49, 0.51, 0.53], "elu": [0.50, 0.51, 0.49]}
    bad = {"sigmoid": [0.1], "tanh": [0.1], "softplus": [0.12], "mish": [0.15]}
    values = {"swish": [0.60], "gelu": [0.595]} | repeats | bad
    found = ranking(repeated(values))
    pooled = math.sqrt(np.mean([np.var(mine, ddof=1) for mine in repeats.values()]))
    assert found.freedom == 6
    assert found.spread == pytest.approx(pooled)
    best = lead(found, maximize=True)
    half = stats.t.ppf(0.975, 6) * pooled * math.sqrt(2)
    assert (best.low, best.high) == pytest.approx((0.005 - half, 0.005 + half))
    assert best.is_known
    assert not best.is_clear


def test_equal_configurations_are_expected_to_be_equal() -> None:
    noise = np.random.default_rng(3).normal(0, 0.01, 200)
    expected = posterior_means(0.4 + noise, np.full(200, 0.01**2))
    assert np.ptp(expected) < 0.3 * np.ptp(noise)
    assert expected.mean() == pytest.approx(0.4, abs=0.002)


def test_what_noise_cannot_explain_is_left_alone() -> None:
    values = np.array([0.1, 0.3, 0.6])
    assert posterior_means(values, np.full(3, 1e-6)) == pytest.approx(values, abs=1e-4)


def test_the_best_is_not_flattered_where_most_are_bad() -> None:
    """A dense top, a long tail, and a quarter that learns nothing, as in a random search."""
    chance = np.random.default_rng(0)
    flattery = []
    for _ in range(60):
        true = 0.45 - 0.15 * chance.gamma(1.2, 0.5, 80)
        true = np.where(chance.random(80) < 0.25, 0.1, np.maximum(true, 0.1))
        seen = true + chance.normal(0, 0.01, 80)
        expected = posterior_means(seen, np.full(80, 0.01**2))
        best = int(seen.argmax())
        flattery.append((seen[best] - true[best], expected[best] - true[best]))
    raw, corrected = np.mean(flattery, axis=0)
    assert raw > 0.01
    assert abs(corrected) < raw / 3
