"""The best objective value so far, of several studies."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.studies.progress import incumbents
from sweep.report.figures.style import Chart, empty, numbers, padded, study_line, styled
from sweep.report.frames import StudyFrames
from sweep.report.text import escaped, metric

MOST_NAMED = 4


def best_so_far(studies: Sequence[StudyFrames], places: Sequence[int]) -> Chart:
    """The best objective value so far by trial number.

    Args:
        studies: All studies that are shown together: their places are their colours.
        places: Those whose values may be compared, which are drawn.
    """
    name = metric(studies[places[0]].metrics[0])
    key, title = f"best-so-far-{places[0]}", f"Best {name} so far"
    found = [(place, studies[place], incumbents(studies[place])) for place in places]
    shown = [(index, frames, steps) for index, frames, steps in found if len(steps)]
    if not shown:
        return Chart(key, empty(studies, title, "No trial has completed yet"), "No trial yet.")
    traces = [
        go.Scatter(
            x=steps["number"].astype(int).tolist(),
            y=numbers(steps["value"]),
            mode="lines+markers" if len(steps) == 1 else "lines",
            line={**study_line(index), "shape": "hv"},
            name=escaped(frames.study),
            hovertemplate="%{y:.4g} by trial %{x}<extra>%{fullData.name}</extra>",
        )
        for index, frames, steps in shown
    ]
    bests = pd.concat([steps["value"] for _, _, steps in shown])
    figure = styled(
        [frames for _, frames, _ in shown],
        traces,
        title,
        xaxis={"title": {"text": "trial number"}, "rangemode": "tozero"},
        yaxis={
            "title": {"text": f"best {name}"},
            "range": padded(float(bests.min()), float(bests.max())),
        },
        showlegend=True,
        legend={"y": -0.22, "yanchor": "top"},
    )
    best = ", ".join(
        f"{frames.study} {steps['value'].iloc[-1]:.4g} by trial {_when(steps)}"
        for _, frames, steps in shown[:MOST_NAMED]
    )
    more = f" and {len(shown) - MOST_NAMED} more" if len(shown) > MOST_NAMED else ""
    return Chart(key, figure, f"Best {name} over the complete trials: {best}{more}.")


def _when(steps: pd.DataFrame) -> int:
    """The trial that reached the best value."""
    return int(steps.loc[steps["value"] == steps["value"].iloc[-1], "number"].iloc[0])
