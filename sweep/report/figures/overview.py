"""All settings at once: effects and importances."""

import warnings
from collections.abc import Mapping

import optuna
import pandas as pd
import plotly.graph_objects as go
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from sweep.report.analysis.effects import effects
from sweep.report.figures.style import (
    BLUE,
    Chart,
    empty,
    numbers,
    styled,
)
from sweep.report.frames import StudyFrames
from sweep.report.text import escaped, metric, plural

MOST_SETTINGS = 12
LEAST_TRIALS = 8
# PED-ANOVA asks what the best trials have in common; fewer than five say nothing.
LEAST_TOP_TRIALS = 5
ROW_PIXELS = 21
# The picture ends at so many times the largest effect: a few wide intervals would shrink the rest.
WIDEST = 1.6


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
        ticks.append(f"<b>{setting}</b>: {rows['explained'].iloc[0]:.0%}")
        for level, count in zip(rows["level"], rows["count"], strict=True):
            places.append(len(ticks))
            ticks.append(f"{level}  (n={count})")
    name = metric(frames.metrics[0])
    trace = _intervals(chosen, places)
    left_out = len(settings) - MOST_SETTINGS
    better = "right" if frames.maximize else "left"
    edge = WIDEST * float(chosen["effect"].abs().max()) or 1.0
    notes = [f"{left_out} weaker settings left out"] if left_out > 0 else []
    if (chosen[["low", "high"]].abs() > edge).any(axis=None):
        notes.append("wide intervals cut")
    figure = styled(
        frames,
        [trace],
        title,
        f"{name} with the value − mean of the others, 95 %, hollow: may be chance"
        + ("<br>" + ", ".join(notes) if notes else ""),
        height=170 + ROW_PIXELS * len(ticks),
        xaxis={
            "title": {"text": f"difference ({better} is better)"},
            "range": [-edge, edge],
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


def _intervals(chosen: pd.DataFrame, places: list[int]) -> go.Scatter:
    """Effects with their intervals; hollow where it may be chance."""
    known = chosen["clear"]
    return go.Scatter(
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
        customdata=chosen[["count", "others", "diverged", "pruned"]].to_numpy(int).tolist(),
        hovertemplate="%{x:+.4g} with %{customdata[0]} trials, %{customdata[2]} diverged, "
        "%{customdata[3]} pruned,<br>against %{customdata[1]} others<extra></extra>",
    )


def _effects_text(frames: StudyFrames, table: pd.DataFrame, name: str) -> str:
    clear = table[table["clear"]]
    counts = frames.valued["outcome"].value_counts()
    counted = (
        f"over {plural(len(frames.valued), 'trial')}, {counts.get('diverged', 0)} diverged ones "
        f"with their worst value and {counts.get('pruned', 0)} pruned ones with what they might "
        "have reached; percentages are the variance explained"
    )
    if clear.empty:
        return f"No value's effect on {name} is told apart from chance ({counted})."
    row = clear.iloc[int(clear["effect"].abs().argmax())]
    return f"The largest effect on {name} beyond chance: {row['sentence']} ({counted})."


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
