"""Trials as points, and means with intervals over them."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.levels import LEAST_DRAWN
from sweep.report.figures.style import OUTCOME_SYMBOLS, numbers, padded
from sweep.report.frames import VALUED, StudyFrames
from sweep.report.text import plural

MOST_POINTS = 400
# The symbols of `OUTCOME_SYMBOLS` as text.
_SIGNS = {"complete": "●", "pruned": "▼", "diverged": "✖"}


def accurate(frames: StudyFrames) -> pd.DataFrame:
    """Trials with an objective value and a validation accuracy."""
    return frames.valued.dropna(subset=["accuracy"])


def nothing_valued(frames: StudyFrames) -> str:
    """Why no trial has a value to draw."""
    counts = frames.counts()
    ended = {outcome: counts[outcome] for outcome in (*VALUED, "failed") if counts[outcome]}
    if not len(frames.trials):
        return "No trial yet"
    if not ended:
        return "No trial has ended yet"
    if list(ended) == ["failed"]:
        return f"All of the {plural(ended['failed'], 'ended trial')} failed"
    return f"None of the {plural(sum(ended.values()), 'ended trial')} has a finite value"


def nothing_varied(frames: StudyFrames) -> str:
    """Why no two values of a setting can be compared."""
    if frames.valued.empty:
        return nothing_valued(frames)
    return "No setting varies between the trials that have ended"


def nothing_complete(frames: StudyFrames) -> str:
    """Why no complete trial can be drawn."""
    return "No trial has completed with a finite value" if len(frames.trials) else "No trial yet"


def data_range(values: pd.Series) -> list[float]:
    """Of the trials, not of the intervals, which are wild where there are two or three trials."""
    return padded(float(values.min()), float(values.max()))


def thinned(trials: pd.DataFrame, most: int = MOST_POINTS) -> pd.DataFrame:
    """At most so many trials, evenly spaced by number, so that a figure stays small."""
    if len(trials) <= most:
        return trials
    return trials.iloc[np.linspace(0, len(trials) - 1, most).astype(int)]


def drawn_note(drawn: pd.DataFrame, trials: pd.DataFrame) -> str:
    """How many trials are drawn, for a title."""
    if len(drawn) == len(trials):
        return plural(len(trials), "trial")
    return f"{len(drawn)} of {len(trials):,} trials drawn"


def outcome_note(trials: pd.DataFrame) -> str:
    """Which symbol means which outcome, for a title; empty if there is one outcome."""
    found = [outcome for outcome in _SIGNS if (trials["outcome"] == outcome).any()]
    return ", ".join(f"{_SIGNS[o]} {o}" for o in found) if len(found) > 1 else ""


def trial_marks(
    trials: pd.DataFrame,
    x: str,
    colour: str,
    name: str,
    *,
    measure: str = "accuracy",
    faint: bool = False,
) -> go.Scatter:
    """A mark for each trial, its symbol by outcome, at column `x` and height `measure`."""
    symbols = trials["outcome"].map(OUTCOME_SYMBOLS).tolist()
    return go.Scatter(
        x=numbers(trials[x]),
        y=numbers(trials[measure]),
        customdata=hover(trials),
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=False,
        marker={"color": colour, "symbol": symbols, "size": 7, "opacity": 0.45 if faint else 0.85},
        hovertemplate="trial %{customdata[0]}: %{customdata[1]}<extra></extra>",
    )


def mean_marks(
    means: pd.DataFrame, x: list[float | None], colour: str, name: str, *, line: bool
) -> go.Scatter:
    """Diamonds with their intervals at `x`, from the rows of `group_means`.

    They are hollow and have no interval where there are one or two trials.
    """
    sure = means["count"] >= LEAST_DRAWN
    half = (means["high"] - means["mean"]).where(sure, 0.0)
    return go.Scatter(
        x=x,
        y=numbers(means["mean"]),
        error_y={"array": numbers(half), "thickness": 1.5, "width": 5, "color": colour},
        customdata=means["count"].tolist(),
        mode="lines+markers" if line else "markers",
        line={"color": colour, "width": 1.5, "dash": "dot"},
        marker={
            "color": colour,
            "symbol": np.where(sure, "diamond", "diamond-open").tolist(),
            "size": 12,
        },
        name=name,
        legendgroup=name,
        hovertemplate="mean %{y:.4g}, n=%{customdata}<extra></extra>",
    )


def hover(trials: pd.DataFrame) -> list[list[object]]:
    """Number, and what a reader wants to know first, of every trial."""
    return [
        [int(number), f"{outcome}, accuracy {accuracy:.3f}"]
        for number, outcome, accuracy in zip(
            trials["number"], trials["outcome"], trials["accuracy"], strict=True
        )
    ]
