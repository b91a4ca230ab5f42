"""Levels of a setting against each other: inside blocks where there are, by a model elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sweep.report.analysis.design import Design, Setting
from sweep.report.analysis.estimate import Estimates, Floats, Ints, contrasts

Method = Literal["matched", "adjusted", "unknown"]

# A level of fewer trials is compared with nothing, and nothing with it.
LEAST_IN_LEVEL = 3
LEAST_BLOCKS = 2
MATCHED_SHARE = 0.5
# So many trials for each column that is held fixed.
TRIALS_PER_COLUMN = 4
# Of the squares of singular values.
SPREAD_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Comparison:
    """The contrast of each level with the mean of the others.

    Attributes:
        method: How it was found; `unknown` if it could not be.
        estimates: One for each level of the setting; NaN where the data cannot say.
        units: How many independent units there were: blocks, or configurations.
        left_out: Settings that a model ought to have held fixed, and could not.
        inflation: By how much holding them fixed widens the variance of each estimate.
    """

    method: Method
    estimates: Estimates
    units: int
    left_out: tuple[str, ...]
    inflation: Floats


def compare(
    design: Design, setting: Setting, values: Floats, explained: Mapping[str, float]
) -> Comparison:
    """Contrast every level of a setting with the mean of the others.

    Args:
        design: All settings.
        setting: The setting.
        values: Values (trial, draw); trials with NaN do not count.
        explained: What share of the variance each setting explains.
    """
    counted = (setting.level >= 0) & np.isfinite(values).all(axis=1)
    sizes = np.bincount(setting.level[counted], minlength=len(setting.labels))
    kept = np.flatnonzero(sizes >= LEAST_IN_LEVEL)
    counted &= np.isin(setting.level, kept)
    if len(kept) < 2:
        nothing = np.full(len(setting.labels), np.nan)
        unknown = Estimates(nothing, nothing, nothing)
        return Comparison("unknown", unknown, 0, (), nothing)
    codes = np.searchsorted(kept, setting.level[counted])
    without = (setting.name, *design.dependents(setting.name))
    blocks = design.configurations(without)[counted]
    found = _matched(codes, blocks, values[counted], len(kept))
    if found is None:
        found = _adjusted(design, setting, counted, codes, values[counted], explained)
    return _spread(found, kept, len(setting.labels))


def _spread(found: Comparison, kept: Ints, count: int) -> Comparison:
    """NaN for the levels that were not compared."""

    def whole(some: Floats) -> Floats:
        full = np.full(count, np.nan)
        full[kept] = some
        return full

    estimates = found.estimates
    spread = Estimates(whole(estimates.value), whole(estimates.error), whole(estimates.freedom))
    return Comparison(found.method, spread, found.units, found.left_out, whole(found.inflation))


def against_others(count: int) -> Floats:
    """Contrasts (level, level): one level minus the mean of the others."""
    return (np.eye(count) * count - 1.0) / (count - 1)


def _matched(codes: Ints, blocks: Ints, values: Floats, count: int) -> Comparison | None:
    """Inside blocks that hold every level; None if they hold too few of the trials."""
    names, blocks = np.unique(blocks, return_inverse=True)
    sizes = np.zeros((len(names), count))
    np.add.at(sizes, (blocks, codes), 1)
    complete = np.asarray((sizes > 0).all(axis=1))
    if complete.sum() < LEAST_BLOCKS or complete[blocks].mean() < MATCHED_SHARE:
        return None
    sums = np.zeros((len(names), count, values.shape[1]))
    np.add.at(sums, (blocks, codes), values)
    means = sums[complete] / sizes[complete][:, :, None]
    differences = np.einsum("kl,bld->bkd", against_others(count), means)
    total = len(differences)
    ones = np.ones((total, 1))
    found = [
        contrasts(ones, differences[:, k], ones[:, 0], np.zeros(total, np.int64), np.ones((1, 1)))
        for k in range(count)
    ]
    estimates = Estimates(
        np.concatenate([e.value for e in found]),
        np.concatenate([e.error for e in found]),
        np.concatenate([e.freedom for e in found]),
    )
    return Comparison("matched", estimates, total, (), np.ones(count))


@dataclass(frozen=True, slots=True)
class Model:
    """A linear model of the configurations, ready for `contrasts`.

    Attributes:
        design: The leading columns of the caller, then those of what is held fixed.
        means: Mean values (configuration, draw).
        weights: Inverse variances of the means.
        first: A trial of each configuration, among the trials counted.
        left_out: Settings that could not be held fixed: there are too few configurations.
    """

    design: Floats
    means: Floats
    weights: Floats
    first: Ints
    left_out: tuple[str, ...]


def model_of(
    design: Design,
    name: str,
    counted: NDArray[np.bool_],
    leading: Floats,
    values: Floats,
    explained: Mapping[str, float],
) -> Model:
    """Hold all settings but one fixed, as far as there are enough configurations.

    Args:
        design: All settings.
        name: The setting that is not held fixed.
        counted: Which trials count.
        leading: First columns (trial counted, column): what is asked of that setting.
        values: Values (trial counted, draw).
        explained: What share of the variance each setting explains: the largest come first.
    """
    others = [s for s in design.settings.values() if s.name != name]
    others.sort(key=lambda other: -explained[other.name])
    # With one set of other settings, seeds are all that varies besides the setting itself.
    alone = len(np.unique(design.configurations((name,))[counted])) == 1
    units = np.unique(design.configurations()[counted], return_inverse=True)[1]
    units = np.arange(len(units)) if alone else units
    first = np.unique(units, return_index=True)[1]
    room = len(first) // TRIALS_PER_COLUMN - leading.shape[1]
    columns, left_out = [leading], []
    for other in others:
        some = _centred(other, counted)
        if some.shape[1] > room:
            left_out.append(other.name)
            continue
        room -= some.shape[1]
        columns.append(some)
    x = np.concatenate(columns, axis=1)[first]
    sizes = np.bincount(units).astype(float)
    means = np.stack([np.bincount(units, column) for column in values.T], axis=1) / sizes[:, None]
    weights = _weights(x, means, values, units, sizes)
    return Model(x, means, weights, first, tuple(left_out))


def _adjusted(
    design: Design,
    setting: Setting,
    counted: NDArray[np.bool_],
    codes: Ints,
    values: Floats,
    explained: Mapping[str, float],
) -> Comparison:
    """By a linear model of the configurations that holds other settings fixed."""
    indicators = (codes[:, None] == np.arange(codes.max() + 1)).astype(float)
    model = model_of(design, setting.name, counted, indicators, values, explained)
    x, count = model.design, indicators.shape[1]
    wanted = np.zeros((count, x.shape[1]))
    wanted[:, :count] = against_others(count)
    found = contrasts(x, model.means, model.weights, codes[model.first], wanted)
    inflation = _spreads(x, wanted) / _spreads(x[:, :count], wanted[:, :count])
    return Comparison("adjusted", found, len(x), model.left_out, inflation)


def _centred(other: Setting, counted: NDArray[np.bool_]) -> Floats:
    """Columns of another setting, 0 on average where it has an effect: what varies among them."""
    basis = other.basis[counted]
    active = other.exact[counted] >= 0
    if not active.any():
        return basis[:, :0]
    basis = np.where(active[:, None], basis - basis[active].mean(axis=0), 0.0)
    return basis[:, np.ptp(basis, axis=0) > 1e-9]


def _weights(x: Floats, means: Floats, values: Floats, units: Ints, sizes: Floats) -> Floats:
    """Inverse variances of configurations' means, from what varies between and within them."""
    repeats = len(units) - len(sizes)
    if repeats == 0:
        return np.ones(len(sizes))
    within = float(((values - means[units]) ** 2).mean(axis=1).sum()) / repeats
    fitted = x @ np.linalg.lstsq(x, means, rcond=None)[0]
    freedom = max(1, len(sizes) - np.linalg.matrix_rank(x))
    around = float(((means - fitted) ** 2).mean(axis=1).sum()) / freedom
    between = max(0.0, around - within * float((1.0 / sizes).mean()))
    variances = between + within / sizes
    if not variances.min() > 0.0:
        return sizes
    return np.asarray(variances.mean() / variances)


def _spreads(x: Floats, wanted: Floats) -> Floats:
    """Variances of contrasts under even noise of variance 1."""
    squares, vectors = np.linalg.eigh(x.T @ x)
    kept = squares > SPREAD_TOLERANCE * squares.max(initial=0.0)
    return np.asarray(((wanted @ vectors[:, kept]) ** 2 / squares[kept]).sum(axis=1))
