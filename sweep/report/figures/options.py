"""Accuracy by what is between the layers: dropout and batch normalisation."""

import math

import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.levels import group_means, levels
from sweep.report.figures.points import (
    accurate,
    data_range,
    drawn_note,
    mean_marks,
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
    palette,
    styled,
)
from sweep.report.frames import StudyFrames


def dropout(frames: StudyFrames) -> Chart:
    """Accuracy by kind and rate of dropout, with the mean of each rate or bin of rates."""
    key, title = "dropout", "Dropout"
    trials = accurate(frames)
    if trials.empty:
        return Chart(key, empty(frames, title, "No trial has ended yet"), "No trial yet.")
    trials = trials.assign(x=trials["dropout_rate"].where(trials["dropout"] != "none", 0.0))
    drawn = thinned(trials)
    traces: list[go.Scatter] = []
    said = []
    for index, kind in enumerate(("none", "dropout", "alpha_dropout")):
        part = trials[trials["dropout"] == kind]
        if part.empty:
            continue
        colour = (GREY, BLUE, ORANGE)[index]
        name = f"{kind.replace('_', ' ')} ({len(part)})"
        traces.append(trial_marks(drawn[drawn["dropout"] == kind], "x", colour, name, faint=True))
        groups = levels(part, "dropout_rate") if kind != "none" else part["dropout"]
        means = group_means(part["accuracy"], groups)
        centres = part["x"].groupby(groups, observed=True).mean().reindex(means.index)
        traces.append(mean_marks(means, numbers(centres), colour, name, line=kind != "none"))
        said.append(f"{kind.replace('_', ' ')} {part['accuracy'].mean():.3f} (n={len(part)})")
    figure = styled(
        frames,
        traces,
        "Accuracy by dropout kind and rate",
        f"diamonds: mean and 95 % interval; {drawn_note(drawn, trials)}",
        xaxis={"title": {"text": "dropout rate"}, "zeroline": False},
        yaxis={"title": {"text": "validation accuracy"}, "range": data_range(trials["accuracy"])},
    )
    return Chart(key, figure, f"Mean validation accuracy by dropout: {', '.join(said)}.")


def batch_norm(frames: StudyFrames) -> Chart:
    """Accuracy and seconds per epoch without and with batch normalisation."""
    key, title = "batch-norm", "Batch normalisation: accuracy and cost"
    trials = accurate(frames)
    if trials.empty:
        return Chart(key, empty(frames, title, "No trial has ended yet"), "No trial yet.")
    kinds = [kind for kind in ("none", "before", "after") if (trials["batch_norm"] == kind).any()]
    drawn = thinned(trials)
    traces: list[go.Scatter] = []
    for axis, measure in (("", "accuracy"), ("2", "seconds_per_epoch")):
        for index, kind in enumerate(kinds):
            part, seen = trials[trials["batch_norm"] == kind], drawn[drawn["batch_norm"] == kind]
            jittered = seen.assign(x=index + jitter(seen["number"]))
            points = trial_marks(jittered, "x", palette(index), kind, measure=measure, faint=True)
            means = group_means(part[measure], part["batch_norm"])
            marks = mean_marks(means, [index], palette(index), kind, line=False)
            traces += [t.update(xaxis=f"x{axis}", yaxis=f"y{axis}") for t in (points, marks)]
    ticks = {
        "tickvals": list(range(len(kinds))),
        "ticktext": [f"{k}<br>n={(trials['batch_norm'] == k).sum()}" for k in kinds],
        "range": [-0.5, len(kinds) - 0.5],
        "showgrid": False,
        "zeroline": False,
    }
    figure = styled(
        frames,
        traces,
        "Batch normalisation: accuracy and cost",
        f"diamonds: mean and 95 % interval; {drawn_note(drawn, trials)}",
        showlegend=False,
        xaxis={**ticks, "domain": [0, 0.4]},
        xaxis2={**ticks, "domain": [0.6, 1], "anchor": "y2"},
        yaxis={"title": {"text": "validation accuracy"}, "range": data_range(trials["accuracy"])},
        yaxis2={"title": {"text": "seconds per epoch"}, "anchor": "x2", "rangemode": "tozero"},
    )
    said = (_cost(kind, trials[trials["batch_norm"] == kind]) for kind in kinds)
    return Chart(key, figure, f"Mean validation accuracy by batch norm: {', '.join(said)}.")


def _cost(kind: str, trials: pd.DataFrame) -> str:
    seconds = trials["seconds_per_epoch"].mean()
    cost = "" if math.isnan(seconds) else f" at {seconds:.2g} s per epoch"
    return f"{kind} {trials['accuracy'].mean():.3f}{cost} (n={len(trials)})"
