r"""Whether the best of several groups can be told from the second.

Welch's test of the two with the highest means: with variances :math:`v_i = s_i^2 / n_i`,
:math:`t = (m_1 - m_2) / \sqrt{v_1 + v_2}` and Satterthwaite's degrees of freedom. That they were
picked for their means needs no correction: the runner-up is the closest rival, so that a two-sided
test against it alone errs in calling a winner as seldom as it says (Hung and Fithian 2019, for
normal groups of one size). The winner's own mean, the highest of many, is rather too high.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtr

from sweep.report.analysis.levels import CONFIDENCE, LEAST_DRAWN, group_means


@dataclass(frozen=True, slots=True)
class Winner:
    """The group with the highest mean among those of three values or more.

    Attributes:
        name: The group.
        mean: Its mean.
        low: Lower end of the mean's 95 % interval.
        high: Upper end.
        count: How many values it has.
        rivals: How many other groups there are of three values or more.
        second: The group with the second highest mean; empty if there is no rival.
        p: Chance of means so far apart if there is no difference; NaN without a rival, or if no
            value varies.
    """

    name: str
    mean: float
    low: float
    high: float
    count: int
    rivals: int
    second: str
    p: float

    @property
    def is_clear(self) -> bool:
        """Whether chance alone does not explain the distance to the second."""
        return self.p < 1.0 - CONFIDENCE


def winner(values: pd.Series, groups: pd.Series) -> Winner | None:
    """The best group; None if none has three values."""
    means = group_means(values, groups)
    means = means[means["count"] >= LEAST_DRAWN].sort_values("mean", ascending=False)
    if means.empty:
        return None
    best = means.iloc[0]
    rest = means.index[1:]
    return Winner(
        name=str(means.index[0]),
        mean=float(best["mean"]),
        low=float(best["low"]),
        high=float(best["high"]),
        count=int(best["count"]),
        rivals=len(rest),
        second=str(rest[0]) if len(rest) else "",
        p=_welch(*(values[groups == name].dropna() for name in means.index[:2])),
    )


def _welch(one: pd.Series, other: pd.Series | None = None) -> float:
    if other is None:
        return np.nan
    variances = np.array([one.var() / len(one), other.var() / len(other)])
    total = float(variances.sum())
    if total <= 0.0:
        return np.nan
    freedom = total**2 / float((variances**2 / [len(one) - 1, len(other) - 1]).sum())
    t = abs(one.mean() - other.mean()) / np.sqrt(total)
    return float(2.0 * stdtr(freedom, -t))
