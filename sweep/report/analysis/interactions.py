r"""Which settings work together: what pairs explain beyond what each setting does alone.

An additive model of the configurations (see `sweep.report.analysis.compare`) leaves residuals. A
pair's share is what the products of the indicators of its levels, themselves freed of the additive
model, explain of them: an F statistic. Looking at many pairs finds something by chance, and noise
is uneven; so the p-value is the share of 499 wild bootstraps (Rademacher signs on the leverage-
corrected residuals as in HC3, Liu 1988) in which *any* pair reached as much (Westfall and Young
1993).
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import fdtrc

from sweep.report.analysis.design import Design, Setting, combined, design_of
from sweep.report.analysis.effects import records
from sweep.report.analysis.estimate import Floats, Ints
from sweep.report.analysis.levels import CONFIDENCE
from sweep.report.analysis.once import once
from sweep.report.analysis.pruned import completed_values
from sweep.report.analysis.words import interaction_sentence
from sweep.report.frames import StudyFrames

COLUMNS: Final = (
    "first",
    "second",
    "explained",
    "p",
    "clear",
    "first_level",
    "second_level",
    "beyond",
    "count",
    "configurations",
    "sentence",
)
DRAWS: Final = 499
LEAST_FREE: Final = 10
LEAST_IN_CELL: Final = 3
# Squares so small are rounding: of all residuals, and of a direction beyond the additive model.
NOTHING: Final = 1e-20
BEYOND_TOLERANCE: Final = 1e-9


@once
def interactions(frames: StudyFrames) -> pd.DataFrame:
    """Pairs of settings, those that explain most beyond their separate effects first.

    Returns:
        `first`, `second`; `explained`: share of the variance of the objective, adjusted for the
        number of columns; `p`, corrected for all pairs; `clear` (p below 0.05); the pair of levels
        `first_level`, `second_level` whose `count` configurations lie farthest `beyond` what both
        settings do alone; `configurations` in all; and `sentence`. Pairs that the trials cannot
        tell, because too few of them combine levels, have NaN and come last.
    """
    trials = frames.valued
    design = design_of(trials, frames.varied)
    if len(design.settings) < 2:
        return pd.DataFrame(columns=[*COLUMNS])
    values = completed_values(frames, trials, design.basis)[0].mean(axis=1)
    units = design.configurations()
    first = np.unique(units, return_index=True)[1]
    means = np.bincount(units, values) / np.bincount(units)
    additive = _additive(design, first)
    residuals = means - additive @ (additive.T @ means)
    pairs = list(combinations(design.settings.values(), 2))
    tests = _tests(residuals, additive, pairs, first)
    total = float(((means - means.mean()) ** 2).sum())
    rows = []
    for (one, two), test in zip(pairs, tests, strict=True):
        row = {"first": one.name, "second": two.name, "configurations": len(first)}
        rows.append(row | _found(one, two, first, residuals, test, total))
    table = pd.DataFrame(rows, columns=[*COLUMNS[:-1]])
    table = table.sort_values("explained", ascending=False, kind="stable", ignore_index=True)
    sentences = [interaction_sentence(frames.metrics[0], row) for row in records(table)]
    return table.assign(sentence=pd.Series(sentences, dtype=object))[[*COLUMNS]]


def _additive(design: Design, first: Ints) -> Floats:
    """An orthonormal basis of what settings do separately."""
    columns = [np.ones((len(first), 1))]
    for setting in design.settings.values():
        basis = setting.basis[first]
        # Levels of a number are products' factors, so that its bins count as separate effects too.
        columns += [basis, _indicators(setting, first)]
    return _basis(np.concatenate(columns, axis=1))


def _indicators(setting: Setting, first: Ints) -> Floats:
    codes = setting.level[first]
    return np.asarray(codes[:, None] == np.arange(len(setting.labels)), dtype=float)


def _products(one: Setting, two: Setting, first: Ints) -> Floats:
    """Indicators of the combinations of levels that occur."""
    left, right = _indicators(one, first), _indicators(two, first)
    products = (left[:, :, None] * right[:, None, :]).reshape(len(first), -1)
    return np.asarray(products[:, products.any(axis=0)])


def _basis(columns: Floats) -> Floats:
    left, lengths, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, lengths > 1e-7 * max(1.0, lengths.max(initial=0.0))])


def _mixing(products: Floats, additive: Floats) -> Floats:
    """Mixes products into an orthonormal basis of what they hold beyond the additive model.

    Their inner products suffice, so that the basis, as long as the study, is never made.
    """
    separate = additive.T @ products
    squares, vectors = np.linalg.eigh(products.T @ products - separate.T @ separate)
    kept = squares > BEYOND_TOLERANCE * max(1.0, squares.max(initial=0.0))
    return np.asarray(vectors[:, kept] / np.sqrt(squares[kept]))


def _tests(
    residuals: Floats, additive: Floats, pairs: Sequence[tuple[Setting, Setting]], first: Ints
) -> list[dict[str, float] | None]:
    """Sum of squares, its expectation and the corrected p of each pair; None if unknown."""
    free = len(residuals) - additive.shape[1]
    if free < LEAST_FREE or residuals @ residuals <= NOTHING:
        return [None] * len(pairs)
    leverage = np.minimum((additive**2).sum(axis=1), 1.0 - 1e-9)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (len(residuals), DRAWS))
    wild = signs * (residuals / (1.0 - leverage))[:, None]
    drawn = np.concatenate([residuals[:, None], wild - additive @ (additive.T @ wild)], axis=1)
    whole = (drawn**2).sum(axis=0)
    found: list[dict[str, float] | None] = []
    chances = []
    for one, two in pairs:
        products = _products(one, two, first)
        mixing = _mixing(products, additive)
        rank = mixing.shape[1]
        rest = free - rank
        if not rank or rest < LEAST_FREE:
            found.append(None)
            continue
        # What was drawn holds nothing of the additive model.
        squares = ((mixing.T @ (products.T @ drawn)) ** 2).sum(axis=0)
        noise = np.maximum(whole - squares, 1e-300) / rest
        chances.append(fdtrc(rank, rest, squares / rank / noise))
        found.append({"squares": squares[0], "expected": rank * noise[0]})
    if chances:
        least = np.min(chances, axis=0)[1:]
        known = [test for test in found if test is not None]
        for test, chance in zip(known, chances, strict=True):
            test["p"] = float((1 + (least <= chance[0]).sum()) / (DRAWS + 1))
    return found


def _found(
    one: Setting,
    two: Setting,
    first: Ints,
    residuals: Floats,
    test: dict[str, float] | None,
    total: float,
) -> dict[str, Any]:
    if test is None:
        nothing = {"explained": np.nan, "p": np.nan, "clear": False, "beyond": np.nan}
        return nothing | {"first_level": None, "second_level": None, "count": 0}
    explained = max(0.0, (test["squares"] - test["expected"]) / total)
    known = {"explained": explained, "p": test["p"], "clear": test["p"] < 1.0 - CONFIDENCE}
    cells = combined([one.level[first], two.level[first]], len(first))
    sizes = np.bincount(cells)
    active = (one.level[first] >= 0) & (two.level[first] >= 0)
    counted = (sizes >= LEAST_IN_CELL) & (np.bincount(cells, active) > 0)
    beyond = np.where(counted, np.bincount(cells, residuals) / sizes, 0.0)
    cell = int(np.abs(beyond).argmax())
    place = first[np.flatnonzero(cells == cell)[0]]
    return known | {
        "first_level": one.labels[one.level[place]],
        "second_level": two.labels[two.level[place]],
        "beyond": float(beyond[cell]),
        "count": int(sizes[cell]),
    }
