"""All settings at once: effects, importances, parallel coordinates."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pandas as pd
import plotly.graph_objects as go
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from sweep.report.effects import MOST_LEVELS, effects, levels
from sweep.report.frames import StudyFrames, active_values, visible_range
from sweep.report.style import (
    BLUE,
    GREY,
    ORANGE,
    SKY,
    VERMILLION,
    Chart,
    empty,
    escaped,
    jitter,
    label,
    metric,
    numbers,
    plural,
    styled,
)
from sweep.trial import FIELDS

MOST_SETTINGS = 12
MOST_AXES = 8
MOST_LINES = 500
LEAST_TRIALS = 8
# Intervals from fewer trials are drawn, but not put into words.
LEAST_SAID = 5
# PED-ANOVA asks what the best trials have in common; fewer than five say nothing.
LEAST_TOP_TRIALS = 5
ROW_PIXELS = 21
INACTIVE = -0.12
FIFTHS = (
    ("best fifth", BLUE, 0.9),
    ("second", SKY, 0.6),
    ("third", GREY, 0.45),
    ("fourth", ORANGE, 0.45),
    ("worst fifth", VERMILLION, 0.45),
)


def effects_chart(frames: StudyFrames) -> Chart:
    """The marginal effect of every value of the settings that mattered most, with intervals."""
    key, title = "effects", "Effect of each setting"
    table = effects(frames)
    if table.empty:
        reason = "No setting varies between the trials that have ended"
        return Chart(key, empty(frames, title, reason), reason + ".")
    settings = list(dict.fromkeys(table["setting"]))
    chosen = table[table["setting"].isin(settings[:MOST_SETTINGS])]
    ticks: list[str] = []
    places: list[int] = []
    for setting, rows in chosen.groupby("setting", sort=False):
        ticks.append(f"<b>{setting}</b>")
        for level, count in zip(rows["level"], rows["count"], strict=True):
            places.append(len(ticks))
            ticks.append(f"{level}  (n={count})")
    name = metric(frames.metrics[0])
    known = chosen["low"].notna()
    trace = go.Scatter(
        x=numbers(chosen["effect"]),
        y=places,
        error_x={
            "array": numbers((chosen["high"] - chosen["effect"]).fillna(0.0)),
            "thickness": 1.5,
            "width": 3,
            "color": BLUE,
        },
        mode="markers",
        marker={
            "size": 9,
            "color": BLUE,
            "symbol": ["circle" if sure else "circle-open" for sure in known],
        },
        customdata=[
            [int(row.count_), int(row.others), int(row.diverged), int(row.pruned)]
            for row in chosen.rename(columns={"count": "count_"}).itertuples()
        ],
        hovertemplate="%{x:+.4g} with %{customdata[0]} trials, %{customdata[2]} diverged, "
        "%{customdata[3]} pruned,<br>against %{customdata[1]} others<extra></extra>",
    )
    left_out = len(settings) - MOST_SETTINGS
    better = "right" if frames.maximize else "left"
    figure = styled(
        frames,
        [trace],
        title,
        "mean with the value − mean without it; 95 % interval (Welch)"
        + (f"; {left_out} weaker settings left out" if left_out > 0 else ""),
        height=170 + ROW_PIXELS * len(ticks),
        xaxis={
            "title": {"text": f"difference in {name} ({better} is better)"},
            "zeroline": True,
            "zerolinewidth": 2,
        },
        yaxis={
            "tickvals": list(range(len(ticks))),
            "ticktext": ticks,
            "range": [len(ticks) - 0.5, -0.5],
            "showgrid": False,
            "zeroline": False,
            "ticks": "",
            "tickfont": {"size": 11},
        },
    )
    return Chart(key, figure, _effects_text(frames, chosen, name))


def _effects_text(frames: StudyFrames, table: pd.DataFrame, name: str) -> str:
    enough = table[(table["count"] >= LEAST_SAID) & (table["others"] >= LEAST_SAID)]
    clear = enough[(enough["low"] > 0) | (enough["high"] < 0)]
    counts = frames.valued["outcome"].value_counts()
    counted = (
        f"over {plural(len(frames.valued), 'trial')}, {counts.get('diverged', 0)} diverged ones "
        f"with their worst value and {counts.get('pruned', 0)} pruned ones with their last"
    )
    if clear.empty:
        return f"No value with {LEAST_SAID} trials has an interval that leaves zero ({counted})."
    row = clear.loc[clear["effect"].abs().idxmax()]
    return (
        f"The largest difference whose interval leaves zero: {row['setting']} {row['level']}, "
        f"{row['effect']:+.3g} in mean {name} ({counted}); the sampler chose these trials, so "
        f"this is no proof of cause."
    )


def importances(study: optuna.Study) -> Mapping[str, float]:
    """Importance of each parameter by PED-ANOVA, summing to 1; empty if it cannot be told.

    The share of trials called good is 10 %, or more where that would be fewer than five trials.
    """
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(complete) < LEAST_TRIALS or len({tuple(trial.values) for trial in complete}) == 1:
        return {}
    share = max(0.1, LEAST_TOP_TRIALS / len(complete))
    with warnings.catch_warnings():
        # Optuna warns of rare values of conditional parameters, which are counted as they are,
        # and of ties, where as many trials as possible are called good.
        warnings.filterwarnings("ignore", message="Some regimes for parameter")
        warnings.filterwarnings("ignore", message="Target and region quantiles select the same")
        return get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(target_quantile=share)
        )


def importance_chart(frames: StudyFrames, found: Mapping[str, float]) -> Chart:
    """Bars of `importances`."""
    key, title = "importances", "Importance of each parameter"
    if not found:
        reason = f"Needs {LEAST_TRIALS} complete trials that differ"
        return Chart(key, empty(frames, title, reason), reason + ".")
    shown = sorted(found.items(), key=lambda item: item[1], reverse=True)[:15]
    names, shares = [escaped(name) for name, _ in shown], [share for _, share in shown]
    trace = go.Bar(
        x=shares,
        y=names,
        orientation="h",
        marker={"color": BLUE},
        text=[f"{share:.0%}" for share in shares],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )
    figure = styled(
        frames,
        [trace],
        title,
        "PED-ANOVA: what sets the best trials apart",
        xaxis={"tickformat": ".0%", "title": {"text": "share"}, "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "showgrid": False, "type": "category"},
        margin={"r": 50},
        height=max(320, 160 + 26 * len(names)),
    )
    text = f"By PED-ANOVA, {names[0]} sets the best trials apart most ({shares[0]:.0%})."
    return Chart(key, figure, text)


def parallel_coordinates(frames: StudyFrames) -> Chart:
    """A line for each trial across the settings that mattered most, coloured by fifths.

    Drawn with plain lines: Plotly's own trace needs WebGL, which machines without a graphics
    processor may lack.
    """
    key, title = "parallel", "Parallel coordinates"
    trials = frames.valued
    table = effects(frames)
    settings = list(dict.fromkeys(table["setting"]))[:MOST_AXES]
    if not settings:
        reason = "No setting varies between the trials that have ended"
        return Chart(key, empty(frames, title, reason), reason + ".")
    return _parallel(frames, trials, settings)


def _parallel(frames: StudyFrames, trials: pd.DataFrame, settings: list[str]) -> Chart:
    name = metric(frames.metrics[0])
    drawn = trials.sort_values("value", ascending=not frames.maximize, kind="stable")
    drawn = drawn.head(MOST_LINES)
    axes = [_axis(drawn, setting) for setting in settings]
    low, high = visible_range(drawn)
    value = (drawn["value"].clip(low, high) - low) / (high - low)
    axes.append((value, [(i / 4, label(low + (high - low) * i / 4)) for i in range(5)]))
    heights = np.column_stack([height.to_numpy(dtype=float) for height, _ in axes])
    fifths = np.minimum(np.arange(len(drawn)) * len(FIFTHS) // len(drawn), len(FIFTHS) - 1)
    traces = [
        _lines(heights[fifths == index], drawn["number"][fifths == index], index)
        for index in reversed(range(len(FIFTHS)))
        if (fifths == index).any()
    ]
    annotations = [
        {
            "x": place,
            "y": height,
            "text": text,
            "showarrow": False,
            "xanchor": "right" if place == len(settings) else "left",
            "xshift": -4 if place == len(settings) else 4,
            "font": {"size": 10},
        }
        for place, (_, ticks) in enumerate(axes)
        for height, text in ticks
    ]
    figure = styled(
        frames,
        traces,
        "Parallel coordinates",
        f"{plural(len(drawn), 'trial')}; click or double-click a fifth in the legend to choose",
        xaxis={
            "tickvals": list(range(len(axes))),
            "ticktext": [s.replace("_", "<br>") for s in settings] + [name.replace(" ", "<br>")],
            "range": [-0.1, len(settings) + 0.1],
            "showgrid": True,
            "gridwidth": 2,
            "zeroline": False,
            "showline": False,
            "tickangle": 0,
        },
        yaxis={"visible": False, "range": [-0.18, 1.05]},
        annotations=annotations,
        height=520,
        legend={"traceorder": "reversed"},
    )
    text = (
        f"Each of {plural(len(drawn), 'line')} is a trial, from {settings[0]} on the left to its "
        f"{name} on the right; the best fifth is blue, the worst vermillion, and what has no "
        f"effect in a trial lies at the bottom."
    )
    return Chart("parallel", figure, text)


def _lines(heights: np.ndarray[Any, Any], trials: pd.Series, index: int) -> go.Scatter:
    """All lines of one fifth as one trace, with gaps between them."""
    count, axes = heights.shape
    y = np.hstack([heights, np.full((count, 1), np.nan)]).ravel()
    hover = [f"trial {number}" for number in trials for _ in range(axes + 1)]
    name, colour, opacity = FIFTHS[index]
    return go.Scatter(
        x=([*range(axes), None]) * count,
        y=numbers(pd.Series(y)),
        text=hover,
        mode="lines",
        line={"color": colour, "width": 2 if index == 0 else 1},
        opacity=opacity,
        name=f"{name} ({count})",
        hovertemplate="%{text}<extra></extra>",
    )


def _axis(trials: pd.DataFrame, name: str) -> tuple[pd.Series, list[tuple[float, str]]]:
    """Heights in [0, 1] of a setting's values, and labels by height; inactive ones lie below."""
    values = active_values(trials, name)
    known = values.dropna()
    if FIELDS[name].type in (int, float) and known.nunique() > MOST_LEVELS:
        amount = known.astype(float)
        log = bool(amount.min() > 0 and amount.max() / amount.min() > 30)
        scaled = np.log(amount) if log else amount
        low, high = float(scaled.min()), float(scaled.max())
        height = (scaled - low) / (high - low)
        steps = [low + (high - low) * i / 4 for i in range(5)]
        ticks = [(i / 4, label(math.exp(step) if log else step)) for i, step in enumerate(steps)]
    else:
        group = levels(trials, name).dropna().cat.remove_unused_categories()
        last = max(len(group.cat.categories) - 1, 1)
        spread = 0.5 / (len(group.cat.categories) + 1)
        height = group.cat.codes / last + jitter(trials["number"].loc[group.index]) * spread / 2
        ticks = [(i / last, text) for i, text in enumerate(group.cat.categories)]
    if len(known) < len(values):
        ticks.append((INACTIVE, "no effect"))
    return height.reindex(values.index).fillna(INACTIVE), ticks
