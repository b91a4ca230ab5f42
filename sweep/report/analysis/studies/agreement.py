"""Whether settings do in one study what they do in another: effects side by side.

Both studies' trials are cut into the same levels, and each effect is that level against the mean
of the other levels that both tried, estimated in each study by itself as in
`sweep.report.analysis.effects`. The difference of the two effects is the interaction of study and
setting: Welch's interval from both standard errors, and Holm's correction over all of them.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from sweep.report.analysis.compare import LEAST_IN_LEVEL, compare
from sweep.report.analysis.design import Design, Setting, design_of
from sweep.report.analysis.effects import explained_by, records
from sweep.report.analysis.estimate import Estimates, Floats, Ints, holm
from sweep.report.analysis.levels import CONFIDENCE
from sweep.report.analysis.studies.pool import Pool, pooled
from sweep.report.analysis.studies.words import agreement_sentence
from sweep.report.frames import StudyFrames

SIDES: Final = ("first", "other")
COLUMNS: Final = (
    "setting",
    "level",
    "against",
    "first_effect",
    "first_low",
    "first_high",
    "first_count",
    "other_effect",
    "other_low",
    "other_high",
    "other_count",
    "difference",
    "low",
    "high",
    "p",
    "verdict",
    "sentence",
)


def effects_by_study(first: StudyFrames, other: StudyFrames) -> pd.DataFrame:
    """Effects of the settings that two studies varied, side by side; see the module.

    The first objective of both must be the same; their data need not be.

    Returns:
        `setting`, `level`, `against` (the other level if there are just two, else empty); of each
        study the effect with its 95 % interval and the level's trials (`first_effect`,
        `first_low`, `first_high`, `first_count`, `other_...`); `difference` (other minus first)
        with its interval `low`, `high`; `p` (Holm's correction); `verdict`: `differs` if that
        passes, `agrees` if both intervals leave zero on the same side, `unclear` otherwise; and
        `sentence`. The settings that explain most come first; of two levels, one
        has a row.
    """
    pool = pooled(first, other)
    sides = [_Side(pool, code, frames) for code, frames in enumerate((first, other))]
    names = [n for n in pool.varied if all(n in side.design.settings for side in sides)]
    shared = design_of(pool.trials, names).settings
    rows: list[dict[str, Any]] = []
    for name in sorted(shared, key=lambda n: -sum(side.explained[n] for side in sides)):
        rows += _rows(shared[name], sides)
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "sentence"])
    table["p"] = holm(table["p"].to_numpy(dtype=float))
    table["verdict"] = [_verdict(row) for row in records(table)]
    studies = first.study, other.study
    said = [agreement_sentence(first.metrics[0], studies, row) for row in records(table)]
    return table.assign(sentence=pd.Series(said, dtype=object))[[*COLUMNS]]


class _Side:
    """One of the two studies: its own design and values, and its rows in the pool."""

    def __init__(self, pool: Pool, code: int, frames: StudyFrames) -> None:
        self.rows = pool.study == code
        mine = pool.of(self.rows)
        self.design: Design = design_of(mine.trials, frames.varied)
        self.values: Floats = mine.values
        middle = mine.values.mean(axis=1)
        settings = self.design.settings.items()
        self.explained: Mapping[str, float] = {n: explained_by(middle, s) for n, s in settings}

    def estimates(self, setting: Setting, level: Ints) -> Estimates:
        """Effects of levels that were cut for both studies; those coded -1 do not count."""
        own = self.design.settings[setting.name]
        asked = Setting(setting.name, setting.labels, level, own.exact, own.basis)
        return compare(self.design, asked, self.values, self.explained).estimates


def _rows(setting: Setting, sides: list[_Side]) -> list[dict[str, Any]]:
    levels = [setting.level[side.rows] for side in sides]
    count = len(setting.labels)
    sizes = np.array([np.bincount(level[level >= 0], minlength=count) for level in levels])
    kept = np.flatnonzero((sizes >= LEAST_IN_LEVEL).all(axis=0))
    if len(kept) < 2:
        return []
    one, two = (
        side.estimates(setting, np.where(np.isin(level, kept), level, -1))
        for side, level in zip(sides, levels, strict=True)
    )
    ends = [(found, *found.interval(CONFIDENCE)) for found in (one, two)]
    gap = _gap(one, two)
    low, high = gap.interval(CONFIDENCE)
    rows = []
    told, against = _told(setting, kept)
    for code in told:
        if not np.isfinite(gap.freedom[code]):
            continue
        row = {
            "setting": setting.name,
            "level": setting.labels[code],
            "against": against,
            "difference": gap.value[code],
            "low": low[code],
            "high": high[code],
            "p": gap.p_values()[code],
        }
        for name, size, (found, lows, highs) in zip(SIDES, sizes, ends, strict=True):
            row |= {
                f"{name}_effect": found.value[code],
                f"{name}_low": lows[code],
                f"{name}_high": highs[code],
                f"{name}_count": int(size[code]),
            }
        rows.append(row)
    return rows


def _told(setting: Setting, kept: Ints) -> tuple[Ints, str]:
    """The levels that have a row; of two just one, and the other one's name."""
    if len(kept) > 2:
        return kept, ""
    # Rather what something does than what its absence does.
    absent = 1 if setting.labels[kept[1]] == "none" else 0
    return kept[[1 - absent]], setting.labels[kept[absent]]


def _gap(one: Estimates, two: Estimates) -> Estimates:
    """The second minus the first, whose errors are independent; Satterthwaite's freedom."""
    variances = one.error**2, two.error**2
    total = variances[0] + variances[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = variances[0] ** 2 / one.freedom + variances[1] ** 2 / two.freedom
        freedom = np.where(total > 0, total**2 / spread, np.minimum(one.freedom, two.freedom))
    return Estimates(two.value - one.value, np.sqrt(total), freedom)


def _verdict(row: Mapping[str, Any]) -> str:
    if row["p"] < 1.0 - CONFIDENCE:
        return "differs"
    if all(row[f"{side}_low"] > 0 for side in SIDES) or all(
        row[f"{side}_high"] < 0 for side in SIDES
    ):
        return "agrees"
    return "unclear"
