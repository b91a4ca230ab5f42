r"""How the objective varies over the whole space: functional ANOVA.

| symbol | meaning | shape |
|---|---|---|
| l, h | ends of a leaf's box along each setting, from 0 to 1 | (leaf, setting) |
| v | what the tree predicts in the leaf | (leaf,) |
| w | volume of the leaf's box | (leaf,) |

A tree of a random forest cuts the space into boxes. Its mean prediction at a value of one
setting, over all values of the others, is a sum over the boxes that hold it; the variance of that
over the setting's range is what the setting explains by itself, as a share of the variance of v
(Hutter, Hoos and Leyton-Brown 2014). Shares are averaged over the trees.

The space is even in a number's range, or that of its logarithm if it spans enough, and over
choices. These are ordered by their mean (Breiman and others 1984), so that a tree can part any two
sets of them that differ. A setting without effect in a trial is given a value at random: what
gives it an effect, such as the optimizer the momentum, keeps what is its own.

On numbers this is what `optuna.importance.FanovaImportanceEvaluator` computes, and tested against
it. That one takes a logarithmic range for an even one, spreads choices over as many columns of 0
and 1, most of whose combinations are no choice, and takes some ten times as long.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from sweep.report.analysis.axes import Axis
from sweep.report.analysis.estimate import Floats, Ints

TREES: Final = 16
LEAST_IN_LEAF: Final = 3


def fanova(axes: Sequence[Axis], rows: Ints, losses: Floats) -> Floats:
    """Share of the variance that each setting explains by itself, 0 to 1 (setting,).

    Args:
        axes: The settings, over all trials.
        rows: Some of the trials, which may repeat (row,).
        losses: What these came to (row,).
    """
    chance = np.random.default_rng(0)
    places = np.stack([_places(axis, rows, losses, chance) for axis in axes], axis=1)
    forest = RandomForestRegressor(
        n_estimators=TREES, min_samples_leaf=LEAST_IN_LEAF, random_state=0
    )
    forest.fit(places, losses)
    found = [_explained(*_leaves(one.tree_, len(axes))) for one in forest.estimators_]
    return np.asarray(np.mean(found, axis=0))


def _places(axis: Axis, rows: Ints, losses: Floats, chance: np.random.Generator) -> Floats:
    """Where the rows lie along a setting, 0 to 1."""
    place = axis.place[rows]
    known = ~np.isnan(place)
    if axis.choices:
        codes = place[known].astype(np.int64)
        counts = np.bincount(codes, minlength=axis.choices)
        means = np.bincount(codes, losses[known], axis.choices) / np.maximum(counts, 1)
        rank = np.argsort(np.argsort(means, kind="stable"), kind="stable")
        place[known] = rank[codes]
        place[~known] = chance.integers(axis.choices, size=int((~known).sum()))
        return np.asarray((place + 0.5) / axis.choices)
    place[~known] = chance.random(int((~known).sum()))
    return place


def _leaves(tree: Any, settings: int) -> tuple[Floats, Floats, Floats]:
    """Boxes l, h and predictions v of a tree of scikit-learn."""
    feature, cuts = tree.feature, tree.threshold
    low = np.zeros((tree.node_count, settings))
    high = np.ones_like(low)
    nodes = np.array([0])
    while len(nodes := nodes[feature[nodes] >= 0]):
        left, right = tree.children_left[nodes], tree.children_right[nodes]
        for children in (left, right):
            low[children], high[children] = low[nodes], high[nodes]
        high[left, feature[nodes]] = low[right, feature[nodes]] = cuts[nodes]
        nodes = np.concatenate([left, right])
    leaves = feature < 0
    return low[leaves], high[leaves], tree.value.reshape(-1)[leaves]


def _explained(low: Floats, high: Floats, value: Floats) -> Floats:
    """Share of the tree's variance that each setting explains; 0 if the tree has none."""
    shares = np.zeros(low.shape[1])
    widths = high - low
    volume = widths.prod(axis=1)
    centred = value - volume @ value
    total = float(volume @ centred**2)
    if total <= 0.0:
        return shares
    for setting in np.flatnonzero((widths < 1.0).any(axis=0)):
        height = centred * volume / widths[:, setting]
        edges, place = np.unique([low[:, setting], high[:, setting]], return_inverse=True)
        steps = np.bincount(place.ravel(), np.concatenate([height, -height]))
        shares[setting] = float(np.diff(edges) @ np.cumsum(steps)[:-1] ** 2) / total
    return shares
