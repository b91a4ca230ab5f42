"""A study's finished trials as a sampler needs them: arrays that only grow."""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution
from optuna.search_space.group_decomposed import _SearchSpaceGroup
from optuna.trial import FrozenTrial, TrialState

Floats = npt.NDArray[np.float64]

MOST_TRIALS: Final = 400
"""Finished trials that a sampler looks at: the best, and others evenly over the whole study."""


class History:
    """The complete and the pruned trials of a study with one objective.

    Kept from one question to the next, so that the cost of a question does not grow with the
    study. Optuna's sampler would sort all trials, and read all their parameters, once for each
    group of parameters.
    """

    def __init__(self, finished: Sequence[FrozenTrial], *, maximize: bool) -> None:
        """Begin with none read.

        Args:
            finished: Finished trials in the order in which they became known; it grows.
            maximize: Whether a larger objective is better.
        """
        self._finished = finished
        self._sign = -1.0 if maximize else 1.0
        self._read = 0
        self._trials: dict[int, FrozenTrial] = {}
        self._scores: dict[int, tuple[float, ...]] = {}
        self._rows: dict[int, Floats] = {}
        self._open_rows: dict[tuple[int, int], Floats] = {}
        self._places: dict[str, int] = {}
        self._groups: _SearchSpaceGroup | None = None
        self._distributions: dict[frozenset[str], dict[str, BaseDistribution]] = {}

    def update(self) -> None:
        """Take in what has finished since the last call."""
        for trial in self._finished[self._read :]:
            self._read += 1
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                self._trials[trial.number] = trial
                self._scores[trial.number] = (*self._score(trial), trial.number)
                self._learn(trial.distributions)

    def _learn(self, distributions: dict[str, BaseDistribution]) -> None:
        names = frozenset(distributions)
        if names not in self._distributions:
            self._distributions[names] = distributions
            self._groups = None
            if names - self._places.keys():
                known = sorted(names | self._places.keys())
                self._places = {name: place for place, name in enumerate(known)}
                self._rows.clear()
                self._open_rows.clear()

    def __len__(self) -> int:
        """Trials taken in."""
        return len(self._trials)

    def groups(self) -> _SearchSpaceGroup:
        """Parameters that always occur together, in groups, as Optuna makes them."""
        if self._groups is None:
            self._groups = _SearchSpaceGroup()
            for names in sorted(self._distributions, key=sorted):
                self._groups.add_distributions(self._distributions[names])
        return self._groups

    def split(self, gamma: int) -> tuple[list[int], list[int]]:
        """The best trials and the rest, each by number; at most `MOST_TRIALS` in all.

        Args:
            gamma: How many trials are among the best.
        """
        best = heapq.nsmallest(gamma, self._scores, key=self._scores.__getitem__)
        rest = sorted(self._scores.keys() - set(best))
        room = MOST_TRIALS - len(best)
        if len(rest) > room:
            rest = [
                rest[place] for place in np.linspace(0, len(rest) - 1, room).round().astype(int)
            ]
        return sorted(best), rest

    def table(self, numbers: Sequence[int], others: Sequence[FrozenTrial] = ()) -> "Table":
        """The parameters of trials that were taken in, by number, and of others."""
        for number in numbers:
            if number not in self._rows:
                self._rows[number] = self._row(self._trials[number])
        rows = [(number, self._rows[number]) for number in numbers]
        rows += [(trial.number, self._row_of_open(trial)) for trial in others]
        rows.sort(key=lambda row: row[0])
        return Table(np.array([row for _, row in rows]).reshape(len(rows), -1), self._places)

    def _row_of_open(self, trial: FrozenTrial) -> Floats:
        """Parameters are added to an open trial, and do not change."""
        key = trial.number, len(trial.params)
        if key not in self._open_rows:
            self._open_rows[key] = self._row(trial)
        return self._open_rows[key]

    def _row(self, trial: FrozenTrial) -> Floats:
        row = np.full(len(self._places), np.nan)
        for name, value in trial.params.items():
            if name in self._places:
                row[self._places[name]] = trial.distributions[name].to_internal_repr(value)
        return row

    def _score(self, trial: FrozenTrial) -> tuple[float, ...]:
        """Smaller is better: complete trials come first, then those pruned after more epochs."""
        if trial.state is TrialState.COMPLETE and trial.values is not None:
            return (0.0, self._sign * trial.values[0])
        if not trial.intermediate_values:
            return (2.0, 0.0)
        step, value = max(trial.intermediate_values.items())
        return (1.0, -step, math.inf if math.isnan(value) else self._sign * value)


@dataclass(frozen=True, slots=True)
class Table:
    """Parameters of trials as Optuna's estimators take them.

    Attributes:
        rows: A trial each, by number; NaN where it has no such parameter.
        places: Column of each parameter, by name.
    """

    rows: Floats
    places: Mapping[str, int]

    def columns(self, names: Sequence[str]) -> dict[str, Floats]:
        """Values of parameters by name, of the trials that have all of them."""
        if any(name not in self.places for name in names) or not len(self.rows):
            return {name: np.empty(0) for name in names}
        values = self.rows[:, [self.places[name] for name in names]]
        values = values[~np.isnan(values).any(axis=1)]
        return {name: values[:, place] for place, name in enumerate(names)}
