"""Every trial as a line across its settings."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.effects import effects
from sweep.report.analysis.levels import MOST_LEVELS, levels
from sweep.report.figures.points import nothing_varied
from sweep.report.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    SKY,
    VERMILLION,
    Chart,
    empty,
    jitter,
    numbers,
    styled,
)
from sweep.report.frames import StudyFrames, active_values, visible_range
from sweep.report.text import label, metric, plural
from sweep.trial import FIELDS

MOST_AXES = 8
MOST_LINES = 500
INACTIVE = -0.12
FIFTHS = (
    ("best fifth", BLUE, 0.9),
    ("second", SKY, 0.6),
    ("third", GREY, 0.45),
    ("fourth", ORANGE, 0.45),
    ("worst fifth", VERMILLION, 0.45),
)

# How far from a number's height a trial may be that has it: heights have five digits.
NEAR = 1e-4


@dataclass(frozen=True, slots=True)
class Tick:
    """A label at a height of an axis."""

    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Ends:
    """The numbers at the heights 0 and 1, and whether their logarithms lie evenly between."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Attributes:
        heights: Of the trials.
        ticks: From the bottom, that of inactive trials last.
        ends: None if it has names instead of numbers.
        spread: How far from its tick's height a trial may be that has its value.
    """

    heights: pd.Series
    ticks: list[Tick]
    ends: Ends | None
    spread: float = NEAR


def parallel_coordinates(frames: StudyFrames) -> Chart:
    """A line for each trial across the settings that mattered most, coloured by fifths.

    On a page, ranges on the axes select trials: see `assets/brush.js`.

    Drawn with plain lines: Plotly's own trace needs WebGL, which machines without a graphics
    processor may lack.
    """
    key, title = "parallel", "Parallel coordinates"
    trials = frames.valued
    table = effects(frames)
    settings = list(dict.fromkeys(table["setting"]))[:MOST_AXES]
    if not settings or trials.empty:
        reason = nothing_varied(frames)
        return Chart(key, empty(frames, title, reason), reason + ".")
    return _parallel(frames, trials, settings)


def _parallel(frames: StudyFrames, trials: pd.DataFrame, settings: list[str]) -> Chart:
    name = metric(frames.metrics[0])
    ranked = trials.sort_values("value", ascending=not frames.maximize, kind="stable")
    places = np.linspace(0, len(ranked) - 1, min(len(ranked), MOST_LINES)).astype(int)
    drawn = ranked.iloc[places]
    axes = [_axis(drawn, setting) for setting in settings]
    low, high = visible_range(drawn)
    value = (drawn["value"].clip(low, high) - low) / (high - low)
    ticks = [Tick(i / 4, label(low + (high - low) * i / 4)) for i in range(5)]
    axes.append(Axis(value, ticks, Ends(low, high)))
    heights = np.column_stack([axis.heights.to_numpy(dtype=float) for axis in axes])
    fifths = np.minimum(np.arange(len(drawn)) * len(FIFTHS) // len(drawn), len(FIFTHS) - 1)
    traces = [
        _lines(heights[fifths == index], drawn[fifths == index], index)
        for index in reversed(range(len(FIFTHS)))
        if (fifths == index).any()
    ]
    annotations = [
        {
            "x": place,
            "y": tick.height,
            "text": tick.label,
            "showarrow": False,
            "xanchor": "left",
            "xshift": 4,
            "font": {"size": 10},
        }
        for place, axis in enumerate(axes)
        for tick in axis.ticks
    ]
    figure = styled(
        frames,
        traces,
        "Parallel coordinates",
        _count(drawn, trials),
        xaxis={
            "tickvals": list(range(len(axes))),
            "ticktext": [s.replace("_", "<br>") for s in settings] + [name.replace(" ", "<br>")],
            "range": [-0.1, len(settings) + 0.55],
            "showgrid": True,
            "gridwidth": 2,
            "zeroline": False,
            "showline": False,
            "tickangle": 0,
        },
        yaxis={"visible": False, "range": [-0.18, 1.05]},
        annotations=annotations,
        height=520,
        legend={"traceorder": "reversed"},
        dragmode="select",
        # Without marks Plotly would not offer it again to who has zoomed.
        modebar={"add": ["select2d"]},
    )
    figure.layout.meta = figure.layout.meta | {
        "brush": {
            "metric": name,
            "maximize": frames.maximize,
            "trials": len(drawn),
            "axes": [
                _brushable(setting.replace("_", " "), axis)
                for setting, axis in zip([*settings, name], axes, strict=True)
            ],
        }
    }
    text = (
        f"Each line is a trial ({_count(drawn, trials)}), from {settings[0]} on the left to its "
        f"{name} on the right; the best fifth is blue, the worst vermillion, and what has no "
        f"effect in a trial lies at the bottom."
    )
    return Chart("parallel", figure, text, wide=True)


def _count(drawn: pd.DataFrame, trials: pd.DataFrame) -> str:
    if len(drawn) == len(trials):
        return plural(len(trials), "trial")
    return f"{len(drawn)} of {len(trials):,} trials, evenly from best to worst"


def _brushable(name: str, axis: Axis) -> dict[str, Any]:
    """What the page's script needs to know of an axis, in the heights of the figure."""
    ticks = [
        {
            "label": tick.label,
            "low": tick.height - axis.spread,
            "high": tick.height + axis.spread,
            "idle": tick.height == INACTIVE,
        }
        for tick in axis.ticks
    ]
    return {"name": name, "ticks": ticks, "ends": axis.ends and asdict(axis.ends)}


def _lines(heights: np.ndarray[Any, Any], trials: pd.DataFrame, index: int) -> go.Scatter:
    """All lines of one fifth as one trace, with gaps between them."""
    count, axes = heights.shape
    y = np.hstack([heights, np.full((count, 1), np.nan)]).ravel()
    hover = [f"trial {number}" for number in trials["number"] for _ in range(axes + 1)]
    name, colour, opacity = FIFTHS[index]
    return go.Scatter(
        x=([*range(axes), None]) * count,
        y=numbers(pd.Series(y)),
        text=hover,
        mode="lines",
        line={"color": colour, "width": 2 if index == 0 else 1},
        opacity=opacity,
        name=f"{name} ({count})",
        hovertemplate="%{text}<extra></extra>",
        meta={"numbers": trials["number"].tolist(), "values": numbers(trials["value"])},
    )


def _axis(trials: pd.DataFrame, name: str) -> Axis:
    """Heights in [0, 1] of a setting's values; inactive ones lie below."""
    values = active_values(trials, name)
    known = values.dropna()
    if FIELDS[name].type in (int, float) and known.nunique() > MOST_LEVELS:
        amount = known.astype(float)
        log = bool(amount.min() > 0 and amount.max() / amount.min() > 30)
        scaled = pd.Series(np.log(amount), amount.index) if log else amount
        low, high = float(scaled.min()), float(scaled.max())
        height = (scaled - low) / (high - low)
        steps = [low + (high - low) * i / 4 for i in range(5)]
        ticks = [
            Tick(i / 4, label(math.exp(step) if log else step)) for i, step in enumerate(steps)
        ]
        ends = Ends(float(amount.min()), float(amount.max()), log)
        spread = NEAR
    else:
        group = levels(trials, name).dropna().cat.remove_unused_categories()
        last = max(len(group.cat.categories) - 1, 1)
        spread = 0.5 / (len(group.cat.categories) + 1)
        height = group.cat.codes / last + jitter(trials["number"].loc[group.index]) * spread / 2
        ticks = [Tick(i / last, text) for i, text in enumerate(group.cat.categories)]
        ends = None
        spread /= 5
    if len(known) < len(values):
        ticks.append(Tick(INACTIVE, "no effect"))
    return Axis(height.reindex(values.index).fillna(INACTIVE), ticks, ends, spread)
