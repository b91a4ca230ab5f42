"""How a study went on: objective by trial."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.report.figures.points import drawn_note, nothing_valued
from sweep.report.figures.style import (
    GREEN,
    OUTCOME_COLOURS,
    OUTCOME_SYMBOLS,
    Chart,
    empty,
    numbers,
    padded,
    styled,
)
from sweep.report.frames import StudyFrames, visible_range
from sweep.report.text import escaped, metric

MOST_TRIALS = 1000


def history(frames: StudyFrames) -> Chart:
    """The first objective by trial number, with the best so far as a line."""
    name = metric(frames.metrics[0])
    title = f"{name.capitalize()} by trial"
    trials, counts = frames.valued, frames.counts()
    if trials.empty and not counts["failed"]:
        reason = nothing_valued(frames)
        return Chart("history", empty(frames, title, reason), f"{reason}.")
    low, high = visible_range(trials)
    incumbent = _incumbent(frames)
    failed = frames.trials[frames.trials["outcome"] == "failed"]
    shown = pd.concat(
        [trials.assign(shown=trials["value"].clip(low, high)), failed.assign(shown=low)]
    ).sort_values("number")
    drawn = _thinned(shown, incumbent)
    traces = [
        _outcome_trace(drawn[drawn["outcome"] == outcome], outcome, counts[outcome])
        for outcome in ("complete", "pruned", "diverged", "failed")
        if counts[outcome]
    ]
    if len(incumbent):
        traces.append(
            go.Scatter(
                x=incumbent["number"].tolist(),
                y=numbers(incumbent["value"]),
                mode="lines",
                line={"color": GREEN, "width": 2, "shape": "hv"},
                name="best so far",
                hoverinfo="skip",
            )
        )
    figure = styled(
        frames,
        traces,
        title,
        drawn_note(drawn, shown) if len(drawn) < len(shown) else "",
        xaxis={
            "title": {"text": "trial number"},
            "range": padded(0, int(frames.trials["number"].max()), 0.02),
            "zeroline": False,
        },
        yaxis={"title": {"text": name}, "range": padded(low, high)},
    )
    return Chart("history", figure, _history_text(frames, counts, name))


def _thinned(trials: pd.DataFrame, incumbent: pd.DataFrame) -> pd.DataFrame:
    """Of many trials some, evenly spaced by number, and each that was the best of its time."""
    if len(trials) <= MOST_TRIALS:
        return trials
    is_drawn = trials["number"].isin(incumbent["number"]).to_numpy(copy=True)
    is_drawn[np.linspace(0, len(trials) - 1, MOST_TRIALS).astype(int)] = True
    return trials[is_drawn]


def _outcome_trace(trials: pd.DataFrame, outcome: str, count: int) -> go.Scatter:
    errors = outcome == "failed"
    return go.Scatter(
        x=trials["number"].tolist(),
        y=numbers(trials["shown"]),
        customdata=[escaped(str(error or "")[:120]) for error in trials["error"]]
        if errors
        else numbers(trials["value"]),
        mode="markers",
        name=f"{outcome} ({count})",
        marker={
            "color": OUTCOME_COLOURS[outcome],
            "symbol": OUTCOME_SYMBOLS[outcome],
            "size": 10 if errors else 8,
            "opacity": 0.85,
        },
        hovertemplate=f"trial %{{x}}, {outcome}: %{{customdata}}<extra></extra>",
    )


def _incumbent(frames: StudyFrames) -> pd.DataFrame:
    """The trials that were better than all before them, and the last one to end the line."""
    complete = frames.trials[frames.trials["outcome"] == "complete"]
    best = complete["value"].cummax() if frames.maximize else complete["value"].cummin()
    steps = complete.assign(value=best).dropna(subset=["value"])
    rises = steps["value"].diff() != 0.0
    rises.iloc[-1:] = True
    return steps.loc[rises, ["number", "value"]]


def _history_text(frames: StudyFrames, counts: dict[str, int], name: str) -> str:
    ended = ", ".join(
        f"{counts[outcome]} {outcome}"
        for outcome in ("complete", "diverged", "pruned", "failed")
        if counts[outcome]
    )
    best = frames.best()
    if best.empty:
        return f"{name.capitalize()} of every trial: {ended}; none has completed."
    first = best.iloc[0]
    return (
        f"{name.capitalize()} of every trial ({ended}); the best is {first['value']:.4g}, "
        f"reached by trial {first['number']}."
    )
