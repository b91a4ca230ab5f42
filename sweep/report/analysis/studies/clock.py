"""Time as a study had it: only what at least one of its runs lived through.

A study that was stopped and resumed a day later did not train for that day, so its pauses are cut
out. A run that was killed counts until its hold on its trials expired, one that lives until the
last thing known of the study. Where no run is on record, trials' own times stand in for runs.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sweep.report.analysis.estimate import Floats
from sweep.report.analysis.once import once
from sweep.report.frames import StudyFrames


@dataclass(frozen=True, slots=True)
class ActiveClock:
    """When a study was active.

    Attributes:
        begins: Begin of each span of activity, seconds since 1970, increasing (span,).
        ends: Their ends, none after the next begin (span,).
    """

    begins: Floats
    ends: Floats

    @property
    def seconds(self) -> float:
        """How long the study was active in all."""
        return float((self.ends - self.begins).sum())

    @property
    def pauses(self) -> int:
        """How often it was resumed after a time in which nothing ran."""
        return max(0, len(self.begins) - 1)

    def at(self, times: pd.Series) -> Floats:
        """Active seconds that had passed at some times (UTC); what lies in a pause is at its edge.

        Returns:
            One number for each time (time,).
        """
        if not len(self.begins):
            return np.zeros(len(times))
        lengths = self.ends - self.begins
        before = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
        at = moments(times)
        span = np.searchsorted(self.begins, at, side="right") - 1
        span = np.maximum(span, 0)
        inside = np.clip(at - self.begins[span], 0.0, lengths[span])
        return np.asarray(before[span] + inside, dtype=float)


@once
def active_clock(frames: StudyFrames) -> ActiveClock:
    """The clock of a study, which stands at 0 before its first run."""
    runs, trials = frames.runs, frames.trials
    known = [trials["started"], trials["ended"], frames.epochs["reported"], runs["updated"]]
    last = pd.concat(known).max()
    spans = runs if len(runs) else trials[trials["started"].notna()]
    begins, ends = moments(spans["started"]), moments(spans["ended"].fillna(last))
    return ActiveClock(*_merged(begins, np.maximum(begins, ends)))


def moments(times: pd.Series) -> Floats:
    """Times (UTC) as seconds since 1970."""
    return np.asarray(times.astype("datetime64[us, UTC]").astype("int64"), dtype=float) / 1e6


def _merged(begins: Floats, ends: Floats) -> tuple[Floats, Floats]:
    """Spans that overlap or touch, put together."""
    if not len(begins):
        return begins, ends
    order = np.argsort(begins, kind="stable")
    begins, ends = begins[order], np.maximum.accumulate(ends[order])
    opens = np.concatenate([[True], begins[1:] > ends[:-1]])
    closes = np.concatenate([opens[1:], [True]])
    return begins[opens], ends[closes]
