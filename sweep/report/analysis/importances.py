"""How much each setting matters, by PED-ANOVA and by fANOVA, and how sure that is.

PED-ANOVA says what sets the best trials apart; fANOVA how the objective varies over the whole
space: see `ped_anova` and `fanova`. Both are over trials that completed, diverged or were pruned.
The interval is 1.96 standard errors of a bootstrap over configurations to each side (percentiles
would miss the estimate: repeated configurations sharpen what both see). It says how far an
importance would move with other trials, not that it is above nothing: since an importance is
never negative, `by_chance` says what the setting gets when the values are shuffled among the
trials (the 95th percentile), and `clear` are those that get more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from sweep.report.analysis.axes import Axis, axes_of
from sweep.report.analysis.design import design_of
from sweep.report.analysis.estimate import Floats, Ints
from sweep.report.analysis.ped_anova import CELLS, ped_anova
from sweep.report.analysis.pruned import completed_values
from sweep.report.frames import StudyFrames

COLUMNS: Final = ("method", "setting", "importance", "low", "high", "by_chance", "clear", "trials")
LEAST_TRIALS: Final = 20
# Standard errors to each side of an estimate.
WIDTH: Final = 1.96
_NOTHING: Final = 1e-300

# Importances (setting,) from rows of the trials (row,) and what they came to (row,).
_Evaluate = Callable[[Ints, Floats], Floats]


@dataclass(frozen=True, slots=True)
class Method:
    """How an importance is found, and how much time may be spent on it.

    Attributes:
        name: `ped-anova` or `fanova`.
        prepare: Gives the evaluation over the settings of some trials.
        most_trials: Of more, so many are drawn at random: forests are slow, and these are sure
            enough.
        resamples: So many times trials are drawn anew, and as often their values are shuffled.
    """

    name: str
    prepare: Callable[[Sequence[Axis]], _Evaluate]
    most_trials: int
    resamples: int


def importances_frame(frames: StudyFrames) -> pd.DataFrame:
    """Importances of the settings that varied, for the first objective.

    Returns:
        `method` (`ped-anova` or `fanova`), `setting`, `importance` (those of a method add up to
        1), its interval `low`, `high`, `by_chance`, `clear` and `trials` (how many were looked
        at): see the module. Empty with fewer than 20 trials, or if their values do not differ.
    """
    trials = frames.valued
    design = design_of(trials, frames.varied)
    values = completed_values(frames, trials, design.basis)[0].mean(axis=1)
    if len(trials) < LEAST_TRIALS or np.ptp(values) == 0.0 or not design.settings:
        return pd.DataFrame(columns=[*COLUMNS])
    losses = -values if frames.maximize else values
    tables = []
    for method in METHODS:
        most = min(len(trials), method.most_trials)
        chosen = np.sort(np.random.default_rng(0).choice(len(trials), most, replace=False))
        some = trials.iloc[chosen]
        design = design_of(some, frames.varied)
        axes = axes_of(design, some)
        tables.append(_table(method, axes, losses[chosen], design.configurations()))
    return pd.concat(tables, ignore_index=True)


def _table(method: Method, axes: Sequence[Axis], losses: Floats, units: Ints) -> pd.DataFrame:
    evaluate = method.prepare(axes)
    everyone = np.arange(len(losses))
    raw = evaluate(everyone, losses)
    chance = np.random.default_rng(0)
    members = np.split(np.argsort(units, kind="stable"), np.cumsum(np.bincount(units))[:-1])
    again, shuffled = [], []
    for _ in range(method.resamples):
        drawn = chance.integers(len(members), size=len(members))
        rows = np.concatenate([members[unit] for unit in drawn])
        again.append(evaluate(rows, losses[rows]))
        shuffled.append(evaluate(everyone, chance.permutation(losses)))
    shares = np.array(again)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), _NOTHING)
    half = WIDTH * shares.std(axis=0, ddof=1)
    # Shares of nothing add up to 1 too: chance is measured in what is shared out.
    total = max(float(raw.sum()), _NOTHING)
    noise = np.quantile(shuffled, 0.95, axis=0)
    table = pd.DataFrame(
        {
            "method": method.name,
            "setting": [axis.name for axis in axes],
            "importance": raw / total,
            "low": np.maximum(0.0, raw / total - half),
            "high": np.minimum(1.0, raw / total + half),
            "by_chance": noise / total,
            "clear": raw > noise,
            "trials": len(losses),
        }
    )
    return table.sort_values("importance", ascending=False, ignore_index=True)[[*COLUMNS]]


def _ped_anova(axes: Sequence[Axis]) -> _Evaluate:
    cells = [axis.cells(CELLS) for axis in axes]
    return lambda rows, losses: ped_anova(axes, [cell[rows] for cell in cells], losses)


def _fanova(axes: Sequence[Axis]) -> _Evaluate:
    # Loading scikit-learn takes longer than what is done with it, and Optuna's page needs none.
    from sweep.report.analysis.fanova import fanova

    return lambda rows, losses: fanova(axes, rows, losses)


METHODS: Final = (
    Method("ped-anova", _ped_anova, most_trials=2000, resamples=100),
    Method("fanova", _fanova, most_trials=400, resamples=20),
)
