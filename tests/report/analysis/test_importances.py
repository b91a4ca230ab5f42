from dataclasses import replace

import numpy as np
import pytest
from report_studies import frames_of, trial_row

from sweep.report.analysis import importances
from sweep.report.analysis.importances import importances_frame


@pytest.fixture(scope="module")
def rows() -> list[dict[str, object]]:
    """The rate matters much, the optimizer a little, the width not at all."""
    chance = np.random.default_rng(0)
    rows = []
    for n in range(80):
        rate = float(10 ** chance.uniform(-5, -1))
        sgd = bool(chance.random() < 0.5)
        config = {
            "learning_rate": rate,
            "optimizer": "sgd" if sgd else "adam",
            "width": int(chance.integers(50, 200)),
        }
        if sgd:
            config["momentum"] = float(chance.choice([0.0, 0.9]))
        value = 0.5 - 0.05 * abs(np.log10(rate) + 3) + 0.02 * sgd + float(chance.normal(0, 0.01))
        rows.append(trial_row(n, values=[value], config=config))
    return rows


def test_importances_say_what_matters_and_how_surely(rows: list[dict[str, object]]) -> None:
    table = importances_frame(frames_of(rows))
    for method in ("ped-anova", "fanova"):
        mine = table[table["method"] == method].set_index("setting")
        assert set(mine.index) == {"learning_rate", "optimizer", "momentum", "width"}
        assert mine.index[0] == "learning_rate"
        assert mine["importance"].sum() == pytest.approx(1.0)
        assert ((mine["low"] <= mine["importance"]) & (mine["importance"] <= mine["high"])).all()
        assert mine.loc["learning_rate", "clear"]
        assert not mine.loc["width", "clear"]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    few = tuple(replace(method, resamples=2) for method in importances.METHODS)
    monkeypatch.setattr(importances, "METHODS", few)


@pytest.mark.usefixtures("hurried")
def test_importances_are_the_same_each_time(rows: list[dict[str, object]]) -> None:
    frames = frames_of(rows[:40])
    assert importances_frame(frames).equals(importances_frame(frames))


@pytest.mark.usefixtures("hurried")
def test_a_large_study_takes_no_longer_than_a_sample_of_it() -> None:
    chance = np.random.default_rng(1)
    rows = [
        trial_row(n, values=[rate], config={"learning_rate": rate, "l2": float(chance.random())})
        for n, rate in enumerate(chance.uniform(0.001, 0.1, 5000))
    ]
    table = importances_frame(frames_of(rows))
    assert table.groupby("method")["trials"].first().to_dict() == {
        method.name: method.most_trials for method in importances.METHODS
    }
    assert table.groupby("method").first()["setting"].tolist() == ["learning_rate"] * 2


def test_too_few_or_constant_trials_have_none(rows: list[dict[str, object]]) -> None:
    assert importances_frame(frames_of(rows[:10])).empty
    assert importances_frame(frames_of([row | {"values": [0.1]} for row in rows])).empty
