"""What pruned trials might have reached: multiple imputation from where they were pruned.

A pruner decides by what a trial had reached so far. So, among trials that had reached the same at
the same epoch, those that were pruned do not differ systematically from those that went on, and
what the latter came to says what the former would have come to. From the last epoch of pruning to
the first, the final value is regressed on the value at that epoch, and on the settings if there
are enough trials, over all trials that went on; each pruned trial gets draws from that
regression, with the uncertainty of its coefficients and its residuals. Effects are estimated on
each set of draws, and Rubin's rules add what is not known.

Leaving pruned trials out would flatter bad settings, whose worst trials would be gone; taking
the value at which they were pruned would exaggerate their harm, and harm what learns slowly. The
line is extended below the trials that went on: so it is an approximation, and the share of such
values is always shown. Where four in five trials were pruned, intervals are wider than they need
be: of those of 95 %, 98 in 100 hold.
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
    draws = np.repeat(values, DRAWS, axis=1)
    chance = np.random.default_rng(0)
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
        draws[asked] = _drawn(columns[donors], draws[donors], columns[asked], chance)
        reckoned |= asked
        # From here on they say, for earlier epochs, what those that went on came to.
        going |= asked
    if frames.metrics[0] == "val_accuracy":
        draws[reckoned] = draws[reckoned].clip(0.0, 1.0)
    return (draws if reckoned.any() else values), reckoned


def _curves(frames: StudyFrames, trials: pd.DataFrame) -> pd.DataFrame:
    """The objective's metric by trial, in the order of `trials`, and epoch."""
    table = frames.epochs.pivot(index="number", columns="epoch", values=frames.metrics[0])
    return table.reindex(trials["number"])


def _drawn(x: Floats, y: Floats, at: Floats, chance: np.random.Generator) -> Floats:
    """Draws of `y` (donor, draw) at new places: coefficients with their doubt, and residuals."""
    left, lengths, right = np.linalg.svd(x, full_matrices=False)
    kept = lengths > RANK_TOLERANCE * lengths[0]
    left, places = left[:, kept], at @ right[kept].T / lengths[kept]
    found = left.T @ y
    residuals = y - left @ found
    freedom = len(x) - int(kept.sum())
    # Their mean is the unbiased variance: a flat prior would widen what few donors say too far.
    shares = (freedom - 2) / freedom / chance.chisquare(freedom, y.shape[1])
    deviation = np.sqrt((residuals**2).sum(axis=0) * shares)
    found = found + deviation * chance.standard_normal(found.shape)
    noise = deviation * chance.standard_normal((len(at), y.shape[1]))
    return np.asarray(places @ found + noise)
