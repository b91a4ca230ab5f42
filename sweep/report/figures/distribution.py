"""The objective over all trials of several studies."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.design import LOGARITHMIC
from sweep.report.figures.style import Chart, empty, numbers, padded, study_line, styled
from sweep.report.frames import StudyFrames
from sweep.report.text import escaped, label, metric, plural

# So many steps of a distribution function look like all of them.
MOST_STEPS = 250
MOST_NAMED = 4


def distribution(studies: Sequence[StudyFrames], places: Sequence[int]) -> Chart:
    """The share of ended trials up to each objective value.

    Complete, diverged and pruned trials count, pruned ones with the value at which they were
    pruned; failed trials have none.

    Args:
        studies: All studies that are shown together: their places are their colours.
        places: Those whose values may be compared, which are drawn.
    """
    first = studies[places[0]]
    name = metric(first.metrics[0])
    key, title = f"distribution-{places[0]}", f"{name.capitalize()} of all trials"
    shown = [(place, studies[place]) for place in places if len(studies[place].valued)]
    if not shown:
        return Chart(key, empty(studies, title, "No trial has ended yet"), "No trial yet.")
    values = pd.concat([frames.valued["value"] for _, frames in shown])
    lowest, highest = float(values.min()), float(values.max())
    is_log = lowest > 0 and highest > LOGARITHMIC * lowest
    traces = [_steps(frames, index) for index, frames in shown]
    side = "right" if first.maximize else "left"
    some_pruned = any(frames.counts()["pruned"] for _, frames in shown)
    note = f"further {side} is better" + ("; pruned trials as of pruning" * some_pruned)
    figure = styled(
        [frames for _, frames in shown],
        traces,
        title,
        note,
        xaxis={
            "title": {"text": name},
            **({"type": "log"} if is_log else {"range": padded(lowest, highest, 0.03)}),
        },
        yaxis={
            "title": {"text": "share of trials up to it"},
            "range": [-0.02, 1.02],
            "tickformat": ".0%",
        },
        showlegend=True,
        legend={"y": -0.22, "yanchor": "top"},
    )
    return Chart(key, figure, _distribution_text(shown, name))


def _steps(frames: StudyFrames, index: int) -> go.Scatter:
    values = np.sort(frames.valued["value"].to_numpy(dtype=float))
    places = np.unique(np.linspace(0, len(values) - 1, MOST_STEPS).astype(int))
    shares = (places + 1) / len(values)
    return go.Scatter(
        x=numbers(pd.Series([values[0], *values[places]])),
        y=numbers(pd.Series([0.0, *shares])),
        mode="lines",
        line={**study_line(index), "shape": "hv"},
        name=f"{escaped(frames.study)} ({len(values)})",
        hovertemplate="%{y:.0%} up to %{x:.4g}<extra>%{fullData.name}</extra>",
    )


def _distribution_text(shown: Sequence[tuple[int, StudyFrames]], name: str) -> str:
    medians = ", ".join(
        f"{frames.study} {label(frames.valued['value'].median())} "
        f"({plural(len(frames.valued), 'trial')})"
        for _, frames in shown[:MOST_NAMED]
    )
    more = len(shown) - MOST_NAMED
    medians += f" and {more} more" if more > 0 else ""
    return (
        f"Share of trials up to each {name}, diverged ones included, pruned ones with the value "
        f"at which they were pruned, failed ones left out; medians: {medians}."
    )
