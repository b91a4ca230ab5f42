"""The trials of two studies in one design.

Settings that take no common value, such as one that is fixed differently, are *apart*: they, and
what has an effect with some of their values only, are what the two studies are compared by, and
cannot be held fixed. All other settings can, over trials whose values both studies tried.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.report.analysis.design import Design, Setting, design_of
from sweep.report.analysis.estimate import Floats, Ints
from sweep.report.analysis.levels import MOST_LEVELS
from sweep.report.analysis.once import once
from sweep.report.analysis.pruned import completed_values
from sweep.report.frames import StudyFrames, active_values
from sweep.trial import FIELDS

STUDY = "study"


@dataclass(frozen=True, slots=True)
class Pool:
    """Trials with a value, of the first study and then of the other one.

    Attributes:
        trials: Rows of `trials_frame`.
        study: 0 for those of the first study, 1 for those of the other (trial,).
        values: Objective values (trial, draw), pruned ones reckoned on within their own study.
        reckoned: Which of them were (trial,).
        varied: Settings that vary between the trials and are not apart.
        apart: Settings without a common value, and those that depend on them.
    """

    trials: pd.DataFrame
    study: Ints
    values: Floats
    reckoned: NDArray[np.bool_]
    varied: tuple[str, ...]
    apart: tuple[str, ...]

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of trials of each study."""
        return int((self.study == 0).sum()), int((self.study == 1).sum())

    def of(self, which: NDArray[np.bool_]) -> "Pool":
        """Some of its trials."""
        return Pool(
            self.trials[which].reset_index(drop=True),
            self.study[which],
            self.values[which],
            self.reckoned[which],
            self.varied,
            self.apart,
        )

    def common(self) -> "Pool":
        """The trials whose settings lie within what both studies tried."""
        inside = np.ones(len(self.trials), dtype=bool)
        for name in self.varied:
            inside &= _within_both(active_values(self.trials, name), self.study)
        return self.of(inside)

    def design(self, *, with_apart: bool = False) -> Design:
        """What varies between the trials: settings that are not apart, and the study itself."""
        found = design_of(self.trials, self.varied + self.apart if with_apart else self.varied)
        study = Setting(
            STUDY, ("first", "other"), self.study, self.study, self.study[:, None].astype(float)
        )
        return Design({**found.settings, STUDY: study}, found.trials)


def pooled(first: StudyFrames, other: StudyFrames) -> Pool:
    """Put the trials of two studies together."""
    parts = [frames.valued for frames in (first, other)]
    completed = [_completed(frames) for frames in (first, other)]
    trials = pd.concat(parts, ignore_index=True)
    study = np.repeat([0, 1], [len(part) for part in parts]).astype(np.int64)
    # Where nothing was reckoned on, all draws are alike.
    draws = max(values.shape[1] for values, _ in completed)
    values = [np.repeat(v, draws // v.shape[1], axis=1) for v, _ in completed]
    varied = [name for name in FIELDS if _varies(active_values(trials, name))]
    apart = [n for n in varied if not _within_both(active_values(trials, n), study).any()]
    apart += [
        name
        for name in varied
        if name not in apart
        and any(key in apart for key in (*FIELDS[name].when, *FIELDS[name].unless))
    ]
    return Pool(
        trials,
        study,
        np.concatenate(values),
        np.concatenate([reckoned for _, reckoned in completed]),
        tuple(name for name in varied if name not in apart),
        tuple(apart),
    )


@once
def _completed(frames: StudyFrames) -> tuple[Floats, NDArray[np.bool_]]:
    trials = frames.valued
    return completed_values(frames, trials, design_of(trials, frames.varied).basis)


def _varies(values: pd.Series) -> bool:
    return values.nunique(dropna=False) > 1


def _within_both(values: pd.Series, study: Ints) -> NDArray[np.bool_]:
    """Which values of a setting lie within what both studies tried; no effect is a value too.

    Choices do where both took them, a number of many values where it lies in both ranges. Where
    one study held that number fixed inside the other's range, all do: the curve leads there.
    """
    missing = values.isna().to_numpy()
    inside = np.zeros(len(values), dtype=bool)
    if all(missing[study == side].any() for side in (0, 1)):
        inside |= missing
    sides = [values[~missing & (study == side)] for side in (0, 1)]
    if any(side.empty for side in sides):
        return inside
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > MOST_LEVELS:
        low = max(side.min() for side in sides)
        high = min(side.max() for side in sides)
        if low <= high and any(side.nunique() == 1 for side in sides):
            low, high = values.min(), values.max()
        return np.asarray(inside | ((values >= low) & (values <= high)).to_numpy())
    shared = set(sides[0]) & set(sides[1])
    return np.asarray(inside | (values.isin(shared).to_numpy() & ~missing))
