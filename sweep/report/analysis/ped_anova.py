r"""What sets the best trials apart: PED-ANOVA (Watanabe, Bansal and Hutter 2023).

| symbol | meaning | shape |
|---|---|---|
| p | density of a setting among the best trials | (cell,) |
| q | its density among all trials | (cell,) |
| a, b | shares of the best and of all trials in which it has an effect | |

Importance is the Pearson divergence :math:`\sum_c q_c (p_c / q_c - 1)^2`, times
:math:`a^2 / b` for a setting without effect in some trials (Conditional PED-ANOVA, 2026). The
densities are Parzen estimates with Scott's rule, on 50 cells for a number. It is what
`optuna.importance.PedAnovaImportanceEvaluator` computes, and tested against it, but takes arrays
instead of a study: a bootstrap needs hundreds of evaluations.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.special import ndtr

from sweep.report.analysis.axes import Axis
from sweep.report.analysis.estimate import Floats, Ints

TOP_SHARE: Final = 0.1
LEAST_TOP_TRIALS: Final = 5
CELLS: Final = 50
LEAST_TRIALS: Final = 2
_LEAST_WIDTH: Final = 0.5 / 1.64
_LEAST_DENSITY: Final = 1e-12


def top_count(trials: int) -> int:
    """How many trials are called the best: a tenth, or five if that is more."""
    return int(np.ceil(max(TOP_SHARE, LEAST_TOP_TRIALS / trials) * trials))


def ped_anova(axes: Sequence[Axis], cells: Sequence[Ints], losses: Floats) -> Floats:
    """Importance of each setting, 0 or more (setting,).

    Args:
        axes: The settings.
        cells: For each of them, the cells of some trials (trial,), see `Axis.cells`.
        losses: What these trials came to; smaller is better, ties are all among the best (trial,).
    """
    last = top_count(len(losses)) - 1
    top = losses <= np.partition(losses, last)[last]
    found = np.zeros(len(axes))
    for index, (axis, cell) in enumerate(zip(axes, cells, strict=True)):
        size = axis.choices or CELLS
        everyone = np.bincount(cell[cell >= 0], minlength=size)
        best = np.bincount(cell[top & (cell >= 0)], minlength=size)
        if everyone.sum() < LEAST_TRIALS or best.sum() == 0:
            continue
        density = _of_choices if axis.choices else _of_numbers
        p, q = density(best) + _LEAST_DENSITY, density(everyone) + _LEAST_DENSITY
        share = (best.sum() / top.sum()) ** 2 / (everyone.sum() / len(cell))
        found[index] = share * float(q @ (p / q - 1.0) ** 2)
    return found


def _of_choices(counts: Ints) -> Floats:
    """Density over choices from how often each was taken, with one more trial spread evenly."""
    prior = 1.0 / (np.count_nonzero(counts) + 1)
    smooth = (counts + prior * counts.sum()) / (1.0 + prior * len(counts))
    return np.asarray((smooth + 1.0 / len(counts)) / (counts.sum() + 1))


def _of_numbers(counts: Ints) -> Floats:
    """Density over cells: a normal for each trial, cut at the ends, and one broad one."""
    seen = np.flatnonzero(counts)
    weights = counts[seen]
    width = max(_scott(seen, weights), _LEAST_WIDTH)
    middles = np.append(seen, (len(counts) - 1) / 2)
    widths = np.append(np.full(len(seen), width), float(len(counts)))
    ends = np.arange(len(counts) + 1)[:, None] - 0.5
    masses = np.diff(ndtr((ends - middles) / widths), axis=0)
    shares = np.append(weights, 1.0) / (weights.sum() + 1.0)
    return np.asarray((masses / masses.sum(axis=0)) @ shares)


def _scott(places: Ints, weights: Ints) -> float:
    """Width of the normals by Scott's rule, robust to a few far away."""
    total = int(weights.sum())
    mean = places @ weights / total
    deviation = np.sqrt(((places - mean) ** 2 @ weights) / max(1, total - 1))
    cumulated = np.cumsum(weights)
    first = int(np.searchsorted(cumulated, total // 4, side="left"))
    third = int(np.searchsorted(cumulated, total * 3 // 4, side="right"))
    quartiles = places[min(len(places) - 1, third)] - places[first]
    return float(1.059 * min(quartiles / 1.34, deviation) * total**-0.2)
