"""Trained networks layer by layer: outputs, dead units, gradients."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.levels import LEAST_DRAWN, MOST_LEVELS, levels
from sweep.report.figures.curves import ALL, faint, legend_title, menu
from sweep.report.figures.style import Chart, empty, numbers, palette, styled
from sweep.report.frames import StudyFrames
from sweep.report.text import plural

MOST_SETTINGS = 6
MOST_LAYERS = 40
PANELS = (
    ("mean", "mean of outputs"),
    ("std", "standard deviation"),
    ("dead", "share of dead units"),
    ("gradient_norm", "norm of the gradient"),
)
# Gradients below it, and those that are 0, are drawn here: a logarithmic axis has no 0.
LEAST_GRADIENT = 1e-15
# Folds below it would be written 1.0.
EQUAL = 1.05
_STROKES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_QUARTILES = (0.25, 0.5, 0.75)
Tables = Mapping[str, pd.DataFrame]


def layer_statistics(frames: StudyFrames, first: str | None = None) -> Chart:
    """Outputs, dead units and gradients of the hidden layers, split by a setting.

    Lines are medians over complete and pruned trials, with their kept weights; the band is from
    the first to the third quartile, for three trials or more.

    Args:
        frames: The study.
        first: Setting offered after the activation; the others follow in order of definition.
    """
    key, title = "layers", "Layer by layer"
    tables = _tables(frames)
    trials = frames.trials.set_index("number").loc[tables["mean"].index]
    if trials.empty:
        reason = "No network has been inspected yet"
        return Chart(key, empty(frames, title, reason), reason + ".")
    settings = dict.fromkeys(("activation", first, *frames.varied))
    groups = {name: levels(trials, name) for name in settings if name in frames.varied}
    groups = dict(list(groups.items())[:MOST_SETTINGS])
    groups = groups or {ALL: pd.Series(ALL, index=trials.index)}
    chosen = next(iter(groups))
    traces: list[go.Scatter] = []
    owners: list[str] = []
    for name, group in groups.items():
        for index, level in enumerate(group.value_counts().index[:MOST_LEVELS]):
            drawn = _traces(tables, group == level, str(level), index)
            traces += [trace.update(visible=name == chosen) for trace in drawn]
            owners += [name] * len(drawn)
    figure = styled(
        frames,
        traces,
        title,
        "median and quartiles of trained networks, diverged ones left out",
        height=560,
        legend={"y": -0.13, "yanchor": "top", "title": legend_title(chosen)},
        updatemenus=menu(list(groups), owners),
        annotations=[_heading(place) for place in range(len(PANELS))],
        **_axes(tables),
    )
    return Chart(key, figure, _finding(tables, groups[chosen], chosen))


def _tables(frames: StudyFrames) -> Tables:
    """For each panel a table of trials (rows) and hidden layers (columns)."""
    valued = frames.valued
    ended = valued.loc[valued["outcome"] != "diverged", "number"]
    found = frames.layers[frames.layers["number"].isin(ended)]
    hidden = found[found["layer"] < found.groupby("number")["layer"].transform("max")]
    return {name: hidden.pivot(index="number", columns="layer", values=name) for name, _ in PANELS}


def _traces(tables: Tables, chosen: pd.Series, name: str, index: int) -> list[go.Scatter]:
    """For each panel a line, and a band where there are enough trials."""
    traces = []
    for place, (column, _) in enumerate(PANELS):
        table = tables[column][chosen.to_numpy(dtype=bool, na_value=False)]
        known = table.loc[:, table.notna().any()]
        quartiles = known.quantile(list(_QUARTILES))
        if column == "gradient_norm":
            quartiles = quartiles.clip(lower=LEAST_GRADIENT)
        quartiles = quartiles.iloc[:, _spread(quartiles.shape[1])]
        counts = known.count()[quartiles.columns]
        axis = "" if place == 0 else str(place + 1)
        place_of = {"xaxis": f"x{axis}", "yaxis": f"y{axis}", "legendgroup": name}
        low, middle, high = (pd.Series(quartiles.loc[q]) for q in _QUARTILES)
        enough = counts.index[counts >= LEAST_DRAWN].tolist()
        if len(enough) > 1:
            band = go.Scatter(
                x=enough + enough[::-1],
                y=numbers(high[enough]) + numbers(low[enough])[::-1],
                fill="toself",
                fillcolor=faint(palette(index)),
                line={"width": 0},
                showlegend=False,
                hoverinfo="skip",
                **place_of,
            )
            traces.append(band)
        line = go.Scatter(
            x=quartiles.columns.tolist(),
            y=numbers(middle),
            mode="lines" if quartiles.shape[1] > 1 else "markers",
            line={"color": palette(index), "dash": _STROKES[index], "width": 2},
            marker={"color": palette(index), "size": 8},
            name=f"{name} ({len(table)})",
            showlegend=place == 0,
            hovertemplate="layer %{x}: %{y:.3g}<extra>%{fullData.name}</extra>",
            **place_of,
        )
        traces.append(line)
    return traces


def _spread(layers: int) -> list[int]:
    """Places of at most so many layers, evenly spaced, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, layers - 1, min(layers, MOST_LAYERS))})


def _axes(tables: Tables) -> dict[str, Any]:
    """Two by two panels."""
    last = int(tables["mean"].columns.max())
    layout: dict[str, Any] = {}
    for place, (column, _) in enumerate(PANELS):
        axis = "" if place == 0 else str(place + 1)
        row, side = divmod(place, 2)
        layout[f"xaxis{axis}"] = {
            "domain": [0.0, 0.42] if side == 0 else [0.58, 1.0],
            "anchor": f"y{axis}",
            "title": {"text": "hidden layer"} if row == 1 else None,
            "range": [0.5, last + 0.5] if last < 3 else [1, last],
            "zeroline": False,
            **({"dtick": 1} if last < 8 else {}),
        }
        layout[f"yaxis{axis}"] = {
            "domain": [0.58, 0.96] if row == 0 else [0.0, 0.38],
            "anchor": f"x{axis}",
            "zeroline": False,
        }
        if column == "dead":
            layout[f"yaxis{axis}"] |= {"tickformat": ".0%", "rangemode": "tozero"}
        if column == "gradient_norm":
            layout[f"yaxis{axis}"] |= {"type": "log"}
    return layout


def _heading(place: int) -> dict[str, Any]:
    axis = "" if place == 0 else str(place + 1)
    return {
        "text": PANELS[place][1],
        "x": 0,
        "y": 1,
        "xref": f"x{axis} domain",
        "yref": f"y{axis} domain",
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
    }


def _finding(tables: Tables, groups: pd.Series, setting: str) -> str:
    """What becomes of gradients on their way back, and where most units are dead."""
    ratios, shares = {}, {}
    for level in groups.dropna().unique():
        chosen = (groups == level).to_numpy(dtype=bool, na_value=False)
        gradients = tables["gradient_norm"][chosen].median().dropna()
        if len(gradients) > 1 and gradients.iloc[-1] > 0.0:
            ratios[str(level)] = float(gradients.iloc[0] / gradients.iloc[-1])
        shares[str(level)] = tables["dead"][chosen].median().dropna()
    split = "" if setting == ALL else f" by {setting.replace('_', ' ')}"
    said = [_changes(ratios), _deaths(shares)]
    return f"{plural(len(groups), 'trained network')}{split}: {'; '.join(filter(None, said))}."


def _changes(ratios: Mapping[str, float]) -> str:
    """The two ends of what happens to gradients, by level."""
    if not ratios:
        return ""
    ends = list(
        dict.fromkeys([min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)])
    )
    said = [_fold(ratios[level]) + (f" with {level}" if len(ratios) > 1 else "") for level in ends]
    return (
        f"back from the last hidden layer to the first, the gradient {' and '.join(said)} "
        f"({'medians' if len(said) > 1 else 'median'})"
    )


def _fold(ratio: float) -> str:
    if ratio == 0.0:
        return "vanishes"
    fold = max(ratio, 1.0 / ratio)
    if fold < EQUAL:
        return "keeps its norm"
    number = f"{fold:.1f}" if fold < 10 else f"{fold:,.0f}" if fold < 1e6 else f"{fold:.0e}"
    return f"{'grows' if ratio > 1.0 else 'shrinks'} {number}-fold"


def _deaths(shares: Mapping[str, pd.Series]) -> str:
    most = {level: share.max() for level, share in shares.items() if len(share)}
    if not most or max(most.values()) == 0.0:
        return "no unit is dead in the median network"
    worst = max(most, key=most.__getitem__)
    with_what = f" with {worst}" if len(shares) > 1 else ""
    return f"most units are dead{with_what}, {most[worst]:.0%} of layer {shares[worst].idxmax()}"
