"""The house style of all figures: colours, template, titles.

The palette is Okabe and Ito's, which people with any colour vision tell apart; symbols and dashes
repeat what colours say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from sweep.report.frames import StudyFrames
from sweep.report.text import escaped

BLUE, VERMILLION, GREEN, PINK, ORANGE, SKY, GREY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#7A828C",
)
PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILLION, GREY)
DASHES = ("solid", "dash", "dot")
# One for each of several studies; no two of 35 share colour and dash.
STUDY_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
STUDY_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")
OUTCOME_COLOURS = {
    "complete": BLUE,
    "pruned": ORANGE,
    "diverged": VERMILLION,
    "failed": GREY,
}
OUTCOME_SYMBOLS = {
    "complete": "circle",
    "pruned": "triangle-down",
    "diverged": "x",
    "failed": "line-ns-open",
}
SCALE = "Cividis"
HEIGHT = 450
# So long is a line below a title on a telephone.
NOTE_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure, its name in HTML and one sentence that says what it shows.

    Attributes:
        key: HTML id.
        figure: What is drawn.
        text: What a reader who cannot see it should know.
        wide: Whether it needs the whole width of a page.
    """

    key: str
    figure: go.Figure
    text: str
    wide: bool = False


def template(*, dark: bool = False) -> dict[str, Any]:
    """A small Plotly template for a light or a dark page."""
    ink, paper, shade, line, grid = (
        ("#E6E9ED", "#171B21", "rgba(23,27,33,0.7)", "#59636F", "#2C333C")
        if dark
        else ("#1F2730", "#FFFFFF", "rgba(255,255,255,0.7)", "#A3ABB5", "#E8EBEF")
    )
    axis = {
        "gridcolor": grid,
        "linecolor": line,
        "zerolinecolor": line,
        "showline": True,
        "ticks": "outside",
        "tickcolor": line,
        "ticklen": 4,
        "automargin": True,
        "exponentformat": "power",
        "title": {"standoff": 8},
    }
    return {
        "layout": {
            "paper_bgcolor": paper,
            "plot_bgcolor": paper,
            "colorway": list(PALETTE),
            "font": {
                "family": "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif",
                "size": 12,
                "color": ink,
            },
            "title": {
                "font": {"size": 16},
                "x": 0,
                "xref": "container",
                "xanchor": "left",
                "y": 1,
                "yref": "container",
                "yanchor": "top",
                "pad": {"l": 14, "t": 20},
            },
            "xaxis": axis,
            "yaxis": axis,
            "annotationdefaults": {"bgcolor": shade},
            "hoverlabel": {"align": "left"},
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": 1,
                "xanchor": "left",
                "yanchor": "bottom",
            },
            "coloraxis": {"colorbar": {"thickness": 12, "outlinewidth": 0}},
        }
    }


def styled(
    frames: StudyFrames | Sequence[StudyFrames],
    traces: Sequence[Any],
    title: str,
    note: str = "",
    **layout: Any,
) -> go.Figure:
    """A figure in the house style.

    Args:
        frames: The study, or several; the data, and a loud warning if they are a fallback, join
            the title.
        traces: Plotly traces.
        title: What the figure shows; short, so that it fits on a telephone.
        note: More below the title; long lines are wrapped.
        layout: Further settings of the layout.
    """
    lines = [f"<b>{title}</b>", *subtitle(frames, note)]
    named = [trace for trace in traces if trace.name and trace.showlegend is not False]
    legend = 28 if len(named) > 1 and layout.get("showlegend", True) else 0
    legend = 0 if layout.get("legend", {}).get("yanchor") == "top" else legend
    scale = 24 if layout.get("coloraxis", {}).get("colorbar", {}).get("orientation") == "h" else 0
    base: dict[str, Any] = {
        "template": template(),
        "title": {"text": "<br>".join(lines)},
        "height": HEIGHT,
        "margin": {"l": 60, "r": 20, "t": 34 + 19 * len(lines) + legend + scale, "b": 50},
        # Where it stands below instead, the room above is not needed.
        "meta": {"legend_pixels": legend},
    }
    figure = go.Figure(data=list(traces), layout=base)
    figure.update_layout(**layout)
    return figure


def scale_above() -> dict[str, Any]:
    """A colour axis whose bar lies above the plot, where it takes no width from it."""
    bar = {
        "orientation": "h",
        # Its first number would touch the highest one of the axis to the left.
        "x": 0.04,
        "xanchor": "left",
        # From 1 on, Plotly would push the figure's title up.
        "y": 0.999,
        "yanchor": "bottom",
        "xpad": 0,
        "ypad": 4,
        "thickness": 8,
        "len": 0.96,
        "outlinewidth": 0,
        "nticks": 6,
    }
    return {"colorscale": SCALE, "colorbar": bar}


def subtitle(frames: StudyFrames | Sequence[StudyFrames], note: str = "") -> list[str]:
    """The small lines below a title: the data, loudly if they are a fallback, and a note."""
    studies = [frames] if isinstance(frames, StudyFrames) else frames
    by_data: dict[tuple[str, bool], list[str]] = {}
    for one in studies:
        by_data.setdefault((one.data, one.is_fallback), []).append(one.study)
    lines = []
    for (data, is_fallback), names in by_data.items():
        whose = "" if len(by_data) == 1 else f": {', '.join(map(escaped, names))}"
        name = escaped(data)
        lines.append(
            f"<span style='color:{VERMILLION}'><b>{name} data (fallback)</b></span>{whose}"
            if is_fallback
            else f"data: {name}{whose}"
        )
    # Between number and % no line ends.
    note = note.replace(" %", "\u00a0%")
    lines += [part for line in note.split("<br>") for part in _wrapped(line)]
    return [f"<span style='font-size:0.78em'>{line}</span>" for line in lines]


def _wrapped(line: str) -> list[str]:
    """As few lines as it needs, about equally long: none is left with a single word."""
    parts = wrap(line, NOTE_CHARACTERS)
    width = NOTE_CHARACTERS
    while width > 1 and len(narrower := wrap(line, width - 1)) == len(parts):
        parts, width = narrower, width - 1
    return parts


def empty(frames: StudyFrames | Sequence[StudyFrames], title: str, reason: str) -> go.Figure:
    """A figure that says why there is nothing to draw."""
    figure = styled(frames, [], title)
    figure.update_layout(
        xaxis={"visible": False},
        yaxis={"visible": False},
        annotations=[
            {
                "text": escaped(reason),
                "x": 0.5,
                "y": 0.5,
                "xref": "paper",
                "yref": "paper",
                "showarrow": False,
                "font": {"size": 14},
            }
        ],
    )
    return figure


def numbers(values: pd.Series) -> list[float | None]:
    """Numbers with five significant digits, so that a figure stays small; None for NaN."""
    return [None if pd.isna(v) else float(f"{v:.5g}") for v in values]


def palette(index: int) -> str:
    """Colour of the `index`-th of several things."""
    return PALETTE[index % len(PALETTE)]


def dash(index: int) -> str:
    """Dash of the `index`-th line: it changes when the colours begin anew."""
    return DASHES[(index // len(PALETTE)) % len(DASHES)]


def study_line(index: int) -> dict[str, Any]:
    """Colour and dash of the line of the `index`-th of several studies."""
    return {"color": palette(index), "dash": STUDY_DASHES[index % len(STUDY_DASHES)], "width": 2}


def study_symbol(index: int) -> str:
    """Symbol of the marks of the `index`-th of several studies."""
    return STUDY_SYMBOLS[index % len(STUDY_SYMBOLS)]


def jitter(trial_numbers: pd.Series) -> pd.Series:
    """Offsets in [-0.2, 0.2) that depend on the trial's number alone."""
    golden_ratio = 0.6180339887
    return (trial_numbers * golden_ratio % 1.0 - 0.5) * 0.4


def rows_axis(ticks: Sequence[str]) -> dict[str, Any]:
    """An axis of rows from top to bottom, the first at 0."""
    return {
        "tickvals": list(range(len(ticks))),
        "ticktext": list(ticks),
        "range": [len(ticks) - 0.5, -0.5],
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "tickfont": {"size": 11},
    }


def padded(low: float, high: float, share: float = 0.06) -> list[float]:
    """An axis range with room at both ends."""
    room = (high - low) * share or 0.05
    return [low - room, high + room]
