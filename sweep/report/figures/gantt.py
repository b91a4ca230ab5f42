"""Which worker trained which trial when, and how many slots were busy."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.estimate import Floats
from sweep.report.analysis.occupancy import Occupancy, occupancy
from sweep.report.figures.style import (
    BLUE,
    GREEN,
    GREY,
    OUTCOME_COLOURS,
    SCALE,
    VERMILLION,
    Chart,
    empty,
    numbers,
    styled,
)
from sweep.report.frames import OUTCOMES, StudyFrames
from sweep.report.text import duration, escaped, plural

# More would be bars of a pixel: then the use of each worker by time.
MOST_BARS = 1500
MOST_ROWS = 64
MOST_BINS = 120
MOST_CELLS = 12_000
STEPS = 200
MOST_PAUSES = 8
# So far apart are two labels on a telephone.
LABEL_SHARE = 0.15
SHARE_PIXELS, GAP_PIXELS, LEGEND_PIXELS = 80, 34, 28
COLOURS = OUTCOME_COLOURS | {"running": GREEN}
# Heights of bars repeat what colours say. Patterns would, but make PDF files large.
HEIGHTS = {"complete": 0.86, "running": 0.86, "diverged": 0.62, "pruned": 0.44, "failed": 0.26}
UNITS = (("seconds", 1.0, 180.0), ("minutes", 60.0, 3 * 3600.0), ("hours", 3600.0, np.inf))


def gantt(frames: StudyFrames) -> Chart:
    """A bar for each trial in its worker's slot, below the share of slots that were busy.

    A study of more than 1,500 trials is drawn as the use of each worker by time.
    """
    key, title = "gantt", "Workers over time"
    found = occupancy(frames)
    if not found.seconds:
        reason = "No time has been spent on a trial yet" if len(frames.trials) else "No trial yet"
        return Chart(key, empty(frames, title, reason), reason + ".", wide=True)
    unit, size = next((name, size) for name, size, most in UNITS if found.seconds < most)
    as_bars = len(found.stays) <= MOST_BARS and int(found.slots.sum()) <= MOST_ROWS
    traces = _bars(found, size) if as_bars else [_heat(found, size)]
    count = int(found.slots.sum()) if as_bars else len(found.slots)
    row_pixels = next(pixels for most, pixels in ((8, 28), (24, 18), (1e9, 11)) if count <= most)
    figure = styled(
        frames,
        [_share(found, size), *traces, *_lost(found, size, as_bars=as_bars)],
        title,
        _note(found, as_bars=as_bars),
        xaxis={
            "title": {"text": f"{unit} in training"},
            "range": [0, found.seconds / size],
            "anchor": "y2",
            "zeroline": False,
        },
        barmode="overlay",
        shapes=_pause_lines(found, size) + (_separators(found) if as_bars else []),
        coloraxis={"colorscale": SCALE, "cmin": 0, "cmax": 1, "showscale": not as_bars},
    )
    _set_rows(figure, found, count * row_pixels, as_bars=as_bars)
    return Chart(key, figure, _text(found, unit, size), wide=True)


def _set_rows(figure: go.Figure, found: Occupancy, pixels: int, *, as_bars: bool) -> None:
    """Give the share a strip of its own above the rows, whatever the number of rows."""
    inner = SHARE_PIXELS + GAP_PIXELS + pixels
    margin = figure.layout.margin
    # A legend of one entry is no legend elsewhere.
    top = margin.t + (LEGEND_PIXELS if not as_bars and len(found.lost) else 0)
    ticks = _middles(found) if as_bars else list(range(len(found.slots)))
    count = int(found.slots.sum()) if as_bars else len(found.slots)
    figure.update_layout(
        height=inner + top + margin.b,
        margin={"t": top},
        yaxis={
            "domain": [1 - SHARE_PIXELS / inner, 1],
            "range": [0, 1.02],
            "tickformat": ".0%",
            "tickvals": [0, 0.5, 1],
            "title": {"text": "slots<br>busy"},
        },
        yaxis2={
            "domain": [0, pixels / inner],
            "range": [count - 0.5, -0.5],
            "tickvals": ticks,
            "ticktext": [escaped(name) for name in found.slots.index],
            "showgrid": False,
            "zeroline": False,
            "title": {"text": "worker"},
        },
        coloraxis={
            "colorbar": {
                "y": 0,
                "yanchor": "bottom",
                "len": pixels / inner,
                "tickformat": ".0%",
                "title": {"text": "busy"},
            }
        },
    )


def _share(found: Occupancy, size: float) -> go.Scatter:
    """The share of slots that were busy, as steps."""
    edges = np.linspace(0.0, found.seconds, STEPS + 1)
    share = pd.Series(found.busy(edges))
    return go.Scatter(
        x=numbers(pd.Series(edges / size)),
        y=numbers(pd.concat([share, share[-1:]])),
        mode="lines",
        line={"color": BLUE, "width": 1.5, "shape": "hv"},
        fill="tozeroy",
        fillcolor="rgba(0,114,178,0.25)",
        showlegend=False,
        hovertemplate="%{y:.0%} of slots busy<extra></extra>",
    )


def _bars(found: Occupancy, size: float) -> list[go.Bar]:
    """The trials, a trace for each outcome."""
    stays = found.stays
    firsts = pd.Series(_firsts(found), index=found.slots.index)
    places = firsts[stays["worker"]].to_numpy() + stays["slot"].to_numpy()
    bars = []
    for outcome in OUTCOMES:
        mine = (stays["outcome"] == outcome).to_numpy()
        if not mine.any():
            continue
        part = stays[mine]
        minutes = (part["end"] - part["begin"]) / 60
        bars.append(
            go.Bar(
                orientation="h",
                base=numbers(part["begin"] / size),
                x=numbers((part["end"] - part["begin"]) / size),
                y=places[mine].tolist(),
                yaxis="y2",
                width=HEIGHTS[outcome],
                name=f"{outcome} ({len(part)})",
                marker={
                    "color": COLOURS[outcome],
                    "line": {"color": "rgba(255,255,255,0.75)", "width": 1},
                },
                customdata=[
                    [number, escaped(worker), taken]
                    for number, worker, taken in zip(
                        part["number"].tolist(), part["worker"], numbers(minutes), strict=True
                    )
                ],
                hovertemplate=f"trial %{{customdata[0]}}, {outcome}, on %{{customdata[1]}}: "
                "%{customdata[2]:.3g} min<extra></extra>",
            )
        )
    return bars


def _heat(found: Occupancy, size: float) -> go.Heatmap:
    """The use of each worker by time."""
    bins = int(np.clip(MOST_CELLS // len(found.slots), 20, MOST_BINS))
    edges = np.linspace(0.0, found.seconds, bins + 1)
    rows = [pd.Series(found.busy(edges, worker)).round(3) for worker in found.slots.index]
    middles: Floats = (edges[1:] + edges[:-1]) / 2
    return go.Heatmap(
        x=numbers(pd.Series(middles / size)),
        y=list(range(len(rows))),
        z=[numbers(row) for row in rows],
        yaxis="y2",
        coloraxis="coloraxis",
        hovertemplate="%{z:.0%} busy<extra></extra>",
        hoverongaps=False,
        ygap=1,
    )


def _lost(found: Occupancy, size: float, *, as_bars: bool) -> list[go.Scatter]:
    """A cross where a worker process was lost."""
    lost = found.lost
    if lost.empty:
        return []
    places = _middles(found) if as_bars else list(range(len(found.slots)))
    rows = dict(zip(found.slots.index, places, strict=True))
    return [
        go.Scatter(
            x=numbers(lost["at"] / size),
            y=[rows[worker] for worker in lost["worker"]],
            yaxis="y2",
            mode="markers",
            marker={
                "symbol": "x",
                "size": 11,
                "color": VERMILLION,
                "line": {"color": "#FFFFFF", "width": 1.5},
            },
            name=f"worker lost ({len(lost)})",
            customdata=[
                [escaped(worker), escaped(str(reason)[:120])]
                for worker, reason in zip(lost["worker"], lost["reason"], strict=True)
            ],
            hovertemplate="%{customdata[0]} lost: %{customdata[1]}<extra></extra>",
            cliponaxis=False,
        )
    ]


def _firsts(found: Occupancy) -> list[int]:
    """The row of each worker's first slot."""
    return [0, *found.slots.cumsum().tolist()[:-1]]


def _middles(found: Occupancy) -> list[float]:
    """The middle of each worker's rows."""
    return [
        first + (count - 1) / 2
        for first, count in zip(_firsts(found), found.slots.tolist(), strict=True)
    ]


def _separators(found: Occupancy) -> list[dict[str, Any]]:
    """A line between each two workers, unless each has one slot."""
    if found.slots.max() == 1:
        return []
    return [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "yref": "y2",
            "y0": first - 0.5,
            "y1": first - 0.5,
            "line": {"color": GREY, "width": 1},
        }
        for first in _firsts(found)[1:]
    ]


def _pause_lines(found: Occupancy, size: float) -> list[dict[str, Any]]:
    """A dotted line at each pause, unless there are too many to tell apart."""
    if len(found.pauses) > MOST_PAUSES:
        return []
    lines = []
    labelled = -np.inf
    for at, seconds in zip(found.pauses["at"], found.pauses["seconds"], strict=True):
        line = {
            "type": "line",
            "x0": at / size,
            "x1": at / size,
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "line": {"color": VERMILLION, "width": 1.5, "dash": "dot"},
        }
        if at - labelled > LABEL_SHARE * found.seconds:
            labelled = at
            line["label"] = {
                "text": duration(seconds),
                "textposition": "end",
                "textangle": 0,
                "font": {"size": 10, "color": VERMILLION},
                "yanchor": "bottom",
                "xanchor": "center",
            }
        lines.append(line)
    return lines


def _note(found: Occupancy, *, as_bars: bool) -> str:
    parts = [] if as_bars else ["share of each worker's slots that was busy"]
    pauses = found.pauses["seconds"]
    if len(pauses):
        total = duration(float(pauses.sum()))
        parts.append(f"{plural(len(pauses), 'pause')} cut out (dotted), {total} in all")
    return "; ".join(parts)


def _text(found: Occupancy, unit: str, size: float) -> str:
    slots = int(found.slots.sum())
    parts = [
        f"{plural(len(found.slots), 'worker')} with {plural(slots, 'slot')} trained "
        f"{plural(len(found.stays), 'trial')} in {found.seconds / size:.3g} {unit}; "
        f"on average {found.utilisation:.0%} of the slots were busy"
    ]
    if len(found.lost):
        parts.append(f"{plural(len(found.lost), 'worker')} lost")
    if len(found.pauses):
        total = duration(float(found.pauses["seconds"].sum()))
        parts.append(f"{plural(len(found.pauses), 'pause')} left out, {total} in all")
    return ", ".join(parts) + "."
