r"""Means, intervals and marginal effects of settings.

Which trials count, everywhere in this package: those with an objective value. A diverged trial
counts with its real, worst value; a pruned one with the value that it had reached when it was
pruned, which is lower than what it might have reached; failed, running and waiting trials have
no value and do not count. The counts are always shown.

Interval of a mean: :math:`\bar{x} \pm t_{0.975, n-1} s / \sqrt{n}` (Student), none for n < 2.

Effect of a value: the mean of the trials with it minus the mean of the other trials in which the
setting has an effect, with Welch's interval and the Welch-Satterthwaite degrees of freedom. It is
marginal and observational: the sampler chose the trials, the other settings differ between the
two groups, and no correction is made for looking at many values. It says where to look, not what
causes what.
"""

import math

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from sweep.report.frames import StudyFrames, active_values
from sweep.report.style import label
from sweep.trial import FIELDS

CONFIDENCE = 0.95
MOST_LEVELS = 6
MOST_BINS = 4
LEAST_IN_BIN = 6
# The intervals of two trials are so wide that they hide all others in a figure.
LEAST_DRAWN = 3


def group_means(values: pd.Series, groups: pd.Series) -> pd.DataFrame:
    """Mean of `values` for each group, with its 95 % interval.

    Returns:
        Indexed by group in its order of sorting: `count`, `mean`, `low`, `high` (NaN if count < 2)
        and `best` (largest), for groups with at least one finite value.
    """
    grouped = values.groupby(groups, observed=True)
    table = pd.DataFrame(
        {
            "count": grouped.count(),
            "mean": grouped.mean(),
            "std": grouped.std(),
            "best": grouped.max(),
        }
    )
    table = table[table["count"] > 0]
    count = table["count"].to_numpy(dtype=float)
    half = _t(count - 1) * table["std"].to_numpy(dtype=float) / np.sqrt(count)
    table["low"], table["high"] = table["mean"] - half, table["mean"] + half
    return table.drop(columns="std")


def levels(trials: pd.DataFrame, name: str) -> pd.Series:
    """A setting as an ordered categorical of labels; missing where it has no effect.

    A number with more than six different values is cut into two to four bins of about equally
    many trials.
    """
    values = active_values(trials, name)
    known = values.dropna()
    if FIELDS[name].type in (int, float) and known.nunique() > MOST_LEVELS:
        count = min(MOST_BINS, max(2, len(known) // LEAST_IN_BIN))
        bins = pd.qcut(known.astype(float), count, duplicates="drop")
        names = _bin_names(known.astype(float), bins)
        order = list(dict.fromkeys(names[c] for c in bins.cat.categories if c in names))
        labels = bins.map(names)
    else:
        order = list(dict.fromkeys(label(v) for v in sorted(known.unique())))
        labels = known.map(label)
    return pd.Series(
        pd.Categorical(
            labels.astype(object).reindex(values.index), categories=order, ordered=True
        ),
        index=values.index,
    )


def effects(frames: StudyFrames) -> pd.DataFrame:
    """Marginal effect of every value of every setting that varied.

    Returns:
        `setting`, `level`, `effect` and its interval `low`, `high` in units of the first
        objective (NaN where a group has one trial), `mean`, `count`, `others`, `diverged`,
        `pruned` and `explained`: the share of the variance of the objective between the setting's
        values, adjusted for their number (adjusted R squared of a one-way analysis of variance,
        0 at least). Settings that explain most come first; one that has an effect in a part of
        the trials counts for that part.
    """
    trials = frames.valued
    tables = [_effects_of(trials, name) for name in frames.varied]
    tables = [table for table in tables if len(table) > 1]
    if not tables:
        return pd.DataFrame(columns=[*_COLUMNS])
    table = pd.concat(tables, ignore_index=True)
    table["weight"] = table["explained"] * (table["count"] + table["others"]) / len(trials)
    table = table.sort_values("weight", ascending=False, kind="stable", ignore_index=True)
    return table.drop(columns="weight")


_COLUMNS = (
    "setting",
    "level",
    "effect",
    "low",
    "high",
    "mean",
    "count",
    "others",
    "diverged",
    "pruned",
    "explained",
)


def _effects_of(trials: pd.DataFrame, name: str) -> pd.DataFrame:
    groups = levels(trials, name)
    active = trials[groups.notna()]
    groups = groups.dropna().cat.remove_unused_categories()
    rows = [
        {"setting": name, "level": level, **_difference(active, groups == level)}
        for level in groups.cat.categories
    ]
    table = pd.DataFrame(rows, columns=list(_COLUMNS[:-1]))
    return table.assign(explained=_explained(active["value"], groups))


def _explained(values: pd.Series, groups: pd.Series) -> float:
    total = float(((values - values.mean()) ** 2).sum())
    means = values.groupby(groups, observed=True).transform("mean")
    within = float(((values - means) ** 2).sum())
    freedom = len(values) - groups.nunique()
    if total <= 0.0 or freedom <= 0:
        return 0.0
    return max(0.0, 1.0 - (within / freedom) / (total / (len(values) - 1)))


def _difference(trials: pd.DataFrame, chosen: pd.Series) -> dict[str, float]:
    """Welch's comparison of the chosen trials with the others."""
    these, others = trials.loc[chosen, "value"], trials.loc[~chosen, "value"]
    effect = these.mean() - others.mean()
    a, b = these.var() / len(these), others.var() / max(len(others), 1)
    degrees = (
        (a + b) ** 2 / (a**2 / (len(these) - 1) + b**2 / (len(others) - 1))
        if a + b > 0
        else math.nan
    )
    half = 0.0 if a + b == 0 else float(_t(np.array([degrees]))[0]) * math.sqrt(a + b)
    return {
        "effect": effect,
        "low": effect - half,
        "high": effect + half,
        "mean": these.mean(),
        "count": len(these),
        "others": len(others),
        "diverged": int((trials.loc[chosen, "outcome"] == "diverged").sum()),
        "pruned": int((trials.loc[chosen, "outcome"] == "pruned").sum()),
    }


def _t(degrees: np.ndarray) -> np.ndarray:
    usable = np.where(degrees > 0, degrees, np.nan)
    return np.asarray(stdtrit(usable, 0.5 + CONFIDENCE / 2))


def _bin_names(values: pd.Series, bins: pd.Series) -> dict[object, str]:
    ends = values.groupby(bins, observed=True).agg(["min", "max"])
    return {
        interval: label(low) if low == high else f"{label(low)} to {label(high)}"
        for interval, low, high in zip(ends.index, ends["min"], ends["max"], strict=True)
    }
