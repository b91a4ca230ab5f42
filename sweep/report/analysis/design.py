"""Settings of trials as numbers: levels, configurations, blocks, and what to adjust for.

Everything is an array over the trials that have a value. A setting without effect in a trial
(momentum under Adam) has the code -1 there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sweep.report.analysis.estimate import Floats, Ints
from sweep.report.analysis.levels import MOST_LEVELS, levels
from sweep.report.frames import active_values
from sweep.trial import FIELDS

# A positive number that spans more than this counts by its logarithm.
LOGARITHMIC = 30.0
CURVE = 3


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that varies.

    Attributes:
        name: Name of the field.
        labels: Its levels, in order.
        level: Code of each trial's level, from 0; -1 without effect.
        exact: Code of each trial's very value; -1 without effect.
        basis: Columns to adjust for it: indicators of all values but one, or powers of a number
            that has many; 0 without effect.
    """

    name: str
    labels: tuple[str, ...]
    level: Ints
    exact: Ints
    basis: Floats


@dataclass(frozen=True, slots=True)
class Design:
    """The settings that vary between trials, by name."""

    settings: Mapping[str, Setting]
    trials: int

    @property
    def basis(self) -> Floats:
        """What is adjusted for, of all settings side by side (trial, column)."""
        columns = [setting.basis for setting in self.settings.values()]
        return np.concatenate([np.empty((self.trials, 0)), *columns], axis=1)

    def configurations(self, without: Sequence[str] = ()) -> Ints:
        """A number for each trial, equal for those that share all settings but some."""
        codes = [s.exact for name, s in self.settings.items() if name not in without]
        return combined(codes, self.trials)

    def dependents(self, name: str) -> tuple[str, ...]:
        """Settings that have an effect only with some values of another one."""
        fields = ((other, FIELDS[other]) for other in self.settings if other in FIELDS)
        return tuple(o for o, info in fields if name in info.when or name in info.unless)


def design_of(trials: pd.DataFrame, varied: Sequence[str]) -> Design:
    """The design of trials that have a value.

    Args:
        trials: Rows of `trials_frame`.
        varied: Names of settings; those with one level among these trials are left out.
    """
    made = {name: _setting(trials, name) for name in varied}
    several = {name: s for name, s in made.items() if len(s.labels) > 1}
    return Design(several, len(trials))


def combined(codes: Sequence[Ints], count: int) -> Ints:
    """One code for several, numbered from 0."""
    found: Ints = np.zeros(count, dtype=np.int64)
    for code in codes:
        joined = found * (int(code.max(initial=0)) + 2) + code + 1
        found = np.unique(joined, return_inverse=True)[1].astype(np.int64)
    return found


def _setting(trials: pd.DataFrame, name: str) -> Setting:
    values = active_values(trials, name)
    named = levels(trials, name)
    codes, distinct = pd.factorize(values, sort=True)
    exact = np.asarray(codes, dtype=np.int64)
    places = named.cat.codes.to_numpy(dtype=np.int64)
    used = np.unique(places[places >= 0])
    labels = tuple(str(named.cat.categories[place]) for place in used)
    level = np.asarray(np.where(places >= 0, np.searchsorted(used, places), -1), dtype=np.int64)
    is_curve = FIELDS[name].type in (int, float) and len(distinct) > MOST_LEVELS
    numbers = values.to_numpy(dtype=float) if is_curve else None
    basis = _indicators(exact, len(distinct)) if numbers is None else _powers(numbers)
    return Setting(name, labels, level, exact, basis)


def _indicators(codes: Ints, count: int) -> Floats:
    return np.asarray(codes[:, None] == np.arange(1, count), dtype=float)


def _powers(numbers: Floats) -> Floats:
    """Powers of a number or its logarithm; 0 where it is missing."""
    known = np.isfinite(numbers)
    basis = np.zeros((len(numbers), CURVE))
    basis[known] = curve(numbers[known], numbers[known])
    return basis


def is_logarithmic(numbers: Floats) -> bool:
    """Whether a number counts by its logarithm: positive and spread far."""
    return bool(numbers.min() > 0 and numbers.max() > LOGARITHMIC * numbers.min())


def curve(numbers: Floats, at: Floats) -> Floats:
    """Powers of a number or its logarithm, orthogonal over the numbers given, at some places."""
    if is_logarithmic(numbers):
        numbers, at = np.log(numbers), np.log(at)
    middle, spread = numbers.mean(), numbers.std()
    places = np.vander((at - middle) / spread, CURVE + 1, increasing=True)
    mixing = np.linalg.qr(np.vander((numbers - middle) / spread, CURVE + 1, increasing=True))[1]
    powers = np.linalg.solve(mixing.T, places.T).T[:, 1:]
    return np.asarray(powers * np.sqrt(len(numbers)))
