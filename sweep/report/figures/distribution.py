"""The objective over all trials of several studies."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.design import LOGARITHMIC
from sweep.report.analysis.studies.goals import Goal, sharing
from sweep.report.figures.style import Chart, empty, numbers, study_line, styled
from sweep.report.frames import StudyFrames
from sweep.report.text import escaped, label, metric, plural

# So many steps of a distribution function look like all of them.
MOST_STEPS = 250
MOST_NAMED = 4


def distribution(studies: Sequence[StudyFrames], goal: Goal) -> Chart:
    """The share of ended trials up to each objective value, for the studies that pursue a goal.

    Complete, diverged and pruned trials count, pruned ones with the value at which they were
    pruned; failed trials have none.
    """
    name = metric(goal[0])
    key, title = f"distribution-{goal[0]}", f"{name.capitalize()} of all trials"
    shown = [(index, frames) for index, frames in sharing(studies, goal) if len(frames.valued)]
    if not shown:
        return Chart(key, empty(studies, title, "No trial has ended yet"), "No trial yet.")
    values = pd.concat([frames.valued["value"] for _, frames in shown])
    is_log = bool(values.min() > 0 and values.max() > LOGARITHMIC * values.min())
    traces = [_steps(frames, index) for index, frames in shown]
    side = "right" if goal[1] == "maximize" else "left"
    some_pruned = any(frames.counts()["pruned"] for _, frames in shown)
    note = f"further {side} is better" + ("; pruned trials as of pruning" * some_pruned)
    figure = styled(
        [frames for _, frames in shown],
        traces,
        title,
        note,
        xaxis={"title": {"text": name}, **({"type": "log"} if is_log else {})},
        yaxis={
            "title": {"text": "share of trials up to it"},
            "range": [-0.02, 1.02],
            "tickformat": ".0%",
        },
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
