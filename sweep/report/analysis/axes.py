"""Settings of trials as coordinates, for `ped_anova` and `fanova`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sweep.report.analysis.design import Design, is_logarithmic
from sweep.report.analysis.estimate import Floats, Ints
from sweep.report.analysis.levels import MOST_LEVELS
from sweep.report.frames import active_values
from sweep.trial import FIELDS


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting that varies, over the trials.

    Attributes:
        name: Name of the field.
        place: A number (or its logarithm, if it spans enough) as a share of its range, 0 to 1, or
            the code of a choice; NaN without effect (trial,).
        choices: How many choices there are; 0 for a number.
    """

    name: str
    place: Floats
    choices: int

    def cells(self, count: int) -> Ints:
        """The cell that each trial lies in, of `count` for a number; -1 without effect."""
        known = np.where(np.isnan(self.place), 0.0, self.place)
        # Ties go down, as Optuna has them.
        found = known if self.choices else np.ceil(known * (count - 1) - 0.5).clip(0, count - 1)
        return np.where(np.isnan(self.place), -1, found).astype(np.int64)


def axes_of(design: Design, trials: pd.DataFrame) -> Sequence[Axis]:
    """One axis for each setting of the design of these trials."""
    return [_axis(design, trials, name) for name in design.settings]


def _axis(design: Design, trials: pd.DataFrame, name: str) -> Axis:
    values = active_values(trials, name)
    if FIELDS[name].type not in (int, float) or values.nunique() <= MOST_LEVELS:
        setting = design.settings[name]
        codes = np.where(setting.level >= 0, setting.level, np.nan)
        return Axis(name, codes, len(setting.labels))
    numbers = values.to_numpy(dtype=float)
    if is_logarithmic(numbers[np.isfinite(numbers)]):
        numbers = np.log(numbers)
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    return Axis(name, (numbers - low) / (high - low), 0)
