"""Why an effect is to be doubted, in words."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaln

from sweep.report.analysis.compare import LEAST_IN_LEVEL, Comparison
from sweep.report.analysis.design import Design, Setting
from sweep.report.analysis.estimate import Ints
from sweep.report.analysis.levels import MOST_LEVELS
from sweep.report.frames import StudyFrames, active_values
from sweep.report.text import label
from sweep.trial import FIELDS

FEW_UNITS = 5
MOST_RECKONED = 0.3
MOST_INFLATION = 5.0
UNEVEN = 0.05


def cautions(
    frames: StudyFrames,
    design: Design,
    setting: Setting,
    found: Comparison,
    reckoned: NDArray[np.bool_],
) -> list[tuple[int, str]]:
    """For each level: how many of its trials failed, and the reasons for doubt, or nothing."""
    failed = failures(frames, setting)
    counts = np.bincount(setting.level[setting.level >= 0], minlength=len(setting.labels))
    shared = _shared(design, setting, found)
    lines = []
    for code in range(len(setting.labels)):
        mine = setting.level == code
        doubts = _thin(found, code, int(counts[code])) or [*shared]
        if np.isfinite(found.inflation[code]) and found.inflation[code] > MOST_INFLATION:
            doubts.append("seldom chosen apart from other settings")
        share = float(reckoned[mine].mean())
        if share > MOST_RECKONED:
            doubts.append(f"{share:.0%} of its values reckoned on from pruned trials")
        lost = int(failed[code])
        if lost and _uneven(lost, int(counts[code]), int(failed.sum()), int(counts.sum())):
            doubts.append(f"{lost} of {lost + counts[code]} trials failed and do not count")
        lines.append((lost, "; ".join(doubts)))
    return lines


def failures(frames: StudyFrames, setting: Setting) -> Ints:
    """Number of failed trials of each level; a value that never had a result is no level."""
    counts = np.zeros(len(setting.labels), dtype=np.int64)
    is_failed = (frames.trials["outcome"] == "failed").to_numpy()
    if not is_failed.any():
        return counts
    failed = frames.trials[is_failed]
    known = active_values(frames.valued, setting.name)
    tried = pd.Series(setting.level, index=known.index)[known.notna()]
    values = active_values(failed, setting.name).dropna()
    if pd.api.types.is_numeric_dtype(known):
        ends = known.dropna().astype(float).groupby(tried).max().to_numpy()
        lowest = float(known.min())
        inside = values[(values >= lowest) & (values <= ends[-1])].astype(float)
        np.add.at(counts, np.searchsorted(ends, inside.to_numpy()), 1)
        return counts
    code_of = dict(zip(known.dropna(), tried, strict=True))
    for value in values:
        if value in code_of:
            counts[code_of[value]] += 1
    return counts


def always_failed(frames: StudyFrames) -> list[tuple[str, str, int]]:
    """Choices that never had a result: setting, value and number of failed trials."""
    outcome = frames.trials["outcome"]
    failed, valued = frames.trials[outcome == "failed"], frames.valued
    lost = []
    for name in frames.varied if len(failed) else ():
        known = active_values(valued, name).dropna()
        counts = active_values(failed, name).value_counts()
        is_number = FIELDS[name].type in (int, float)
        if is_number and pd.concat([known, counts.index.to_series()]).nunique() > MOST_LEVELS:
            continue
        seen = set(known)
        lost += [(name, label(v), int(n)) for v, n in counts.items() if v not in seen]
    return lost


def _thin(found: Comparison, code: int, count: int) -> list[str]:
    if np.isfinite(found.estimates.freedom[code]):
        return []
    if count < LEAST_IN_LEVEL or found.method == "unknown":
        return ["too few trials to compare"]
    return ["never chosen apart from another setting"]


def _shared(design: Design, setting: Setting, found: Comparison) -> list[str]:
    """What holds for all levels of a setting."""
    doubts = []
    if 0 < found.units < FEW_UNITS:
        noun = "blocks of equal settings" if found.method == "matched" else "configurations"
        doubts.append(f"only {found.units} {noun}")
    if found.left_out:
        names = [name.replace("_", " ") for name in found.left_out]
        shown = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
        doubts.append(f"too few trials to hold {shown} fixed")
    without = (setting.name, *design.dependents(setting.name))
    others = [name for name in design.settings if name not in without]
    if found.method == "adjusted" and others:
        blocks = design.configurations(without)[setting.level >= 0]
        if len(np.unique(blocks)) == 1:
            doubts.append("seen with one set of other settings only")
    return doubts


def _uneven(failed: int, counted: int, all_failed: int, all_counted: int) -> bool:
    """Whether a level fails more or less often than the others."""
    return fisher_p(failed, counted, all_failed - failed, all_counted - counted) < UNEVEN


def fisher_p(a: int, b: int, c: int, d: int) -> float:
    """Fisher's exact test of the table `[[a, b], [c, d]]`, two-sided.

    That of `scipy.stats`, which takes longer to load than all else here takes together.
    """
    drawn = np.arange(max(0, a - d), min(a + b, a + c) + 1)
    logarithms = -sum(
        gammaln(part + 1.0) for part in (drawn, a + b - drawn, a + c - drawn, d - a + drawn)
    )
    chances = np.exp(logarithms - logarithms.max())
    # Tables as likely as this one count, whatever rounding makes of them.
    as_rare = chances <= chances[a - drawn[0]] * (1.0 + 1e-7)
    return float(chances[as_rare].sum() / chances.sum())
