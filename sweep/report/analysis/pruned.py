"""What pruned trials might have reached, reckoned from where they were pruned.

A pruner decides by what a trial had reached so far. So, among trials that had reached the same at
the same epoch, those that were pruned do not differ systematically from those that went on, and
what the latter came to says what the former would have come to. From the last epoch of pruning to
the first, the final value is regressed on the value at that epoch, and on the settings if there
are enough trials, over all trials that went on; each pruned trial gets what that regression
expects of it.

How far the regression may be wrong is drawn: the residuals of those that went on, with normal
factors (a wild bootstrap, Liu 1988), move its coefficients, and the values of those trials
themselves, which vary together with them. Effects are estimated on each draw, and Rubin's rules
add what differs between draws. A draw adds no residual to a reckoned value: those of many
average out of an effect, while Rubin's rules would count them (Robins and Wang 2000), and
intervals of 95 % would hold in 98 of 100 studies whose trials were mostly pruned.

Leaving pruned trials out would flatter bad settings, whose worst trials would be gone; taking
the value at which they were pruned would exaggerate their harm, and harm what learns slowly. The
line is extended below the trials that went on: so it is an approximation, and the share of such
values is always shown.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.report.analysis.estimate import Floats
from sweep.report.frames import StudyFrames

DRAWS = 20
LEAST_DONORS = 8
DONORS_PER_COLUMN = 3
RANK_TOLERANCE = 1e-9
LEAST_FREE = 1e-8
# Metrics of an epoch, which have a curve to reckon from.
CURVES = ("val_accuracy", "val_loss")


def completed_values(
    frames: StudyFrames, trials: pd.DataFrame, settings: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Values of trials as if none had been pruned.

    Args:
        frames: The study.
        trials: Those of its trials that have a value.
        settings: Their settings as columns (trial, column), see `Design.basis`.

    Returns:
        Values (trial, draw), with one draw if nothing was reckoned; and which trials' values were
        reckoned (trial,). A pruned trial keeps what it had reached if fewer than eight trials went
        on after its epoch, or its objective is no metric of an epoch.
    """
    values = trials["value"].to_numpy(dtype=float)[:, None]
    reckoned = np.zeros(len(trials), dtype=bool)
    pruned = (trials["outcome"] == "pruned").to_numpy()
    if not pruned.any() or frames.metrics[0] not in CURVES:
        return values, reckoned
    curves = _curves(frames, trials)
    last = trials["trained_epochs"].to_numpy(dtype=float)
    going = (trials["outcome"] != "diverged").to_numpy() & ~pruned
    chance = _factors(len(trials))
    expected = values[:, 0].copy()
    # What draws move: reckoned values by the coefficients, and donors by their own residuals.
    by_line = np.zeros((len(trials), DRAWS))
    by_residual = np.zeros((len(trials), DRAWS))
    is_new = np.ones(len(trials), dtype=bool)
    for epoch in sorted(set(last[pruned]), reverse=True):
        if epoch not in curves:
            continue
        reached = curves[epoch].to_numpy(dtype=float)
        known = np.isfinite(reached)
        asked = pruned & (last == epoch) & known
        donors = going & (last > epoch) & known
        if donors.sum() < LEAST_DONORS:
            continue
        columns = np.stack([np.ones(len(reached)), reached], axis=1)
        whole = np.concatenate([columns, settings], axis=1)
        if donors.sum() >= DONORS_PER_COLUMN * whole.shape[1]:
            columns = whole
        solve, residuals = _fitted(columns[donors], expected[donors])
        moved = residuals[:, None] * chance[donors]
        places = columns[asked] @ solve
        expected[asked] = places @ expected[donors]
        by_line[asked] = places @ (by_line[donors] + moved)
        by_residual[donors] = np.where(is_new[donors, None], moved, by_residual[donors])
        is_new &= ~donors
        reckoned |= asked
        # From here on they say, for earlier epochs, what those that went on came to.
        going |= asked
    if not reckoned.any():
        return values, reckoned
    draws = expected[:, None] + by_line + by_residual
    if frames.metrics[0] == "val_accuracy":
        draws[reckoned] = draws[reckoned].clip(0.0, 1.0)
    return draws, reckoned


def _curves(frames: StudyFrames, trials: pd.DataFrame) -> pd.DataFrame:
    """The objective's metric by trial, in the order of `trials`, and epoch."""
    table = frames.epochs.pivot(index="number", columns="epoch", values=frames.metrics[0])
    return table.reindex(trials["number"])


def _factors(trials: int) -> Floats:
    """Normal factors (trial, draw) whose mean over the draws is 0, so that values stay theirs."""
    drawn = np.random.default_rng(0).standard_normal((trials, DRAWS))
    centred = drawn - drawn.mean(axis=1, keepdims=True)
    return np.asarray(centred * np.sqrt(DRAWS / (DRAWS - 1)))


def _fitted(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The matrix that makes coefficients of values, and residuals freed of leverage (HC2)."""
    left, lengths, right = np.linalg.svd(x, full_matrices=False)
    kept = lengths > RANK_TOLERANCE * lengths[0]
    left = left[:, kept]
    solve = (right[kept].T / lengths[kept]) @ left.T
    free = np.maximum(1.0 - (left**2).sum(axis=1), LEAST_FREE)
    return solve, (y - left @ (left.T @ y)) / np.sqrt(free)
