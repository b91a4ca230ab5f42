"""Panels one below the other, in each a row of trials for each kind, with a mark for its middle.

They lie on their side, so that they stay legible on a telephone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from sweep.report.figures.points import trial_marks
from sweep.report.figures.style import jitter, numbers, palette

ROW_PIXELS: Final = 36
# Below the rows of a panel: its axis and some room.
AXIS_PIXELS: Final = 62


@dataclass(frozen=True, slots=True)
class Mark:
    """The middle of a row.

    Attributes:
        middle: Where it is.
        low: Lower end of its interval.
        high: Upper end.
        hover: What a reader who points at it is told.
        is_known: False if it lies beyond what is drawn; `middle` is then the edge of that.
    """

    middle: float
    low: float
    high: float
    hover: str
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Panel:
    """What one panel shows.

    Attributes:
        column: Column of the trials that lies along its axis; missing values are not drawn.
        axis: Settings of that axis.
        marks: Middle of each kind's row; None if there is none.
    """

    column: str
    axis: Mapping[str, Any]
    marks: Mapping[str, Mark | None]


def strips(
    trials: pd.DataFrame, kinds: Mapping[str, str], panels: Sequence[Panel]
) -> tuple[list[go.Scatter], dict[str, Any]]:
    """Traces and layout of some panels.

    Args:
        trials: What is drawn, with a column `kind`.
        kinds: Label of each kind's row, from the top.
        panels: From the top.
    """
    rows = {kind: len(kinds) - 1 - index for index, kind in enumerate(kinds)}
    placed = trials.assign(row=trials["kind"].map(rows) + jitter(trials["number"]))
    traces: list[go.Scatter] = []
    layout: dict[str, Any] = {}
    for index, panel in enumerate(panels):
        number = str(index + 1) if index else ""
        for place, (kind, row) in enumerate(rows.items()):
            some = placed[(placed["kind"] == kind) & placed[panel.column].notna()]
            colour, mark = palette(place), panel.marks[kind]
            drawn = [trial_marks(some, panel.column, colour, kind, measure="row", faint=True)]
            drawn += [_mark(mark, row, colour)] if mark is not None else []
            traces += [trace.update(xaxis=f"x{number}", yaxis=f"y{number}") for trace in drawn]
        top = 1.0 - index / len(panels)
        share = ROW_PIXELS * len(kinds) / (ROW_PIXELS * len(kinds) + AXIS_PIXELS)
        layout[f"xaxis{number}"] = {"anchor": f"y{number}", "zeroline": False, **panel.axis}
        layout[f"yaxis{number}"] = {
            "anchor": f"x{number}",
            "domain": [top - share / len(panels), top],
            "range": [-0.5, len(kinds) - 0.5],
            "tickvals": list(rows.values()),
            "ticktext": list(kinds.values()),
            "showgrid": False,
            "zeroline": False,
            "ticks": "",
        }
    return traces, layout


def height(kinds: int, panels: int) -> int:
    """Pixels that the panels need."""
    return panels * (ROW_PIXELS * kinds + AXIS_PIXELS)


def _mark(mark: Mark, row: int, colour: str) -> go.Scatter:
    """A diamond with its interval; an arrow where the middle lies beyond the edge."""
    return go.Scatter(
        x=numbers(pd.Series([mark.middle])),
        y=[row],
        error_x={
            "array": numbers(pd.Series([mark.high - mark.middle])),
            "arrayminus": numbers(pd.Series([mark.middle - mark.low])),
            "thickness": 1.5,
            "width": 5,
            "color": colour,
        },
        mode="markers",
        marker={
            "color": colour,
            "symbol": "diamond" if mark.is_known else "triangle-right",
            "size": 10,
            "line": {"width": 0.7, "color": "#FFFFFF"},
        },
        text=[mark.hover],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )
