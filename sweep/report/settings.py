"""Accuracy by the settings that people ask about first."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.report.effects import LEAST_DRAWN, group_means, levels
from sweep.report.frames import StudyFrames
from sweep.report.style import (
    BLUE,
    GREY,
    ORANGE,
    OUTCOME_SYMBOLS,
    SCALE,
    VERMILLION,
    Chart,
    empty,
    jitter,
    label,
    numbers,
    padded,
    palette,
    plural,
    styled,
)

MOST_POINTS = 400


def activation_by_initializer(frames: StudyFrames) -> Chart:
    """Mean validation accuracy for each pair of activation and kernel initializer."""
    key, title = "activation-initializer", "Accuracy by activation × initializer"
    trials = _accurate(frames)
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
        height=max(450, 130 + 42 * len(mean.index)),
    )
    top = table["mean"].idxmax()
    text = (
        f"Mean validation accuracy of {len(table)} pairs of activation and initializer; the "
        f"highest mean is {table['mean'].max():.3f} for {top[0]} with {top[1]} "
        f"({plural(int(table.loc[top, 'count']), 'trial')})."
    )
    return Chart(key, figure, text)


def _cells(heat: go.Heatmap, count: pd.DataFrame) -> go.Scatter:
    """Mean and count in every cell, dark on light colours and light on dark ones."""
    cells = [
        (x, y, mean, int(count.iloc[row, column]))
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


def momentum(frames: StudyFrames) -> Chart:
    """Accuracy of SGD trials by momentum and, where it varied, learning rate."""
    key, title = "momentum", "Momentum of SGD"
    trials = _accurate(frames)
    trials = trials[trials["optimizer"] == "sgd"]
    if trials.empty:
        reason = "No trial with the optimizer sgd has ended"
        return Chart(key, empty(frames, title, reason), reason + ".")
    x = -np.log10(1.0 - trials["momentum"])
    by_rate = trials["learning_rate"].nunique() > 1
    top = min(5, max(1, math.ceil(x.max())))
    ticks = {
        "tickvals": list(range(top + 1)),
        "ticktext": ["0", *(f"{1 - 10.0**-power:.{power}f}" for power in range(1, top + 1))],
        "range": [-0.2, top + 0.2],
        "title": {"text": "momentum (scale of 1 − momentum)"},
        "zeroline": False,
    }
    drawn = _thinned(trials.assign(x=x))
    if by_rate:
        figure = styled(
            frames,
            _rate_plane(drawn),
            "Momentum × learning rate of SGD",
            f"colour: validation accuracy; {_drawn(drawn, trials)}",
            xaxis=ticks,
            yaxis={"type": "log", "title": {"text": "learning rate"}, "dtick": 1},
            coloraxis={
                "colorscale": SCALE,
                "colorbar": {"thickness": 12, "outlinewidth": 0, "title": {"text": "accuracy"}},
            },
        )
    else:
        figure = styled(
            frames,
            [_points(drawn, "x", BLUE, "trials")],
            title,
            _drawn(drawn, trials),
            xaxis=ticks,
            yaxis={"title": {"text": "validation accuracy"}},
        )
    best = trials.loc[trials["accuracy"].idxmax()]
    text = (
        f"{plural(len(trials), 'SGD trial')} by momentum and learning rate, "
        f"{(trials['outcome'] == 'diverged').sum()} diverged; the most accurate "
        f"({best['accuracy']:.3f}) had momentum {label(best['momentum'])} and rate "
        f"{label(best['learning_rate'])}."
    )
    return Chart(key, figure, text)


def _rate_plane(trials: pd.DataFrame) -> list[go.Scatter]:
    traces = []
    for outcome in ("complete", "pruned", "diverged"):
        part = trials[trials["outcome"] == outcome]
        if part.empty:
            continue
        symbol = OUTCOME_SYMBOLS[outcome]
        colour = (
            {"color": VERMILLION}
            if outcome == "diverged"
            else {"color": numbers(part["accuracy"]), "coloraxis": "coloraxis"}
        )
        points = go.Scatter(
            x=numbers(part["x"]),
            y=numbers(part["learning_rate"]),
            customdata=_hover(part),
            mode="markers",
            legendgroup=outcome,
            showlegend=False,
            marker={**colour, "symbol": symbol, "size": 11, "line": {"width": 0.5}},
            hovertemplate="trial %{customdata[0]}: %{customdata[1]}<extra></extra>",
        )
        # The legend has an entry of its own: those of points with a scale are drawn black.
        entry = go.Scatter(
            x=[None],
            y=[None],
            mode="markers",
            legendgroup=outcome,
            name=f"{outcome} ({len(part)})",
            marker={
                "color": VERMILLION if outcome == "diverged" else GREY,
                "symbol": symbol,
                "size": 9,
            },
        )
        traces += [points, entry]
    return traces


def dropout(frames: StudyFrames) -> Chart:
    """Accuracy by kind and rate of dropout, with the mean of each rate or bin of rates."""
    key, title = "dropout", "Dropout"
    trials = _accurate(frames)
    if trials.empty:
        return Chart(key, empty(frames, title, "No trial has ended yet"), "No trial yet.")
    trials = trials.assign(x=trials["dropout_rate"].where(trials["dropout"] != "none", 0.0))
    drawn = _thinned(trials)
    traces: list[go.Scatter] = []
    said = []
    for index, kind in enumerate(("none", "dropout", "alpha_dropout")):
        part = trials[trials["dropout"] == kind]
        if part.empty:
            continue
        colour = (GREY, BLUE, ORANGE)[index]
        name = f"{kind.replace('_', ' ')} ({len(part)})"
        traces.append(_points(drawn[drawn["dropout"] == kind], "x", colour, name, faint=True))
        groups = levels(part, "dropout_rate") if kind != "none" else part["dropout"]
        means = group_means(part["accuracy"], groups)
        centres = part["x"].groupby(groups, observed=True).mean().reindex(means.index)
        traces.append(_means(means, numbers(centres), colour, name, line=kind != "none"))
        said.append(f"{kind.replace('_', ' ')} {part['accuracy'].mean():.3f} (n={len(part)})")
    figure = styled(
        frames,
        traces,
        "Accuracy by dropout kind and rate",
        f"diamonds: mean and 95 % interval; {_drawn(drawn, trials)}",
        xaxis={"title": {"text": "dropout rate"}, "zeroline": False},
        yaxis={"title": {"text": "validation accuracy"}, "range": _range(trials["accuracy"])},
    )
    return Chart(key, figure, f"Mean validation accuracy by dropout: {', '.join(said)}.")


def batch_norm(frames: StudyFrames) -> Chart:
    """Accuracy and seconds per epoch without and with batch normalisation."""
    key, title = "batch-norm", "Batch normalisation: accuracy and cost"
    trials = _accurate(frames)
    if trials.empty:
        return Chart(key, empty(frames, title, "No trial has ended yet"), "No trial yet.")
    kinds = [kind for kind in ("none", "before", "after") if (trials["batch_norm"] == kind).any()]
    drawn = _thinned(trials)
    traces: list[go.Scatter] = []
    for axis, measure in (("", "accuracy"), ("2", "seconds_per_epoch")):
        for index, kind in enumerate(kinds):
            part, seen = trials[trials["batch_norm"] == kind], drawn[drawn["batch_norm"] == kind]
            jittered = seen.assign(x=index + jitter(seen["number"]))
            points = _points(jittered, "x", palette(index), kind, measure=measure, faint=True)
            means = group_means(part[measure], part["batch_norm"])
            marks = _means(means, [index], palette(index), kind, line=False)
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
        f"diamonds: mean and 95 % interval; {_drawn(drawn, trials)}",
        showlegend=False,
        xaxis={**ticks, "domain": [0, 0.4]},
        xaxis2={**ticks, "domain": [0.6, 1], "anchor": "y2"},
        yaxis={"title": {"text": "validation accuracy"}, "range": _range(trials["accuracy"])},
        yaxis2={"title": {"text": "seconds per epoch"}, "anchor": "x2", "rangemode": "tozero"},
    )
    said = (_cost(kind, trials[trials["batch_norm"] == kind]) for kind in kinds)
    return Chart(key, figure, f"Mean validation accuracy by batch norm: {', '.join(said)}.")


def _cost(kind: str, trials: pd.DataFrame) -> str:
    seconds = trials["seconds_per_epoch"].mean()
    cost = "" if pd.isna(seconds) else f" at {seconds:.2g} s per epoch"
    return f"{kind} {trials['accuracy'].mean():.3f}{cost} (n={len(trials)})"


def _accurate(frames: StudyFrames) -> pd.DataFrame:
    return frames.valued.dropna(subset=["accuracy"])


def _range(values: pd.Series) -> list[float]:
    """Of the trials, not of the intervals, which are wild where there are two or three trials."""
    return padded(float(values.min()), float(values.max()))


def _thinned(trials: pd.DataFrame) -> pd.DataFrame:
    """At most `MOST_POINTS` trials, evenly spaced by number, so that a figure stays small."""
    if len(trials) <= MOST_POINTS:
        return trials
    return trials.iloc[np.linspace(0, len(trials) - 1, MOST_POINTS).astype(int)]


def _drawn(drawn: pd.DataFrame, trials: pd.DataFrame) -> str:
    if len(drawn) == len(trials):
        return plural(len(trials), "trial")
    return f"{len(drawn)} of {len(trials):,} trials drawn"


def _points(
    trials: pd.DataFrame,
    x: str,
    colour: str,
    name: str,
    *,
    measure: str = "accuracy",
    faint: bool = False,
) -> go.Scatter:
    symbols = trials["outcome"].map(OUTCOME_SYMBOLS).tolist()
    return go.Scatter(
        x=numbers(trials[x]),
        y=numbers(trials[measure]),
        customdata=_hover(trials),
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=False,
        marker={"color": colour, "symbol": symbols, "size": 7, "opacity": 0.45 if faint else 0.85},
        hovertemplate="trial %{customdata[0]}: %{customdata[1]}<extra></extra>",
    )


def _means(
    means: pd.DataFrame, x: list[float | None], colour: str, name: str, *, line: bool
) -> go.Scatter:
    half = (means["high"] - means["mean"]).where(means["count"] >= LEAST_DRAWN, 0.0)
    return go.Scatter(
        x=x,
        y=numbers(means["mean"]),
        error_y={"array": numbers(half), "thickness": 1.5, "width": 5, "color": colour},
        customdata=means["count"].tolist(),
        mode="lines+markers" if line else "markers",
        line={"color": colour, "width": 1.5, "dash": "dot"},
        marker={"color": colour, "symbol": "diamond", "size": 12},
        name=name,
        legendgroup=name,
        hovertemplate="mean %{y:.4g}, n=%{customdata}<extra></extra>",
    )


def _hover(trials: pd.DataFrame) -> list[list[object]]:
    """Number, and what a reader wants to know first, of every trial."""
    return [
        [int(number), f"{outcome}, accuracy {accuracy:.3f}"]
        for number, outcome, accuracy in zip(
            trials["number"], trials["outcome"], trials["accuracy"], strict=True
        )
    ]
