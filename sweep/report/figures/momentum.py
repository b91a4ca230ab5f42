"""Accuracy by the momentum of SGD."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.report.figures.points import (
    accurate,
    drawn_note,
    hover,
    thinned,
    trial_marks,
)
from sweep.report.figures.style import (
    BLUE,
    GREY,
    OUTCOME_SYMBOLS,
    SCALE,
    VERMILLION,
    Chart,
    empty,
    numbers,
    styled,
)
from sweep.report.frames import StudyFrames
from sweep.report.text import label, plural


def momentum(frames: StudyFrames) -> Chart:
    """Accuracy of SGD trials by momentum and, where it varied, learning rate."""
    key, title = "momentum", "Momentum of SGD"
    trials = accurate(frames)
    trials = trials[trials["optimizer"] == "sgd"]
    if trials.empty:
        reason = "No trial with the optimizer sgd has ended"
        return Chart(key, empty(frames, title, reason), reason + ".")
    x = -np.log10(1.0 - trials["momentum"])
    by_rate = trials["learning_rate"].nunique() > 1
    top = min(5, max(1, math.ceil(x.max())))
    ticks = {
        "tickvals": list(range(top + 1)),
        "ticktext": ["0", *(f"{1 - 10.0**-power:.{power}f}" for power in range(1, top + 1))],
        "range": [-0.2, top + 0.2],
        "title": {"text": "momentum (scale of 1 − momentum)"},
        "zeroline": False,
    }
    drawn = thinned(trials.assign(x=x))
    if by_rate:
        figure = styled(
            frames,
            _rate_plane(drawn),
            "Momentum × learning rate of SGD",
            f"colour: validation accuracy; {drawn_note(drawn, trials)}",
            xaxis=ticks,
            yaxis={"type": "log", "title": {"text": "learning rate"}, "dtick": 1},
            coloraxis={
                "colorscale": SCALE,
                "colorbar": {"thickness": 12, "outlinewidth": 0, "title": {"text": "accuracy"}},
            },
        )
    else:
        figure = styled(
            frames,
            [trial_marks(drawn, "x", BLUE, "trials")],
            title,
            drawn_note(drawn, trials),
            xaxis=ticks,
            yaxis={"title": {"text": "validation accuracy"}},
        )
    best = trials.iloc[int(trials["accuracy"].argmax())]
    text = (
        f"{plural(len(trials), 'SGD trial')} by momentum and learning rate, "
        f"{(trials['outcome'] == 'diverged').sum()} diverged; the most accurate "
        f"({best['accuracy']:.3f}) had momentum {label(best['momentum'])} and rate "
        f"{label(best['learning_rate'])}."
    )
    return Chart(key, figure, text)


def _rate_plane(trials: pd.DataFrame) -> list[go.Scatter]:
    traces = []
    for outcome in ("complete", "pruned", "diverged"):
        part = trials[trials["outcome"] == outcome]
        if part.empty:
            continue
        symbol = OUTCOME_SYMBOLS[outcome]
        colour = (
            {"color": VERMILLION}
            if outcome == "diverged"
            else {"color": numbers(part["accuracy"]), "coloraxis": "coloraxis"}
        )
        points = go.Scatter(
            x=numbers(part["x"]),
            y=numbers(part["learning_rate"]),
            customdata=hover(part),
            mode="markers",
            legendgroup=outcome,
            showlegend=False,
            marker={**colour, "symbol": symbol, "size": 11, "line": {"width": 1, "color": GREY}},
            hovertemplate="trial %{customdata[0]}: %{customdata[1]}<extra></extra>",
        )
        # The legend has an entry of its own: those of points with a scale are drawn black.
        entry = go.Scatter(
            x=[None],
            y=[None],
            mode="markers",
            legendgroup=outcome,
            name=f"{outcome} ({len(part)})",
            marker={
                "color": VERMILLION if outcome == "diverged" else GREY,
                "symbol": symbol,
                "size": 9,
            },
        )
        traces += [points, entry]
    return traces
