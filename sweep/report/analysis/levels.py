r"""The values of a setting as a few levels, and the mean of each.

Which trials count, everywhere in this package: those with an objective value. A diverged trial
counts with its real, worst value; failed, running and waiting trials have no value and do not
count. A pruned one counts here with the value that it had reached when it was pruned, which is
lower than what it might have reached; `sweep.report.analysis.pruned` says how effects reckon with
it. The counts are always shown.

Interval of a mean: :math:`\bar{x} \pm t_{0.975, n-1} s / \sqrt{n}` (Student), none for n < 2.
"""

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from sweep.report.frames import active_values
from sweep.report.text import label
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
    return _with_intervals(table)


def column_means(values: pd.DataFrame) -> pd.DataFrame:
    """Mean of each column, with its 95 % interval: as `group_means`, indexed by column."""
    table = pd.DataFrame(
        {
            "count": values.count(),
            "mean": values.mean(),
            "std": values.std(),
            "best": values.max(),
        }
    )
    return _with_intervals(table)


def _with_intervals(table: pd.DataFrame) -> pd.DataFrame:
    table = table[table["count"] > 0]
    count = table["count"].to_numpy(dtype=float)
    half = _t(count - 1) * table["std"].to_numpy(dtype=float) / np.sqrt(count)
    table = table.assign(low=table["mean"] - half, high=table["mean"] + half)
    return table[["count", "mean", "best", "low", "high"]]


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
        labels = bins.map(names).astype(object).reindex(values.index)
    else:
        named = {value: label(value) for value in sorted(known.unique())}
        order = list(dict.fromkeys(named.values()))
        labels = values.map(named)
    return pd.Series(pd.Categorical(labels, categories=order, ordered=True), index=values.index)


def _t(degrees: np.ndarray) -> np.ndarray:
    usable = np.where(degrees > 0, degrees, np.nan)
    return np.asarray(stdtrit(usable, 0.5 + CONFIDENCE / 2))


def _bin_names(values: pd.Series, bins: pd.Series) -> dict[object, str]:
    ends = values.groupby(bins, observed=True).agg(["min", "max"])
    return {
        interval: label(low) if low == high else f"{label(low)} to {label(high)}"
        for interval, low, high in zip(ends.index, ends["min"], ends["max"], strict=True)
    }
