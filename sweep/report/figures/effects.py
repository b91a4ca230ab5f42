"""The effects of all settings at once."""

import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.effects import effects
from sweep.report.figures.points import nothing_varied
from sweep.report.figures.style import (
    BLUE,
    Chart,
    empty,
    numbers,
    styled,
)
from sweep.report.frames import StudyFrames
from sweep.report.text import metric, plural

MOST_SETTINGS = 12
ROW_PIXELS = 21
# The picture ends at so many times the largest effect: a few wide intervals would shrink the rest.
WIDEST = 1.6


def effects_chart(frames: StudyFrames) -> Chart:
    """The marginal effect of every value of the settings that mattered most, with intervals."""
    key, title = "effects", "Effect of each setting"
    table = effects(frames)
    if table["effect"].isna().all():
        reason = nothing_varied(frames)
        return Chart(key, empty(frames, title, reason), reason + ".")
    settings = list(dict.fromkeys(table["setting"]))
    chosen = table[table["setting"].isin(settings[:MOST_SETTINGS])]
    ticks: list[str] = []
    places: list[int] = []
    for setting, rows in chosen.groupby("setting", sort=False):
        ticks.append(f"<b>{str(setting).replace('_', ' ')}</b>: {rows['explained'].iloc[0]:.0%}")
        for level, count in zip(rows["level"], rows["count"], strict=True):
            places.append(len(ticks))
            ticks.append(f"{level}  (n={count})")
    name = metric(frames.metrics[0])
    trace = _intervals(chosen, places)
    left_out = len(settings) - MOST_SETTINGS
    better = "right" if frames.maximize else "left"
    edge = WIDEST * float(chosen["effect"].abs().max()) or 1.0
    notes = ["bold: share of the variance explained"]
    if left_out > 0:
        notes.append(f"{plural(left_out, 'weaker setting')} left out")
    if (chosen[["low", "high"]].abs() > edge).any(axis=None):
        notes.append("wide intervals cut")
    figure = styled(
        frames,
        [trace],
        title,
        f"{name} with the value − mean of the others, 95 %, hollow: may be chance<br>"
        + ", ".join(notes),
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
