"""PED-ANOVA and fANOVA against Optuna's, which take a study where ours take arrays."""

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

from sweep.report.analysis import fanova as forests
from sweep.report.analysis.axes import Axis
from sweep.report.analysis.fanova import TREES, fanova
from sweep.report.analysis.ped_anova import CELLS, ped_anova, top_count

COUNT = 120
CHOICES = 4


@pytest.fixture(scope="module")
def data() -> tuple[list[Axis], NDArray[np.float64]]:
    """Three numbers, one of them without effect in a third of the trials, and a choice."""
    chance = np.random.default_rng(0)
    numbers = chance.random((COUNT, 3))
    numbers = (numbers - numbers.min(axis=0)) / np.ptp(numbers, axis=0)
    choice = chance.integers(CHOICES, size=COUNT)
    losses = numbers[:, 0] ** 2 + 0.4 * numbers[:, 1] + 0.1 * (choice == 2)
    losses += 0.05 * chance.standard_normal(COUNT)
    some = np.where(np.arange(COUNT) % 3 == 0, np.nan, numbers[:, 1])
    axes = [
        Axis("a", numbers[:, 0], 0),
        Axis("b", numbers[:, 1], 0),
        Axis("c", numbers[:, 2], 0),
        Axis("d", choice.astype(float), CHOICES),
        Axis("e", some, 0),
    ]
    return axes, losses


def study_of(axes: list[Axis], losses: NDArray[np.float64]) -> optuna.Study:
    study = optuna.create_study()
    spaces: dict[str, BaseDistribution] = {
        axis.name: CategoricalDistribution(range(CHOICES))
        if axis.choices
        else FloatDistribution(0.0, 1.0)
        for axis in axes
    }
    for row, loss in enumerate(losses):
        known = {a.name: a.place[row] for a in axes if not np.isnan(a.place[row])}
        params = {n: int(v) if n == "d" else float(v) for n, v in known.items()}
        used = {name: spaces[name] for name in params}
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=used, value=float(loss))
        )
    return study


def test_ped_anova_is_that_of_optuna(data: tuple[list[Axis], NDArray[np.float64]]) -> None:
    axes, losses = data
    evaluator = PedAnovaImportanceEvaluator(target_quantile=0.1)
    theirs = evaluator.evaluate(study_of(axes, losses))
    ours = ped_anova(axes, [axis.cells(CELLS) for axis in axes], losses)
    # Theirs are relative to the quantile.
    share = (top_count(COUNT) / COUNT) ** 2
    assert [theirs[axis.name] for axis in axes] == pytest.approx(share * ours, rel=1e-9)


def test_fanova_of_numbers_is_that_of_optuna(
    data: tuple[list[Axis], NDArray[np.float64]], monkeypatch: pytest.MonkeyPatch
) -> None:
    axes, losses = data[0][:3], data[1]
    monkeypatch.setattr(forests, "LEAST_IN_LEAF", 1)
    evaluator = FanovaImportanceEvaluator(n_trees=TREES, seed=0)
    theirs = evaluator.evaluate(study_of(axes, losses))
    ours = fanova(axes, np.arange(COUNT), losses)
    assert [theirs[axis.name] for axis in axes] == pytest.approx(ours, rel=1e-6)


def test_fanova_knows_what_each_setting_explains() -> None:
    """Independent parts of known variance; what has no effect in most trials has little."""
    chance = np.random.default_rng(1)
    count = 400
    parent = chance.integers(2, size=count)
    choice = chance.integers(5, size=count)
    number = chance.random(count)
    child = np.where(parent == 1, chance.random(count), np.nan)
    worth = np.array([0.0, 3.0, -3.0, 1.0, -1.0])
    losses = worth[choice] + 4.0 * parent + 2.0 * np.sqrt(12.0) * (number - 0.5)
    variances = np.array([4.0, worth.var(), 4.0, 0.0])
    axes = [
        Axis("parent", parent.astype(float), 2),
        Axis("choice", choice.astype(float), 5),
        Axis("number", number, 0),
        Axis("child", child, 0),
    ]
    shares = fanova(axes, np.arange(count), losses)
    assert shares == pytest.approx(variances / variances.sum(), abs=0.06)
