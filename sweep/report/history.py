"""How a study went on: objective by trial, learning curves, the Pareto front."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.report.effects import LEAST_DRAWN, group_means, levels
from sweep.report.frames import StudyFrames, pareto_mask, visible_range
from sweep.report.style import (
    GREEN,
    OUTCOME_COLOURS,
    OUTCOME_SYMBOLS,
    Chart,
    dash,
    empty,
    escaped,
    metric,
    numbers,
    padded,
    palette,
    plural,
    styled,
)

MOST_CURVES = 8


def history(frames: StudyFrames) -> Chart:
    """The first objective by trial number, with the best so far as a line."""
    name = metric(frames.metrics[0])
    title = f"{name.capitalize()} by trial"
    trials, counts = frames.valued, frames.counts()
    if trials.empty and not counts["failed"]:
        return Chart("history", empty(frames, title, "No trial has ended yet"), "No trial yet.")
    low, high = visible_range(trials)
    shown = trials.assign(shown=trials["value"].clip(low, high))
    traces = [
        _outcome_trace(shown[shown["outcome"] == outcome], outcome)
        for outcome in ("complete", "pruned", "diverged")
        if counts[outcome]
    ]
    failed = frames.trials[frames.trials["outcome"] == "failed"]
    if len(failed):
        traces.append(_outcome_trace(failed.assign(shown=low), "failed"))
    incumbent = _incumbent(frames)
    if len(incumbent):
        traces.append(
            go.Scatter(
                x=incumbent["number"].tolist(),
                y=numbers(incumbent["value"]),
                mode="lines",
                line={"color": GREEN, "width": 2, "shape": "hv"},
                name="best so far",
                hoverinfo="skip",
            )
        )
    figure = styled(
        frames,
        traces,
        title,
        xaxis={
            "title": {"text": "trial number"},
            "range": padded(0, int(frames.trials["number"].max()), 0.02),
            "zeroline": False,
        },
        yaxis={"title": {"text": name}, "range": padded(low, high)},
    )
    return Chart("history", figure, _history_text(frames, counts, name))


def _outcome_trace(trials: pd.DataFrame, outcome: str) -> go.Scatter:
    errors = outcome == "failed"
    return go.Scatter(
        x=trials["number"].tolist(),
        y=numbers(trials["shown"]),
        customdata=[escaped(str(error or "")[:120]) for error in trials["error"]]
        if errors
        else numbers(trials["value"]),
        mode="markers",
        name=f"{outcome} ({len(trials)})",
        marker={
            "color": OUTCOME_COLOURS[outcome],
            "symbol": OUTCOME_SYMBOLS[outcome],
            "size": 10 if errors else 8,
            "opacity": 0.85,
        },
        hovertemplate=f"trial %{{x}}, {outcome}: %{{customdata}}<extra></extra>",
    )


def _incumbent(frames: StudyFrames) -> pd.DataFrame:
    complete = frames.trials[frames.trials["outcome"] == "complete"]
    best = complete["value"].cummax() if frames.maximize else complete["value"].cummin()
    steps = complete.assign(value=best).dropna(subset=["value"])
    return steps[["number", "value"]]


def _history_text(frames: StudyFrames, counts: dict[str, int], name: str) -> str:
    ended = ", ".join(
        f"{counts[outcome]} {outcome}"
        for outcome in ("complete", "diverged", "pruned", "failed")
        if counts[outcome]
    )
    best = frames.best()
    if best.empty:
        return f"{name.capitalize()} of every trial: {ended}; none has completed."
    first = best.iloc[0]
    return (
        f"{name.capitalize()} of every trial ({ended}); the best is {first['value']:.4g}, "
        f"reached by trial {first['number']}."
    )


def learning_curves(frames: StudyFrames, first: str | None = None) -> Chart:
    """Mean validation accuracy by epoch, split by a setting that the reader chooses.

    Every ended trial counts at every epoch: one that ended early goes on with its last accuracy,
    so that the mean does not rise merely because weak trials are gone. The band is the 95 %
    interval of the mean (Student), drawn for three trials or more.

    Args:
        frames: The study.
        first: Setting shown first; by default the first that varied.
    """
    title = "Learning curves"
    curves = _curves(frames)
    if curves.empty:
        return Chart("curves", empty(frames, title, "No epoch has been recorded yet"), "No epoch.")
    settings = list(frames.varied)
    if first in settings:
        settings.remove(first)
        settings.insert(0, first)
    ended = frames.trials.set_index("number").loc[curves.index]
    groups = {name: levels(ended, name) for name in settings}
    groups = groups or {"all trials": pd.Series("all trials", index=ended.index)}
    traces: list[go.Scatter] = []
    owners: list[str] = []
    for name, group in groups.items():
        for index, level in enumerate(group.value_counts().index[:MOST_CURVES]):
            pair = _band(curves[group == level], str(level), index)
            traces += pair
            owners += [name] * len(pair)
    chosen = next(iter(groups))
    for trace, owner in zip(traces, owners, strict=True):
        trace.visible = owner == chosen
    buttons = [
        {
            "label": name,
            "method": "restyle",
            "args": [{"visible": [owner == name for owner in owners]}],
        }
        for name in groups
    ]
    figure = styled(
        frames,
        traces,
        title,
        "mean, 95 % interval; ended trials go on with their last value",
        xaxis={"title": {"text": "epoch"}, "rangemode": "tozero"},
        yaxis={
            "title": {"text": "validation accuracy"},
            "range": padded(float(curves.min(axis=None)), float(curves.max(axis=None))),
        },
        height=520,
        legend={"y": -0.2, "yanchor": "top"},
        updatemenus=[
            {
                "buttons": buttons,
                "x": 1,
                "xanchor": "right",
                "y": 1.02,
                "yanchor": "bottom",
                "showactive": True,
            }
        ]
        if len(buttons) > 1
        else [],
    )
    text = (
        f"Mean validation accuracy after each of {curves.shape[1]} epochs over "
        f"{plural(len(curves), 'ended trial')}, split by {chosen.replace('_', ' ')}."
    )
    return Chart("curves", figure, text)


def _curves(frames: StudyFrames) -> pd.DataFrame:
    """Accuracy by trial (rows) and epoch (columns), carried forward to the last epoch."""
    ended = frames.valued["number"]
    epochs = frames.epochs[frames.epochs["number"].isin(ended)]
    table = epochs.pivot(index="number", columns="epoch", values="val_accuracy")
    return table.ffill(axis=1).dropna(how="all")


def _band(curves: pd.DataFrame, name: str, index: int) -> list[go.Scatter]:
    """A line for the mean, and a band around it where there are enough trials."""
    long = curves.melt(var_name="epoch", value_name="accuracy").dropna()
    table = group_means(long["accuracy"], long["epoch"])
    colour = palette(index)
    line = go.Scatter(
        x=table.index.tolist(),
        y=numbers(table["mean"]),
        mode="lines+markers" if len(table) < 2 else "lines",
        line={"color": colour, "dash": dash(index), "width": 2},
        name=f"{name} ({len(curves)})",
        legendgroup=name,
        hovertemplate="%{y:.3f}<extra>%{fullData.name}</extra>",
    )
    known = table[table["count"] >= LEAST_DRAWN]
    if known.empty:
        return [line]
    x = known.index.tolist()
    band = go.Scatter(
        x=x + x[::-1],
        y=numbers(known["high"]) + numbers(known["low"])[::-1],
        fill="toself",
        fillcolor=_faint(colour),
        line={"width": 0},
        legendgroup=name,
        showlegend=False,
        hoverinfo="skip",
    )
    return [band, line]


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def pareto(frames: StudyFrames) -> Chart:
    """The first two objectives against each other, the Pareto front marked."""
    names = [metric(name) for name in frames.metrics[:2]]
    title = f"{names[0].capitalize()} against {names[1]}"
    trials = frames.valued
    trials = trials[(trials["outcome"] != "pruned") & np.isfinite(trials["value_2"])]
    if trials.empty:
        return Chart("pareto", empty(frames, title, "No trial has completed yet"), "No trial yet.")
    front = pareto_mask(frames, trials)
    traces = [
        go.Scatter(
            x=numbers(part["value"]),
            y=numbers(part["value_2"]),
            customdata=part["number"].tolist(),
            mode="markers",
            name=f"{name} ({len(part)})",
            marker={"color": colour, "symbol": symbol, "size": 10, "opacity": 0.85},
            hovertemplate="trial %{customdata}: %{x:.4g}, %{y:.4g}<extra></extra>",
        )
        for name, part, colour, symbol in (
            ("others", trials[~front], OUTCOME_COLOURS["complete"], "circle"),
            ("Pareto front", trials[front], GREEN, "diamond"),
        )
    ]
    figure = styled(
        frames,
        traces,
        title,
        xaxis={"title": {"text": names[0]}},
        yaxis={"title": {"text": names[1]}},
    )
    text = (
        f"{plural(int(front.sum()), 'trial')} of {len(trials)} beaten by none in every objective."
    )
    return Chart("pareto", figure, text)
