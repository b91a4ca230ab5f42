"""What cannot be had at once: objectives against each other, accuracy against cost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.report.figures.points import MOST_POINTS, accurate, nothing_complete
from sweep.report.figures.style import (
    GREEN,
    OUTCOME_COLOURS,
    OUTCOME_SYMBOLS,
    Chart,
    empty,
    numbers,
    padded,
    styled,
)
from sweep.report.frames import StudyFrames, pareto_mask
from sweep.report.text import metric, plural

# Settings that change the work of a forward pass; without them its times differ by chance.
_STRUCTURE = frozenset({"depth", "width", "activation", "batch_norm"})
# Shares of zero weights that differ by less are chance.
_LEAST_SHARE = 0.01
# A loss of accuracy that many would pay for a cheaper network.
_CONCESSION = 0.01
_PANEL_PIXELS = 230
# Costs that differ by more than so many times lie on a scale of powers of ten.
_WIDE = 30.0


def pareto(frames: StudyFrames) -> Chart:
    """The first two objectives against each other, the Pareto front marked."""
    names = [metric(name) for name in frames.metrics[:2]]
    title = f"{names[0].capitalize()} against {names[1]}"
    trials = frames.valued
    trials = trials[(trials["outcome"] != "pruned") & np.isfinite(trials["value_2"])]
    if trials.empty:
        return Chart("pareto", *_incomplete(frames, title))
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


def _incomplete(frames: StudyFrames, title: str) -> tuple[go.Figure, str]:
    """A figure, and its sentence, of a study in which no trial completed with numbers."""
    reason = nothing_complete(frames)
    return empty(frames, title, reason), f"{reason}."


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network costs.

    Attributes:
        column: Of the trials.
        title: Of the axis.
        factor: From the column to the axis.
        sign: 1 if less is better, -1 if more is.
        words: Format of a value in a sentence.
        cheaper: Word for what costs less.
    """

    column: str
    title: str
    factor: float
    sign: int
    words: str
    cheaper: str


COSTS = (
    Cost(
        "inference_seconds",
        "inference time, ms (128 images, one core)",
        1e3,
        1,
        "{:.3g} ms",
        "faster",
    ),
    Cost("parameters", "parameters", 1.0, 1, "{:,.0f} parameters", "smaller"),
    Cost(
        "zero_weights", "zero weights, % (more is cheaper)", 1e2, -1, "{:.3g} % zeros", "sparser"
    ),
)


def accuracy_cost(frames: StudyFrames) -> Chart:
    """Validation accuracy against inference time, parameters and zero weights.

    What does not differ between the trials is left out. The step line is the most that any
    complete trial reaches at a cost or below.
    """
    key, title = "cost", "Accuracy against cost"
    trials = accurate(frames)
    trials = trials[trials["outcome"] != "diverged"]
    if not (trials["outcome"] == "complete").any():
        return Chart(key, *_incomplete(frames, title))
    costs = [cost for cost in COSTS if _differs(frames, trials, cost)]
    if not costs:
        reason = "The networks of this study all cost the same"
        return Chart(key, empty(frames, title, reason), reason + ".")
    traces: list[go.Scatter] = []
    layout: dict[str, Any] = {}
    fronts = []
    for place, cost in enumerate(costs):
        known = trials.assign(cost=trials[cost.column] * cost.factor).dropna(subset=["cost"])
        front = _front(known[known["outcome"] == "complete"], cost.sign)
        axis = "" if place == 0 else str(place + 1)
        traces += [
            trace.update(xaxis=f"x{axis}", yaxis=f"y{axis}", showlegend=place == 0)
            for trace in _cost_traces(known, front, cost)
        ]
        layout |= _axes(known, cost, axis, place, len(costs))
        fronts.append((cost, front))
    figure = styled(
        frames,
        traces,
        title,
        "line: Pareto front of the complete trials",
        height=150 + _PANEL_PIXELS * len(costs),
        **layout,
    )
    complete = int((trials["outcome"] == "complete").sum())
    return Chart(key, figure, _text(complete, fronts))


def _differs(frames: StudyFrames, trials: pd.DataFrame, cost: Cost) -> bool:
    values = trials.loc[trials["outcome"] == "complete", cost.column].dropna()
    if values.nunique() < 2:
        return False
    match cost.column:
        case "inference_seconds":
            return not _STRUCTURE.isdisjoint(frames.varied)
        case "zero_weights":
            return bool(values.max() - values.min() >= _LEAST_SHARE)
        case _:
            return True


def _front(trials: pd.DataFrame, sign: int) -> pd.DataFrame:
    """Trials that no other beats in accuracy without costing more, the cheapest first."""
    keys = trials.assign(loss=sign * trials["cost"]).sort_values(
        ["loss", "accuracy"], ascending=[True, False], kind="stable"
    )
    before = keys["accuracy"].cummax().shift(fill_value=-np.inf)
    return keys[keys["accuracy"] > before]


def _cost_traces(trials: pd.DataFrame, front: pd.DataFrame, cost: Cost) -> Iterator[go.Scatter]:
    for outcome in ("pruned", "complete"):
        part = trials[(trials["outcome"] == outcome) & ~trials["number"].isin(front["number"])]
        if len(part):
            yield _marks(part, outcome, OUTCOME_COLOURS[outcome], OUTCOME_SYMBOLS[outcome], cost)
    marks = _marks(front, "Pareto front", GREEN, "diamond", cost)
    # From one trial of the front to the next, the accuracy is that of the cheaper one.
    shape = "hv" if cost.sign > 0 else "vh"
    drawn = front.sort_values("cost", kind="stable")
    yield marks.update(
        x=numbers(drawn["cost"]),
        y=numbers(drawn["accuracy"]),
        customdata=drawn["number"].tolist(),
        mode="lines+markers",
        line={"color": GREEN, "width": 2, "shape": shape},
        marker={"size": 10, "opacity": 1.0},
    )


def _marks(trials: pd.DataFrame, name: str, colour: str, symbol: str, cost: Cost) -> go.Scatter:
    drawn = trials
    if len(trials) > MOST_POINTS:
        drawn = trials.iloc[np.linspace(0, len(trials) - 1, MOST_POINTS).astype(int)]
    return go.Scatter(
        x=numbers(drawn["cost"]),
        y=numbers(drawn["accuracy"]),
        customdata=drawn["number"].tolist(),
        mode="markers",
        name=name,
        legendgroup=name,
        marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.6},
        hovertemplate="trial %{customdata}: accuracy %{y:.4g}, %{x:.4g}<extra></extra>",
    )


def _axes(trials: pd.DataFrame, cost: Cost, axis: str, place: int, panels: int) -> dict[str, Any]:
    low, high = float(trials["cost"].min()), float(trials["cost"].max())
    # A core that had other work to do measures a time many times too long.
    log = low > 0.0 and high > _WIDE * low and cost.sign > 0
    span = {"type": "log", "dtick": 1} if log else {"range": padded(low, high)}
    gap = 0.3 / panels if panels > 1 else 0.0
    height = (1.0 - gap * (panels - 1)) / panels
    bottom = 1.0 - height * (place + 1) - gap * place
    return {
        f"xaxis{axis}": {
            "title": {"text": cost.title},
            "anchor": f"y{axis}",
            "zeroline": False,
            "exponentformat": "none",
            "separatethousands": True,
            **span,
        },
        f"yaxis{axis}": {
            "title": {"text": "accuracy"},
            "domain": [max(0.0, bottom), min(1.0, bottom + height)],
            "anchor": f"x{axis}",
            "zeroline": False,
            "range": padded(float(trials["accuracy"].min()), float(trials["accuracy"].max())),
        },
    }


def _text(trials: int, fronts: Sequence[tuple[Cost, pd.DataFrame]]) -> str:
    """The most accurate trial, and what is cheaper and hardly less accurate."""
    best = fronts[0][1].iloc[-1]
    prices = " and ".join(cost.words.format(front["cost"].iloc[-1]) for cost, front in fronts)
    cheaper = "; ".join(_alternative(cost, front) for cost, front in fronts)
    return (
        f"The most accurate of {plural(trials, 'complete trial')}, {int(best['number'])}, reaches "
        f"{best['accuracy']:.3f} at {prices}; within a point of it, {cheaper}."
    )


def _alternative(cost: Cost, front: pd.DataFrame) -> str:
    near = front[front["accuracy"] >= front["accuracy"].iloc[-1] - _CONCESSION].iloc[0]
    if near["number"] == front["number"].iloc[-1]:
        return f"none is {cost.cheaper}"
    price = cost.words.format(near["cost"])
    return f"trial {int(near['number'])} is {cost.cheaper} ({near['accuracy']:.3f} at {price})"
