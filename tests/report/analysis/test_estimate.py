import numpy as np
import pytest
from scipy import stats

from sweep.report.analysis.estimate import contrasts

ZERO = np.zeros(12, dtype=np.int64)


def test_indicators_of_two_groups_are_welchs_test() -> None:
    chance = np.random.default_rng(0)
    groups = np.array([0] * 9 + [1] * 4)
    values = np.where(groups == 1, chance.normal(1.0, 0.5, 13), chance.normal(0.0, 0.1, 13))
    design = np.eye(2)[groups]
    found = contrasts(design, values[:, None], np.ones(13), groups, np.array([[-1.0, 1.0]]))
    welch = stats.ttest_ind(values[groups == 1], values[groups == 0], equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert found.value == pytest.approx(values[9:].mean() - values[:9].mean())
    assert found.freedom == pytest.approx(welch.df)
    assert np.ravel(found.interval(0.95)) == pytest.approx([interval.low, interval.high])
    assert found.p_values() == pytest.approx(welch.pvalue)


def test_a_mean_is_students() -> None:
    values = np.random.default_rng(1).normal(size=12)
    ones = np.ones((12, 1))
    found = contrasts(ones, values[:, None], ones[:, 0], ZERO, np.ones((1, 1)))
    assert found.error == pytest.approx(stats.sem(values))
    assert found.freedom == pytest.approx(11)


def test_the_line_is_that_of_weighted_least_squares() -> None:
    chance = np.random.default_rng(2)
    design = np.stack([np.ones(12), chance.normal(size=12)], axis=1)
    values, weights = chance.normal(size=12), chance.uniform(0.5, 2.0, 12)
    found = contrasts(design, values[:, None], weights, ZERO, np.eye(2))
    root = np.sqrt(weights)
    expected = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
    assert found.value == pytest.approx(expected)


def test_what_the_design_cannot_tell_is_unknown() -> None:
    codes = np.arange(12) % 2
    design = np.concatenate([np.eye(2)[codes], np.eye(2)[codes]], axis=1)
    wanted = np.array([[-1.0, 1.0, 0.0, 0.0], [-1.0, 1.0, -1.0, 1.0]])
    found = contrasts(design, codes[:, None] + 0.0, np.ones(12), ZERO, wanted)
    assert np.isnan(found.value).tolist() == [True, False]
    assert np.isnan(found.interval(0.95)[0]).tolist() == [True, False]


def test_draws_that_differ_widen_the_interval() -> None:
    chance = np.random.default_rng(3)
    values = chance.normal(size=(12, 1))
    ones = np.ones((12, 1))
    sure = contrasts(ones, np.repeat(values, 20, axis=1), ones[:, 0], ZERO, np.ones((1, 1)))
    draws = values + chance.normal(0.0, 2.0, (1, 20))
    unsure = contrasts(ones, draws, ones[:, 0], ZERO, np.ones((1, 1)))
    assert sure.error == pytest.approx(stats.sem(values[:, 0]))
    assert unsure.error > 2 * sure.error
    assert unsure.freedom < sure.freedom
