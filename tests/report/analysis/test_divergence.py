import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sweep.report.analysis.divergence import boundary


def plane(trials: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trials that diverge where the logarithm of rate / (1 - momentum) is above -0.5."""
    chance = np.random.default_rng(0)
    x, y = chance.uniform(0, 5, trials), chance.uniform(-5, -1, trials)
    return x, y, x + y + noise * chance.standard_normal(trials) > -0.5


def test_the_boundary_is_found() -> None:
    line = boundary(*plane(2000, 0.3))
    assert line is not None
    assert line.slope == pytest.approx(-1.0, abs=0.1)
    assert line.at(np.array([2.5])) == pytest.approx([-3.0], abs=0.05)
    assert 0.9 < line.right / line.trials < 1.0


def test_it_is_that_of_a_ridge_regression() -> None:
    x, y, diverged = plane(80, 0.5)
    columns = np.column_stack([(x - x.mean()) / x.std(), (y - y.mean()) / y.std()])
    theirs = LogisticRegression(C=10.0**2, tol=1e-10).fit(columns, diverged)
    along, up = theirs.coef_[0] / [x.std(), y.std()]
    line = boundary(x, y, diverged)
    assert line is not None
    assert line.slope == pytest.approx(-along / up, rel=1e-4)


def test_a_line_that_parts_all_trials_lies_between_them() -> None:
    y = np.array([-5.0, -4.5, -4.0, -3.5, -3.0, -2.0, -1.8, -1.6, -1.4, -1.2])
    line = boundary(np.zeros(10), y, y > -2.5)
    assert line is not None
    assert -3.0 < line.level < -2.0
    assert (line.right, line.trials) == (10, 10)


def test_no_boundary_is_invented() -> None:
    x, y, diverged = plane(12, 0.0)
    few = diverged & (np.cumsum(diverged) <= 4)
    assert boundary(x, y, few) is None
    assert boundary(x, y, y < -3.0) is None
