r"""What each value of each setting does to the first objective, and how sure that is.

**The question.** The effect of a level is its value minus the mean of the other levels' values,
each level counting alike, averaged over the other settings as the study tried them. What has an
effect with a level only (momentum under SGD) belongs to that level, as it was tried. A number with
more than six values is cut into bins. Diverged trials count with their real, worst value. Failed
ones have none: they are counted, and a level that fails more often than others is called so.
Pruned ones count with what they might have reached, see `sweep.report.analysis.pruned`.

**Two sources of variation.** Trials of one configuration differ by their seeds alone and are no
independent witnesses of what a setting does: a configuration is the unit. Where some were
repeated, the variances between and within configurations are estimated and weight them (a mixed
model by moments); the standard errors come from the configurations, see
`sweep.report.analysis.estimate`.

**matched**: where at least half of the trials lie in blocks (the same other settings) that hold
every level, levels are compared inside each block, and Student's interval over the blocks says
how far that holds. **adjusted**: elsewhere a linear model holds the other settings fixed: choices
by indicators, numbers by a cubic, of the logarithm if they span enough. Where there are too few
trials for all of them, the settings that explain most are held fixed, and the rest is named.

**How often it errs.** Intervals are 95 % each. Of many, some leave zero by chance; so `clear` is
an effect whose p-value passes Holm's correction over all effects of the study: in 95 of 100
studies without any effect, none is.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.report.analysis.cautions import always_failed, cautions
from sweep.report.analysis.compare import Comparison, compare
from sweep.report.analysis.design import Design, Setting, design_of
from sweep.report.analysis.estimate import Floats, holm
from sweep.report.analysis.levels import CONFIDENCE
from sweep.report.analysis.once import once
from sweep.report.analysis.pruned import completed_values
from sweep.report.analysis.words import effect_sentence
from sweep.report.frames import StudyFrames

# Values that differ by less than this share of the largest are equal.
ROUNDING: Final = 1e-12
COLUMNS: Final = (
    "setting",
    "level",
    "effect",
    "low",
    "high",
    "p",
    "clear",
    "mean",
    "count",
    "others",
    "configurations",
    "diverged",
    "pruned",
    "reckoned",
    "failed",
    "method",
    "explained",
    "time_ratio",
    "time_low",
    "time_high",
    "caution",
    "sentence",
)


@once
def effects(frames: StudyFrames) -> pd.DataFrame:
    """Effect of every value of every setting that varied; see the module.

    Returns:
        `setting`, `level`; `effect` and its 95 % interval `low`, `high` in units of the first
        objective (NaN where the data cannot say); `p` (Holm's correction over the table); `clear`;
        `mean` of the level; `count` of its trials, `others` (trials of the other levels),
        `configurations` (different ones of both); how many of the `count` are `diverged` or
        `pruned`, and how many of the pruned `reckoned` on; `failed` trials of the level, which do
        not count (a choice of which all failed has a row); `method`; `explained`: the share of
        the variance between the setting's levels, adjusted for their number; `time_ratio` and its
        interval `time_low`, `time_high`: seconds per epoch with the level against the others;
        `caution`: why to doubt, or empty; and `sentence`. Settings that explain most come first.
    """
    trials = frames.valued
    design = design_of(trials, frames.varied)
    lost = _lost_rows(frames)
    if not design.settings and not lost:
        return pd.DataFrame(columns=[*COLUMNS])
    values, reckoned = completed_values(frames, trials, design.basis)
    seconds = trials["seconds_per_epoch"].to_numpy(dtype=float)
    times = np.log(np.where(seconds > 0, seconds, np.nan))[:, None]
    explained = {name: explained_by(values.mean(axis=1), s) for name, s in design.settings.items()}
    rows: list[dict[str, Any]] = []
    for name in sorted(explained, key=lambda name: -_weight(explained[name], design, name)):
        setting = design.settings[name]
        found = compare(design, setting, values, explained)
        paces = compare(design, setting, times, explained)
        doubts = cautions(frames, design, setting, found, reckoned)
        rows += _rows(trials, setting, values, reckoned, found, paces, explained[name], doubts)
    table = pd.DataFrame(rows + lost)
    if _is_constant(values):
        # What differs then is how sums were rounded.
        table["p"] = table["p"].where(table["p"].isna(), 1.0)
    table["p"] = _holm(table)
    table["clear"] = table["p"] < 1.0 - CONFIDENCE
    sentences = [effect_sentence(frames.metrics[0], row) for row in records(table)]
    return table.assign(sentence=pd.Series(sentences, dtype=object))[[*COLUMNS]]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, by column."""
    return [{str(key): row[key] for key in row} for row in table.to_dict("records")]


def _rows(
    trials: pd.DataFrame,
    setting: Setting,
    values: Floats,
    reckoned: NDArray[np.bool_],
    found: Comparison,
    paces: Comparison,
    explained: float,
    doubts: Sequence[tuple[int, str]],
) -> list[dict[str, Any]]:
    low, high = found.estimates.interval(CONFIDENCE)
    time_low, time_high = paces.estimates.interval(CONFIDENCE)
    outcome = trials["outcome"].to_numpy()
    rows = []
    for code, level in enumerate(setting.labels):
        mine = setting.level == code
        failed, caution = doubts[code]
        rows.append(
            {
                "setting": setting.name,
                "level": level,
                "effect": found.estimates.value[code],
                "low": low[code],
                "high": high[code],
                "p": found.estimates.p_values()[code],
                "mean": float(values[mine].mean()),
                "count": int(mine.sum()),
                "others": int((setting.level >= 0).sum() - mine.sum()),
                "configurations": found.units,
                "diverged": int((outcome[mine] == "diverged").sum()),
                "pruned": int((outcome[mine] == "pruned").sum()),
                "reckoned": int(reckoned[mine].sum()),
                "failed": failed,
                "method": found.method,
                "explained": explained,
                "time_ratio": math.exp(paces.estimates.value[code]),
                "time_low": _power(time_low[code]),
                "time_high": _power(time_high[code]),
                "caution": caution,
            }
        )
    return rows


def _lost_rows(frames: StudyFrames) -> list[dict[str, Any]]:
    """Rows of choices of which every trial failed: they would be gone without a word."""
    numbers = ("effect", "low", "high", "p", "mean", "time_ratio", "time_low", "time_high")
    counts = ("count", "others", "configurations", "diverged", "pruned", "reckoned")
    nothing = dict.fromkeys(numbers, math.nan) | dict.fromkeys(counts, 0)
    return [
        {"setting": setting, "level": level, **nothing, "failed": failed}
        | {"method": "unknown", "explained": 0.0, "caution": f"all {failed} trials failed"}
        for setting, level, failed in always_failed(frames)
    ]


def _power(logarithm: float) -> float:
    """An end of an interval of few trials may lie beyond all numbers."""
    return math.exp(min(logarithm, 700.0))


def _weight(explained: float, design: Design, name: str) -> float:
    """A setting that has an effect in a part of the trials counts for that part."""
    return explained * float((design.settings[name].level >= 0).mean())


def explained_by(values: Floats, setting: Setting) -> float:
    """Adjusted R squared of a one-way analysis of variance, 0 at least."""
    active = setting.level >= 0
    codes, some = setting.level[active], values[active]
    total = float(((some - some.mean()) ** 2).sum())
    counts = np.bincount(codes)
    means = np.bincount(codes, some) / counts
    within = float(((some - means[codes]) ** 2).sum())
    freedom = len(some) - len(counts)
    if total <= 0.0 or freedom <= 0:
        return 0.0
    return max(0.0, 1.0 - (within / freedom) / (total / (len(some) - 1)))


def _is_constant(values: Floats) -> bool:
    """Whether all values are one, but for the last digits."""
    return not values.size or float(np.ptp(values)) <= ROUNDING * float(np.abs(values).max())


def _holm(table: pd.DataFrame) -> Floats:
    """p-values that bear looking at all of them; two levels of a setting are one comparison."""
    p = table["p"].to_numpy(dtype=float)
    pairs = table.groupby("setting")["level"].transform("size") == 2
    repeated = (pairs & table.duplicated("setting")).to_numpy()
    adjusted = holm(np.where(repeated, np.nan, p))
    for place in np.flatnonzero(repeated & np.isfinite(p)):
        adjusted[place] = adjusted[place - 1]
    return adjusted
