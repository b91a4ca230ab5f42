"""Accuracy by the momentum of SGD, and where it diverges."""

import math
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.divergence import Boundary, boundary
from sweep.report.analysis.levels import group_means, levels
from sweep.report.figures.points import (
    accurate,
    data_range,
    drawn_note,
    hover,
    mean_marks,
    thinned,
    trial_marks,
)
from sweep.report.figures.style import (
    BLUE,
    GREY,
    OUTCOME_SYMBOLS,
    VERMILLION,
    Chart,
    empty,
    jitter,
    numbers,
    scale_above,
    styled,
)
from sweep.report.frames import StudyFrames
from sweep.report.text import label, plural

KEY: Final = "momentum"
# Decades beyond the lowest and highest learning rate.
ROOM: Final = 0.2
SHADE: Final = "rgba(213,94,0,0.16)"
_CLOSE: Final = 1e-9


def momentum(frames: StudyFrames) -> Chart:
    """Accuracy of SGD trials by momentum and, where it varied, learning rate.

    In the plane of both, the region where trials diverge more likely than not is shaded, see
    `sweep.report.analysis.divergence`.
    """
    is_sgd = frames.trials["optimizer"] == "sgd"
    known = frames.trials.index.isin(accurate(frames).index)
    diverged = frames.trials["outcome"] == "diverged"
    # What diverged has a place in the plane even without an accuracy.
    trials = frames.trials[is_sgd & (known | diverged)]
    if trials.empty:
        reason = "No trial with the optimizer sgd has a value"
        return Chart(KEY, empty(frames, "Momentum of SGD", reason), reason + ".")
    trials = trials.assign(x=-np.log10(1.0 - trials["momentum"]))
    if trials["learning_rate"].nunique() > 1:
        return _plane(frames, trials)
    return _line(frames, trials)


def _line(frames: StudyFrames, trials: pd.DataFrame) -> Chart:
    """Accuracy by momentum, with the mean of each."""
    with_accuracy = trials.dropna(subset=["accuracy"])
    if with_accuracy.empty:
        reason = "All trials with the optimizer sgd diverged"
        return Chart(KEY, empty(frames, "Momentum of SGD", reason), reason + ".")
    groups = levels(with_accuracy, "momentum")
    means = group_means(with_accuracy["accuracy"], groups)
    centres = with_accuracy["x"].groupby(groups, observed=True).mean().reindex(means.index)
    drawn = thinned(with_accuracy)
    figure = styled(
        frames,
        [
            trial_marks(drawn, "x", BLUE, "trials", faint=True),
            mean_marks(means, numbers(centres), BLUE, "mean", line=True),
        ],
        "Momentum of SGD",
        f"diamonds: mean and 95\u00a0% interval; {drawn_note(drawn, with_accuracy)}",
        xaxis=_ticks(trials["x"]),
        yaxis={
            "title": {"text": "validation accuracy"},
            "range": data_range(with_accuracy["accuracy"]),
        },
        showlegend=False,
    )
    return Chart(KEY, figure, _text(trials, None))


def _plane(frames: StudyFrames, trials: pd.DataFrame) -> Chart:
    """Momentum by learning rate, with the region of divergence."""
    found = boundary(
        trials["x"].to_numpy(dtype=float),
        np.log10(trials["learning_rate"].to_numpy(dtype=float)),
        (trials["outcome"] == "diverged").to_numpy(),
    )
    rates = np.log10([trials["learning_rate"].min(), trials["learning_rate"].max()])
    low, high = float(rates[0]) - ROOM, float(rates[1]) + ROOM
    drawn = thinned(trials)
    region = [] if found is None else _region(found, trials["x"], low, high)
    lost = int((trials["outcome"] == "diverged").sum())
    note = (
        "shaded: likelier than not to diverge (logistic regression)"
        if found is not None
        else f"no region of divergence shown: {lost} of {len(trials)} diverged"
    )
    figure = styled(
        frames,
        [*region, *_points(drawn)],
        "Momentum × learning rate of SGD",
        f"colour: validation accuracy; {drawn_note(drawn, trials)}<br>{note}",
        xaxis=_ticks(trials["x"]),
        yaxis={
            "type": "log",
            "title": {"text": "learning rate"},
            "dtick": 1,
            "range": [low, high],
        },
        coloraxis=scale_above(),
        legend={"y": -0.2, "yanchor": "top"},
        height=480,
    )
    return Chart(KEY, figure, _text(trials, found))


def _ticks(x: pd.Series) -> dict[str, Any]:
    """An axis of momenta, even in the logarithm of 1 - momentum."""
    top = min(5, max(1, math.ceil(x.max())))
    return {
        "tickvals": list(range(top + 1)),
        "ticktext": ["0", *("." + "9" * power for power in range(1, top + 1))],
        "range": [-0.25, top + 0.25],
        "title": {"text": "momentum (scale of 1 − momentum)"},
        "zeroline": False,
    }


def _region(found: Boundary, x: pd.Series, low: float, high: float) -> list[go.Scatter]:
    """The shaded region and its edge, over the momenta that were tried and no further."""
    ends = [float(x.min()) - ROOM, float(x.max()) + ROOM]
    # Where the edge leaves the picture, it has corners.
    corners = [(y - found.level) / found.slope for y in (low, high) if found.slope != 0.0]
    places = np.array(sorted([*ends, *(c for c in corners if ends[0] < c < ends[1])]))
    edge = found.at(places)
    inside = np.clip(edge, low, high)
    visible = (edge > low - _CLOSE) & (edge < high + _CLOSE)
    across = [*places, *places[::-1]]
    heights = [*inside, *[high] * len(places)]
    return [
        go.Scatter(
            x=numbers(pd.Series(across)),
            y=numbers(pd.Series(10.0 ** np.array(heights))),
            mode="lines",
            fill="toself",
            fillcolor=SHADE,
            line={"width": 0},
            showlegend=False,
            hoverinfo="skip",
        ),
        go.Scatter(
            x=numbers(pd.Series(places[visible])),
            y=numbers(pd.Series(10.0 ** inside[visible])),
            mode="lines",
            line={"color": VERMILLION, "width": 1.5, "dash": "dash"},
            showlegend=False,
            hoverinfo="skip",
        ),
    ]


def _edge(found: Boundary, trials: pd.DataFrame) -> tuple[float, float] | None:
    """The x between which the boundary runs through what was tried; None if it does not."""
    rates = np.log10([trials["learning_rate"].min(), trials["learning_rate"].max()])
    ends = np.array([trials["x"].min(), trials["x"].max()], dtype=float)
    if found.slope != 0.0:
        across = np.sort((rates - found.level) / found.slope)
        ends = np.array([max(ends[0], across[0]), min(ends[1], across[1])])
    heights = found.at(ends)
    inside = (heights > rates[0] - _CLOSE) & (heights < rates[1] + _CLOSE)
    return (float(ends[0]), float(ends[1])) if inside.all() and ends[0] <= ends[1] else None


def _points(trials: pd.DataFrame) -> list[go.Scatter]:
    traces = []
    # Momenta are often few: their trials would hide each other.
    shifted = trials["x"] + jitter(trials["number"]) * 0.4
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
            x=numbers(shifted[part.index]),
            y=numbers(part["learning_rate"]),
            customdata=_hover(part),
            mode="markers",
            legendgroup=outcome,
            showlegend=False,
            marker={**colour, "symbol": symbol, "size": 9, "line": {"width": 0.7, "color": GREY}},
            hovertemplate="trial %{customdata[0]}: %{customdata[1]}<br>momentum %{customdata[2]}, "
            "rate %{y:.3g}<extra></extra>",
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


def _hover(trials: pd.DataFrame) -> list[list[object]]:
    momenta = (label(value) for value in trials["momentum"])
    return [[*row, value] for row, value in zip(hover(trials), momenta, strict=True)]


def _text(trials: pd.DataFrame, found: Boundary | None) -> str:
    lost = int((trials["outcome"] == "diverged").sum())
    text = f"{plural(len(trials), 'SGD trial')} by momentum and learning rate, {lost} diverged"
    if trials["accuracy"].notna().any():
        best = trials.iloc[int(trials["accuracy"].argmax())]
        text += (
            f"; the most accurate ({best['accuracy']:.3f}) had momentum "
            f"{label(best['momentum'])} and rate {label(best['learning_rate'])}"
        )
    edge = None if found is None else _edge(found, trials)
    if found is not None and edge is not None:
        ends = [
            f"{rate:.2g} at momentum {label(round(1.0 - 10.0**-x, 6))}"
            for x, rate in zip(edge, 10.0 ** found.at(np.array(edge)), strict=True)
        ]
        text += (
            f"; divergence is more likely than not above a rate of {' and of '.join(ends)}: "
            f"{found.right} of {found.trials} trials lie on their side of that line"
        )
    return f"{text}."
