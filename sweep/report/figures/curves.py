"""Learning curves, split by a setting."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.levels import LEAST_DRAWN, column_means, levels
from sweep.report.figures.points import nothing_valued
from sweep.report.figures.style import (
    Chart,
    dash,
    empty,
    numbers,
    padded,
    palette,
    styled,
)
from sweep.report.frames import StudyFrames
from sweep.report.text import plural

MOST_CURVES = 8
# The one line where nothing varied.
ALL = "all trials"
# Points of all lines together, and of each.
MOST_POINTS = 4000
LEAST_POINTS, MOST_POINTS_EACH = 20, 100


def learning_curves(frames: StudyFrames, first: str | None = None) -> Chart:
    """Mean validation accuracy by epoch, split by a setting that the reader chooses.

    Every ended trial counts at every epoch: one that ended early goes on with its last accuracy,
    so that the mean does not rise merely because weak trials are gone. The band is the 95 %
    interval of the mean (Student), drawn for three trials or more.

    Args:
        frames: The study.
        first: Setting shown first; by default the first that varied.
    """
    title = "Learning curves"
    curves = _curves(frames)
    if curves.empty:
        reason = "No epoch has been recorded yet"
        reason = nothing_valued(frames) if frames.valued.empty else reason
        return Chart("curves", empty(frames, title, reason), f"{reason}.")
    settings = list(frames.varied)
    if first in settings:
        settings.remove(first)
        settings.insert(0, first)
    ended = frames.trials.set_index("number").loc[curves.index]
    groups = {name: levels(ended, name) for name in settings}
    groups = groups or {ALL: pd.Series(ALL, index=ended.index)}
    chosen = next(iter(groups))
    traces, owners = _traces(curves, groups)
    for trace, owner in zip(traces, owners, strict=True):
        trace.visible = owner == chosen
    accuracies = curves.to_numpy(dtype=float)
    figure = styled(
        frames,
        traces,
        title,
        "mean, 95 % interval; ended trials go on with their last value",
        xaxis={"title": {"text": "epoch"}, "rangemode": "tozero"},
        yaxis={
            "title": {"text": "validation accuracy"},
            "range": padded(float(np.nanmin(accuracies)), float(np.nanmax(accuracies))),
        },
        height=520,
        legend={"y": -0.2, "yanchor": "top", "title": legend_title(chosen)},
        updatemenus=menu(list(groups), owners),
    )
    split = f", split by {chosen.replace('_', ' ')}" if settings else ""
    text = (
        f"Mean validation accuracy after each of {plural(curves.shape[1], 'epoch')} over "
        f"{plural(len(curves), 'ended trial')}"
        f"{split}."
    )
    return Chart("curves", figure, text)


def _traces(
    curves: pd.DataFrame, groups: Mapping[str, pd.Series]
) -> tuple[list[go.Scatter], list[str]]:
    """The traces of all settings, and the setting that each belongs to."""
    traces: list[go.Scatter] = []
    owners: list[str] = []
    shown = {name: group.value_counts().index[:MOST_CURVES] for name, group in groups.items()}
    drawn = _thinned(curves, sum(map(len, shown.values())))
    for name, group in groups.items():
        for index, level in enumerate(shown[name]):
            pair = _band(drawn[group == level], str(level), index)
            traces += pair
            owners += [name] * len(pair)
    return traces, owners


def _thinned(curves: pd.DataFrame, lines: int) -> pd.DataFrame:
    """Epochs, evenly spaced from the first to the last, that all lines together can bear."""
    most = min(MOST_POINTS_EACH, max(LEAST_POINTS, MOST_POINTS // lines))
    if curves.shape[1] <= most:
        return curves
    return curves.iloc[:, np.linspace(0, curves.shape[1] - 1, most).round().astype(int)]


def menu(settings: list[str], owners: list[str]) -> list[dict[str, Any]]:
    """A drop-down list of the settings, if there is a choice."""
    if len(settings) < 2:
        return []
    buttons = [
        {
            "label": name,
            "method": "update",
            "args": [
                {"visible": [owner == name for owner in owners]},
                {"legend.title": legend_title(name)},
            ],
        }
        for name in settings
    ]
    place = {"x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"}
    return [{"buttons": buttons, "showactive": True, **place}]


def legend_title(setting: str) -> dict[str, str]:
    """A legend's title that says what its lines are split by; above them, where it has room."""
    return {"text": "" if setting == ALL else setting.replace("_", " "), "side": "top"}


def _curves(frames: StudyFrames) -> pd.DataFrame:
    """Accuracy by trial (rows) and epoch (columns), carried forward to the last epoch."""
    ended = frames.valued["number"]
    epochs = frames.epochs[frames.epochs["number"].isin(ended)]
    table = epochs.pivot(index="number", columns="epoch", values="val_accuracy")
    return table.ffill(axis=1).dropna(how="all")


def _band(curves: pd.DataFrame, name: str, index: int) -> list[go.Scatter]:
    """A line for the mean, and a band around it where there are enough trials."""
    table = column_means(curves)
    colour = palette(index)
    line = go.Scatter(
        x=table.index.tolist(),
        y=numbers(table["mean"]),
        mode="lines+markers" if len(table) < 2 else "lines",
        line={"color": colour, "dash": dash(index), "width": 2},
        name=f"{name} ({len(curves)})",
        legendgroup=name,
        hovertemplate="%{y:.3f}<extra>%{fullData.name}</extra>",
    )
    known = table[table["count"] >= LEAST_DRAWN]
    if known.empty:
        return [line]
    x = known.index.tolist()
    band = go.Scatter(
        x=x + x[::-1],
        y=numbers(known["high"]) + numbers(known["low"])[::-1],
        fill="toself",
        fillcolor=faint(colour),
        line={"width": 0},
        legendgroup=name,
        showlegend=False,
        hoverinfo="skip",
    )
    return [band, line]


def faint(colour: str) -> str:
    """A colour for areas behind lines."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"
