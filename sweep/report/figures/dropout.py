"""Accuracy by kind and rate of dropout."""

from typing import Final

import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.levels import LEAST_DRAWN, group_means, levels
from sweep.report.figures.points import (
    accurate,
    data_range,
    drawn_note,
    mean_marks,
    nothing_valued,
    outcome_note,
    thinned,
    trial_marks,
)
from sweep.report.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    Chart,
    empty,
    jitter,
    numbers,
    styled,
)
from sweep.report.frames import StudyFrames

COLOURS: Final = {"none": GREY, "dropout": BLUE, "alpha_dropout": ORANGE}
BAND: Final = "rgba(122,130,140,0.22)"
# Shares of the highest rate: the room beyond it, and how far trials without dropout spread.
ROOM, SPREAD = 0.06, 0.08


def dropout(frames: StudyFrames) -> Chart:
    """Accuracy by kind and rate of dropout, with the mean of each rate or bin of rates.

    The mean without dropout is a line across, with its interval, so that all others can be
    compared with it.
    """
    key, title = "dropout", "Accuracy by dropout kind and rate"
    trials = accurate(frames)
    if trials.empty:
        reason = nothing_valued(frames)
        return Chart(key, empty(frames, title, reason), f"{reason}.")
    with_rate = trials["dropout"] != "none"
    top = float(trials.loc[with_rate, "dropout_rate"].max()) if with_rate.any() else 0.0
    top = top or 0.1
    spread = jitter(trials["number"]) * SPREAD * top
    trials = trials.assign(x=trials["dropout_rate"].where(with_rate, spread))
    drawn = thinned(trials)
    kinds = {kind: part for kind in COLOURS if len(part := trials[trials["dropout"] == kind])}
    traces: list[go.Scatter] = []
    for kind, part in kinds.items():
        colour, name = COLOURS[kind], f"{kind.replace('_', ' ')} ({len(part)})"
        traces.append(trial_marks(drawn[drawn["dropout"] == kind], "x", colour, name, faint=True))
        if kind == "none":
            traces += _reference(part, name, [-ROOM * top, (1 + ROOM) * top])
            continue
        groups = levels(part, "dropout_rate")
        means = group_means(part["accuracy"], groups)
        centres = part["x"].groupby(groups, observed=True).mean().reindex(means.index)
        traces.append(mean_marks(means, numbers(centres), colour, name, line=True))
    note = f"◆, line: mean and 95\u00a0% interval; {drawn_note(drawn, trials)}"
    figure = styled(
        frames,
        traces,
        title,
        f"{note}<br>{outcome_note(trials)}",
        xaxis={
            "title": {"text": "dropout rate"},
            "zeroline": False,
            "range": [-ROOM * top, (1 + ROOM) * top],
        },
        yaxis={"title": {"text": "validation accuracy"}, "range": data_range(trials["accuracy"])},
    )
    return Chart(key, figure, _text(kinds))


def _reference(part: pd.DataFrame, name: str, ends: list[float]) -> list[go.Scatter]:
    """The mean without dropout across the picture, and the band of its interval."""
    mean = group_means(part["accuracy"], part["dropout"]).iloc[0]
    line = go.Scatter(
        x=ends,
        y=[float(mean["mean"])] * 2,
        mode="lines",
        line={"color": GREY, "width": 2},
        name=name,
        legendgroup=name,
        hovertemplate=f"mean %{{y:.4g}}, n={len(part)}<extra></extra>",
    )
    if len(part) < LEAST_DRAWN:
        return [line]
    band = go.Scatter(
        x=[*ends, *ends[::-1]],
        y=numbers(pd.Series([mean["low"]] * 2 + [mean["high"]] * 2)),
        mode="lines",
        fill="toself",
        fillcolor=BAND,
        line={"width": 0},
        name=name,
        legendgroup=name,
        showlegend=False,
        hoverinfo="skip",
    )
    return [band, line]


def _text(kinds: dict[str, pd.DataFrame]) -> str:
    said = []
    for kind, part in kinds.items():
        mean = group_means(part["accuracy"], part["dropout"]).iloc[0]
        ends = f" [{mean['low']:.3f}, {mean['high']:.3f}]" if len(part) >= LEAST_DRAWN else ""
        said.append(f"{kind.replace('_', ' ')} {mean['mean']:.3f}{ends} (n={len(part)})")
        if kind == "none" or part["dropout_rate"].nunique() < 2:
            continue
        rates = group_means(part["accuracy"], levels(part, "dropout_rate"))
        rates = rates[rates["count"] >= LEAST_DRAWN]
        if len(rates) > 1:
            said[-1] += f", highest at a rate of {rates['mean'].idxmax()}"
    return f"Mean validation accuracy by dropout: {'; '.join(said)}."
