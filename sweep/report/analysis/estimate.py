r"""Contrasts of a linear model, with intervals that hold where the noise is uneven.

| symbol | meaning | shape |
|---|---|---|
| X | design, a row for each independent unit (a configuration) | (row, column) |
| Y | values, a column for each way to complete them | (row, draw) |
| w | weight of a row, the inverse of its variance | (row,) |
| C | contrasts of the coefficients | (contrast, column) |
| g | group of a row, within which the variance is thought to be even | (row,) |

Estimate :math:`C\hat\beta` by weighted least squares. Its variance is the sandwich with the
correction HC2, :math:`\sum_i l_i^2 e_i^2 / (1 - h_i)` (MacKinnon and White 1985): unbiased under
even noise, consistent under any. Degrees of freedom by Bell and McCaffrey (2002), group by group,
and put together as Satterthwaite did; with the groups' indicators alone for X this is Welch's
test.
Several draws are combined by Rubin's rules (Barnard and Rubin 1999).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_RANK_TOLERANCE = 1e-9
_LEAST_FREE = 1e-8


@dataclass(frozen=True, slots=True)
class Estimates:
    """What is known of each contrast; NaN where the data cannot tell it.

    Attributes:
        value: Estimate.
        error: Standard error.
        freedom: Degrees of freedom of the error.
    """

    value: Floats
    error: Floats
    freedom: Floats

    def interval(self, confidence: float) -> tuple[Floats, Floats]:
        """Lower and upper end."""
        half = student(self.freedom, 0.5 + confidence / 2) * self.error
        return self.value - half, self.value + half

    def p_values(self) -> Floats:
        """Two-sided, of the hypothesis that a contrast is zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.value) / self.error
        # A difference of exactly nothing is no evidence, even where nothing varies.
        t = np.where(self.value == 0.0, 0.0, t)
        known = np.isfinite(self.freedom) & (self.freedom > 0)
        p = 2.0 * np.asarray(stdtr(np.where(known, self.freedom, 1.0), -t))
        return np.where(known, p, np.nan)


def student(freedom: Floats, probability: float) -> Floats:
    """Quantiles of Student's distribution; NaN without a degree of freedom."""
    usable = np.where(freedom > 0, freedom, np.nan)
    return np.asarray(stdtrit(usable, probability))


def holm(p: Floats) -> Floats:
    """p-values that bear looking at all of them (Holm 1979); NaN where one is NaN."""
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = np.arange(len(order), 0, -1)
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * steps))
    return adjusted


def contrasts(
    design: Floats, values: Floats, weights: Floats, groups: Ints, wanted: Floats
) -> Estimates:
    """Estimate contrasts of the coefficients; see the module.

    Args:
        design: X; columns may depend on each other.
        values: Y.
        weights: w, above 0.
        groups: g, from 0.
        wanted: C.
    """
    root = np.sqrt(weights)[:, None]
    x, y = design * root, values * root
    basis, inverse, known = _orthonormal(x, wanted)
    estimator = inverse @ basis.T
    leverage = np.minimum((basis**2).sum(axis=1), 1.0)
    free = 1.0 - leverage
    # A row that a column of its own fits says nothing about the noise.
    scaled = np.where(free > _LEAST_FREE, estimator**2 / np.maximum(free, _LEAST_FREE), 0.0)
    residuals = y - basis @ (basis.T @ y)
    found = estimator @ y
    count = int(groups.max()) + 1 if len(groups) else 0
    inside = groups[None, :] == np.arange(count)[:, None]
    # (contrast, group): the part of the variance that each group brings, and how sure that is.
    squares = (residuals**2).mean(axis=1)
    parts = (scaled * squares) @ inside.T
    traces = (scaled * free) @ inside.T
    norms = np.empty_like(parts)
    for group in range(count):
        rows = inside[group]
        some, chosen = scaled[:, rows], basis[rows]
        crossed = np.einsum("kn,np,nq->kpq", some, chosen, chosen, optimize=True)
        norms[:, group] = (some**2 * (1.0 - 2.0 * leverage[rows])).sum(axis=1) + (crossed**2).sum(
            axis=(1, 2)
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(traces > 0, traces**2 / norms, np.inf)
        variance = parts.sum(axis=1)
        freedom = np.where(
            variance > 0,
            variance**2 / (parts**2 / each).sum(axis=1),
            traces.sum(axis=1) ** 2 / norms.sum(axis=1),
        )
    freedom = np.minimum(freedom, len(design) - basis.shape[1])
    return _combined(found, variance, np.where(known, freedom, np.nan))


def _orthonormal(x: Floats, wanted: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """An orthonormal basis U of the columns of X, C X^+ U, and which contrasts X determines."""
    scale = np.sqrt((x**2).sum(axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    lengths, vectors = np.linalg.eigh((x / scale).T @ (x / scale))
    kept = lengths > _RANK_TOLERANCE * max(lengths.max(initial=0.0), 1.0)
    lengths, vectors = np.sqrt(lengths[kept]), vectors[:, kept]
    basis = (x / scale) @ vectors / lengths
    scaled = wanted / scale
    inside = scaled @ vectors
    missing = np.abs(inside @ vectors.T - scaled).max(axis=1, initial=0.0)
    return basis, inside / lengths, missing < 1e-6 * np.abs(scaled).max(axis=1, initial=1.0)


def _combined(found: Floats, variance: Floats, freedom: Floats) -> Estimates:
    """Rubin's rules over the draws of `found` (contrast, draw)."""
    draws = found.shape[1]
    value = np.where(np.isnan(freedom), np.nan, found.mean(axis=1))
    if draws == 1:
        return Estimates(value, np.sqrt(variance), freedom)
    between = (1.0 + 1.0 / draws) * found.var(axis=1, ddof=1)
    total = variance + between
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(total > 0, between / total, 0.0)
        by_draws = (draws - 1) / share**2
        by_rows = (freedom + 1) / (freedom + 3) * freedom * (1.0 - share)
        combined = 1.0 / (1.0 / by_draws + 1.0 / by_rows)
    return Estimates(value, np.sqrt(total), combined)
