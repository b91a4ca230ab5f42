"""Do 95 % intervals hold 95 % of the time, and how often does nothing look like something?"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import planted
import pytest

from sweep.report.analysis.compare import LEAST_IN_LEVEL
from sweep.report.analysis.design import Setting, design_of
from sweep.report.analysis.effects import effects
from sweep.report.analysis.interactions import interactions

# One design takes a minute and more where others work beside it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STUDIES = 500
NOMINAL = 0.95
TOLERANCE = 0.02
WITHOUT_EFFECTS = (
    "random search, 40 trials",
    "like TPE, 120 trials",
    "grid, 24 configurations x 3 seeds",
)


@dataclass(frozen=True)
class Seen:
    """What the effects of a study were, and what was planted."""

    table: pd.DataFrame
    truth: list[float]

    @property
    def covered(self) -> list[bool]:
        """Whether each interval that there is holds the truth."""
        ends = zip(self.table["low"], self.truth, self.table["high"], strict=True)
        return [low <= truth <= high for low, truth, high in ends if not np.isnan(low)]


def seen(draw: planted.Draw) -> Iterator[Seen]:
    for frames, truth in draw.frames():
        table = effects(frames)
        trials = frames.valued
        design = design_of(trials, frames.varied)
        expected: list[float] = []
        for name in dict.fromkeys(table["setting"]):
            expected += contrasts_of(design.settings[name], truth[name][trials.index])
        yield Seen(table, expected)


def contrasts_of(setting: Setting, adds: planted.Floats) -> list[float]:
    """What each level truly adds, against the mean of the others that are compared."""
    means = np.array([adds[setting.level == k].mean() for k in range(len(setting.labels))])
    kept = np.bincount(setting.level[setting.level >= 0]) >= LEAST_IN_LEVEL
    places = np.arange(len(means))
    return [
        means[k] - means[kept & (places != k)].mean()
        if kept[k] and kept.sum() > 1
        else float("nan")
        for k in places
    ]


@pytest.mark.parametrize("name", planted.DESIGNS)
def test_intervals_cover_at_their_stated_rate(name: str) -> None:
    nature = planted.Nature(np.random.default_rng(1))
    covered = [c for s in seen(planted.DESIGNS[name](nature, STUDIES)) for c in s.covered]
    assert len(covered) > 8 * STUDIES
    assert np.mean(covered) == pytest.approx(NOMINAL, abs=TOLERANCE)


@pytest.mark.parametrize("name", WITHOUT_EFFECTS)
def test_a_study_without_effects_shows_none_beyond_the_stated_rate(name: str) -> None:
    nature = planted.Nature(np.random.default_rng(2), effects=False)
    tables = [s.table for s in seen(planted.DESIGNS[name](nature, STUDIES))]
    table = pd.concat(tables)
    leaves_zero = ((table["low"] > 0) | (table["high"] < 0))[table["low"].notna()]
    assert leaves_zero.mean() == pytest.approx(1 - NOMINAL, abs=TOLERANCE)
    # Beyond chance, over all effects of a study: in one study of twenty at most.
    assert np.mean([table["clear"].any() for table in tables]) <= 1 - NOMINAL + TOLERANCE


def test_interactions_of_a_study_without_any_are_seldom_clear() -> None:
    nature = planted.Nature(np.random.default_rng(3))
    draw = planted.random_search(nature, STUDIES, 100)
    clear = [interactions(frames)["clear"].any() for frames, _ in draw.frames()]
    assert np.mean(clear) <= 1 - NOMINAL + TOLERANCE
