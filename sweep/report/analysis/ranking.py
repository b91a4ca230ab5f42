r"""Configurations in order of what they are worth, as far as the trials can tell.

A configuration is all active settings of a trial; its trials differ by their seeds alone. What
counts are trials that trained to their end: diverged ones with their real, worst value; a pruned
trial has no final value and does not count.

**The winner's curse.** The best of many configurations that were tried once is partly the luckiest
one, and a fresh seed brings less. Where enough configurations were repeated, the variance between
seeds :math:`\sigma^2` is known (pooled over the repeats of the better half, for what fails to
learn varies less), and empirical Bayes tells what to expect: with :math:`\bar y_i \sim
N(\theta_i, \sigma^2 / n_i)` and the distribution of the :math:`\theta_i` estimated from all of
them by nonparametric maximum likelihood (Kiefer and Wolfowitz, Ann. Math. Stat. 27, 1956, by EM as
in Laird, JASA 73, 1978; Koenker and Mizera, JASA 109, 2014), it is the posterior mean
:math:`E[\theta_i \mid \bar y_i]`, which choosing the largest does not bias. The shrinkage of James
and Stein takes the distribution for normal. That of configurations has a long tail of bad ones and
a dense top, where it corrects next to nothing: in simulations of 80 configurations with
:math:`\sigma` = 0.01 the best was flattered by 0.014, by 0.013 after James and Stein, and by 0.002
after this.

**Whether the best is told from the second**: Welch's interval of the difference where both were
repeated, otherwise that of :math:`\sigma` where it is known. Testing just these two at the usual
level is right although they were chosen by the data (Hung and Fithian, Ann. Stat. 47, 2019).
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from sweep.report.analysis.design import design_of
from sweep.report.analysis.estimate import Floats
from sweep.report.analysis.levels import CONFIDENCE, group_means
from sweep.report.frames import StudyFrames

LEAST_FREEDOM = 5
# What lies further down says nothing about the best.
MOST_FITTED = 500
GRID = 200
STEPS = 300


@dataclass(frozen=True, slots=True)
class Ranking:
    """The configurations of a study.

    Attributes:
        table: A row for each configuration, the best first: `trials` (a list of numbers), `count`,
            `mean` of the first objective over seeds, its 95 % Student interval `low`, `high` (NaN
            for one seed), `variance` between seeds (NaN for one) and `expected` on a fresh seed
            (NaN if not known, and beyond the best 500). Ordered by what is expected, by the mean
            if that is not known.
        spread: Standard deviation between seeds, in units of the objective; NaN if not known.
        freedom: Degrees of freedom of `spread`.
    """

    table: pd.DataFrame
    spread: float
    freedom: int


@dataclass(frozen=True, slots=True)
class Lead:
    """How far the best configuration leads the second.

    Attributes:
        difference: Of their means; positive if the first is better.
        low: Lower end of its 95 % interval; NaN if not known.
        high: Upper end.
    """

    difference: float
    low: float
    high: float

    @property
    def is_known(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.low)

    @property
    def is_clear(self) -> bool:
        """Whether the best is told from the second."""
        return self.low > 0


def ranking(frames: StudyFrames) -> Ranking:
    """Rank all configurations of which a trial trained to its end."""
    valued = frames.valued
    trials = valued[valued["outcome"] != "pruned"]
    design = design_of(trials, frames.varied)
    configuration = pd.Series(design.configurations(), index=trials.index)
    table = group_means(trials["value"], configuration).drop(columns="best")
    table["trials"] = trials["number"].groupby(configuration).agg(list)
    table["variance"] = trials["value"].groupby(configuration).var()
    sign = 1.0 if frames.maximize else -1.0
    first = table["trials"].map(min)
    table = table.assign(worth=sign * table["mean"], first=first)
    table = table.sort_values(["worth", "first"], ascending=[False, True])
    spread, freedom = _spread(table)
    table["expected"] = np.nan
    if freedom >= LEAST_FREEDOM and spread > 0:
        fitted = table.head(MOST_FITTED)
        variances = spread**2 / fitted["count"].to_numpy(dtype=float)
        worth = posterior_means(fitted["worth"].to_numpy(dtype=float), variances)
        table.loc[fitted.index, "expected"] = sign * worth
        order = (sign * table["expected"]).fillna(-np.inf)
        table = table.assign(order=order).sort_values(
            ["order", "worth", "first"], ascending=[False, False, True]
        )
    else:
        spread = math.nan
    columns = ["trials", "count", "mean", "low", "high", "variance", "expected"]
    return Ranking(table[columns].reset_index(drop=True), spread, freedom)


def lead(found: Ranking, *, maximize: bool) -> Lead:
    """How far the first of at least two configurations leads the second."""
    best, second = found.table.iloc[0], found.table.iloc[1]
    difference = (best["mean"] - second["mean"]) * (1.0 if maximize else -1.0)
    parts = np.array(
        [best["variance"] / best["count"], second["variance"] / second["count"]], dtype=float
    )
    counts = np.array([best["count"], second["count"]], dtype=float)
    if np.isnan(parts).any() or not parts.sum() > 0:
        error = found.spread * math.sqrt((1.0 / counts).sum())
        freedom = float(found.freedom)
    else:
        error = math.sqrt(parts.sum())
        freedom = parts.sum() ** 2 / (parts**2 / (counts - 1.0)).sum()
    if math.isnan(error):
        return Lead(difference, math.nan, math.nan)
    half = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * error
    return Lead(difference, difference - half, difference + half)


def posterior_means(values: Floats, variances: Floats) -> Floats:
    """What to expect of each true value, given one noisy value of each.

    Args:
        values: Observed values (value,).
        variances: Of their noise, all positive (value,).

    Returns:
        Posterior means (value,) under the distribution of true values that makes what was
        observed most likely.
    """
    places = np.linspace(values.min(), values.max(), GRID)
    grid = np.unique(np.concatenate([places, values]))
    distances = (values[:, None] - grid) ** 2 / variances[:, None]
    likelihood = np.exp(-0.5 * distances)
    weights = np.full(len(grid), 1.0 / len(grid))
    for _ in range(STEPS):
        shares = likelihood * weights
        weights = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
    shares = likelihood * weights
    return np.asarray(shares @ grid / shares.sum(axis=1))


def _spread(table: pd.DataFrame) -> tuple[float, int]:
    """Standard deviation between seeds, and its degrees of freedom."""
    better = table[table["worth"] >= table["worth"].median()]
    repeated = better[better["count"] > 1]
    freedom = repeated["count"] - 1
    if repeated.empty:
        return math.nan, 0
    squares = float((repeated["variance"] * freedom).sum())
    return math.sqrt(squares / freedom.sum()), int(freedom.sum())
