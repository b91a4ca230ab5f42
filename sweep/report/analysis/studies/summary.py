"""Studies in one table: what each reached, and what it cost."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sweep.report.analysis.studies.clock import active_clock
from sweep.report.frames import OUTCOMES, StudyFrames, active_values
from sweep.trial import FIELDS

ENDED = ("complete", "diverged", "pruned", "failed")


def studies_summary(studies: Sequence[StudyFrames]) -> pd.DataFrame:
    """One row for each study, in the order given.

    Returns:
        `study`, `data`, `is_fallback`, `metric`, `direction` (of the first objective); a count of
        trials for each outcome; `ended` (trials); `epochs` (trained); `seconds` (active time, see
        `ActiveClock`) and `pauses`; `trials_per_hour` (ended ones, of active time; NaN if no time
        has passed); `best_value` and `best_number` of the best complete trial (NaN if there is
        none); `lower`, `median`, `upper`: quartiles of the values of all trials that have one
        (pruned ones as of pruning; NaN if there is none); `settings`: a mapping of those settings
        of the best trial that differ between the best trials of all; of just one, those varied.
    """
    best = [_best(frames) for frames in studies]
    told = _told(studies, best)
    rows = []
    for frames, winner in zip(studies, best, strict=True):
        counts = frames.counts()
        ended = sum(counts[outcome] for outcome in ENDED)
        clock = active_clock(frames)
        rows.append(
            {
                "study": frames.study,
                "data": frames.data,
                "is_fallback": frames.is_fallback,
                "metric": frames.metrics[0],
                "direction": frames.directions[0],
                **{outcome: counts[outcome] for outcome in OUTCOMES},
                "ended": ended,
                "epochs": len(frames.epochs),
                "seconds": clock.seconds,
                "pauses": clock.pauses,
                "trials_per_hour": 3600.0 * ended / clock.seconds if clock.seconds else np.nan,
                "best_value": np.nan if winner is None else winner["value"],
                "best_number": np.nan if winner is None else winner["number"],
                **_quartiles(frames),
                "settings": {} if winner is None else _settings(winner, told),
            }
        )
    return pd.DataFrame(rows)


def _best(frames: StudyFrames) -> dict[str, Any] | None:
    """The best complete trial, settings without effect missing."""
    best = frames.best().head(1)
    if best.empty:
        return None
    shown = best.assign(**{name: active_values(best, name) for name in FIELDS})
    return {str(key): value for key, value in shown.iloc[0].items()}


def _told(studies: Sequence[StudyFrames], best: Sequence[dict[str, Any] | None]) -> list[str]:
    known = [winner for winner in best if winner is not None]
    if len(known) == 1:
        return [name for name in FIELDS if any(name in frames.varied for frames in studies)]
    values = {
        name: {None if pd.isna(winner[name]) else winner[name] for winner in known}
        for name in FIELDS
    }
    return [name for name in FIELDS if len(values[name]) > 1]


def _settings(winner: dict[str, Any], told: Sequence[str]) -> dict[str, Any]:
    return {name: winner[name] for name in told if not pd.isna(winner[name])}


def _quartiles(frames: StudyFrames) -> dict[str, float]:
    quartiles = frames.valued["value"].quantile([0.25, 0.5, 0.75])
    return dict(zip(("lower", "median", "upper"), quartiles, strict=True))
