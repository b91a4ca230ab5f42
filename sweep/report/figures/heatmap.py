"""Accuracy by activation and initializer."""

import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.levels import group_means
from sweep.report.figures.points import accurate
from sweep.report.figures.style import (
    SCALE,
    Chart,
    empty,
    numbers,
    styled,
)
from sweep.report.frames import StudyFrames
from sweep.report.text import plural


def activation_by_initializer(frames: StudyFrames) -> Chart:
    """Mean validation accuracy for each pair of activation and kernel initializer."""
    key, title = "activation-initializer", "Accuracy by activation × initializer"
    trials = accurate(frames)
    if trials.empty:
        return Chart(key, empty(frames, title, "No trial has ended yet"), "No trial yet.")
    pairs = trials["activation"] + "|" + trials["kernel_initializer"]
    table = group_means(trials["accuracy"], pairs)
    parts = table.index.str.split("|", expand=True)
    table.index = pd.MultiIndex.from_tuples(list(parts), names=["activation", "initializer"])
    order_rows = trials.groupby("activation")["accuracy"].mean().sort_values().index
    order_columns = (
        trials.groupby("kernel_initializer")["accuracy"].mean().sort_values(ascending=False).index
    )
    mean = table["mean"].unstack().reindex(index=order_rows, columns=order_columns)
    count = table["count"].unstack().reindex_like(mean).fillna(0).astype(int)
    best = table["best"].unstack().reindex_like(mean)
    trace = go.Heatmap(
        x=[name.replace("_", "<br>", 1) for name in mean.columns],
        y=list(mean.index),
        z=[numbers(row) for _, row in mean.iterrows()],
        customdata=[numbers(row) for _, row in best.iterrows()],
        colorscale=SCALE,
        xgap=2,
        ygap=2,
        colorbar={"thickness": 12, "outlinewidth": 0, "title": {"text": "mean"}},
        hovertemplate="%{y}, %{x}<br>mean %{z}, best %{customdata}<extra></extra>",
        hoverongaps=False,
    )
    figure = styled(
        frames,
        [trace, _cells(trace, count)],
        title,
        "mean of n ended trials; pruned ones as of their pruning",
        xaxis={"showgrid": False, "tickangle": 0, "tickfont": {"size": 11}, "type": "category"},
        yaxis={"showgrid": False, "type": "category"},
    )
    top = int(table["mean"].argmax())
    activation, initializer = list(parts)[top]
    text = (
        f"Mean validation accuracy of {len(table)} pairs of activation and initializer; the "
        f"highest mean is {table['mean'].max():.3f} for {activation} with {initializer} "
        f"({plural(int(table['count'].iloc[top]), 'trial')})."
    )
    return Chart(key, figure, text)


def _cells(heat: go.Heatmap, count: pd.DataFrame) -> go.Scatter:
    """Mean and count in every cell, dark on light colours and light on dark ones."""
    counts = count.to_numpy(dtype=int).tolist()
    cells = [
        (x, y, mean, counts[row][column])
        for row, y in enumerate(heat.y)
        for column, x in enumerate(heat.x)
        if (mean := heat.z[row][column]) is not None
    ]
    means = [mean for *_, mean, _ in cells]
    middle = (min(means) + max(means)) / 2
    return go.Scatter(
        x=[x for x, *_ in cells],
        y=[y for _, y, *_ in cells],
        mode="text",
        text=[f"{mean:.3f}<br>n={n}" for *_, mean, n in cells],
        textfont={
            "size": 10,
            "color": ["#000000" if mean > middle else "#FFFFFF" for mean in means],
        },
        hoverinfo="skip",
        showlegend=False,
    )
