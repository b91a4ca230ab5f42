"""How good studies had become, and when: time to quality."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.studies.clock import active_clock
from sweep.report.analysis.studies.progress import accuracy_after, accuracy_steps
from sweep.report.figures.style import Chart, empty, numbers, padded, study_line, styled
from sweep.report.frames import StudyFrames
from sweep.report.text import escaped, plural

MOST_NAMED = 4
# The view begins with what every study had after this share of its epochs.
EARLY = 0.05


def quality(studies: Sequence[StudyFrames], places: Sequence[int]) -> Chart:
    """The best validation accuracy so far by active time and by epochs trained.

    Each study is one line of steps: what one search did, with no band around it. Every epoch of
    every trial counts when it was reported. Time is that of a study's runs: pauses between them
    are cut out.

    Args:
        studies: All studies that are shown together: their places are their colours.
        places: Those validated on the same images, which are drawn.
    """
    key, title = f"quality-{places[0]}", "Time to quality"
    drawn = [studies[place] for place in places]
    found = [accuracy_steps(frames) for frames in drawn]
    known = [steps for steps in found if len(steps)]
    if not known:
        return Chart(key, empty(drawn, title, "No epoch has been recorded yet"), "No epoch.")
    unit, seconds = _unit(max(float(steps["seconds"].iloc[-1]) for steps in known))
    traces = []
    for place, frames, steps in zip(places, drawn, found, strict=True):
        if len(steps):
            traces += _lines(frames, steps, seconds, place)
    resumed = sum(active_clock(frames).pauses for frames in drawn)
    cut = f"{plural(resumed, 'pause')} between runs cut out" if resumed else ""
    low = min(accuracy_after(steps, EARLY * float(steps["epochs"].iloc[-1])) for steps in known)
    high = max(float(steps["accuracy"].iloc[-1]) for steps in known)
    y: dict[str, Any] = {
        "title": {"text": "best validation accuracy"},
        "range": padded(low, high),
    }
    figure = styled(
        drawn,
        traces,
        title,
        cut,
        xaxis={"title": {"text": f"active time in {unit}"}, "anchor": "y"},
        yaxis={**y, "domain": [0.58, 1]},
        xaxis2={"title": {"text": "epochs trained, of all trials"}, "anchor": "y2"},
        yaxis2={**y, "domain": [0, 0.42]},
        height=640,
        showlegend=True,
        legend={"y": -0.12, "yanchor": "top"},
        updatemenus=_scales(),
    )
    return Chart(key, figure, _text(drawn, found, unit, seconds))


def _lines(
    frames: StudyFrames, steps: pd.DataFrame, seconds: float, index: int
) -> list[go.Scatter]:
    """The steps of a study in both panels."""
    trial = [
        f"{escaped(frames.study)}: trial {number}, epoch {epoch}"
        for number, epoch in zip(steps["number"], steps["epoch"], strict=True)
    ]
    common: dict[str, Any] = {
        "y": numbers(steps["accuracy"]),
        "customdata": trial,
        "mode": "lines",
        "line": {**study_line(index), "shape": "hv"},
        "name": escaped(frames.study),
        "legendgroup": f"{index}",
    }
    hover = "%{y:.4f} after %{x:.4g}<br>%{customdata}<extra></extra>"
    return [
        go.Scatter(x=numbers(steps["seconds"] / seconds), hovertemplate=hover, **common),
        go.Scatter(
            x=steps["epochs"].astype(int).tolist(),
            xaxis="x2",
            yaxis="y2",
            showlegend=False,
            hovertemplate=hover,
            **common,
        ),
    ]


def _unit(seconds: float) -> tuple[str, float]:
    """What a time of that length is best told in, and how many seconds that is."""
    if seconds < 180:
        return "seconds", 1.0
    return ("minutes", 60.0) if seconds < 3 * 3600 else ("hours", 3600.0)


def _scales() -> list[dict[str, Any]]:
    buttons = [
        {
            "label": name,
            "method": "relayout",
            "args": [{"xaxis.type": kind, "xaxis2.type": kind}],
        }
        for name, kind in (("linear", "linear"), ("logarithmic", "log"))
    ]
    place = {"x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"}
    return [{"buttons": buttons, "showactive": True, **place}]


def _text(
    studies: Sequence[StudyFrames], found: Sequence[pd.DataFrame], unit: str, seconds: float
) -> str:
    known = [(f.study, steps) for f, steps in zip(studies, found, strict=True) if len(steps)]
    shared = min(float(steps["epochs"].iloc[-1]) for _, steps in known)
    reached = [(name, accuracy_after(steps, shared)) for name, steps in known]
    reached.sort(key=lambda pair: -pair[1])
    ranked = ", ".join(f"{name} {best:.4f}" for name, best in reached[:MOST_NAMED])
    more = len(reached) - MOST_NAMED
    ranked += f" and {more} more" if more > 0 else ""
    whole = ", ".join(
        f"{name} {steps['seconds'].iloc[-1] / seconds:.3g}" for name, steps in known[:MOST_NAMED]
    )
    return (
        f"Best validation accuracy after {plural(int(shared), 'epoch')}"
        f"{', as many as every study trained' if len(known) > 1 else ''}: {ranked}; "
        f"active time in {unit}: {whole}."
    )
