"""Several studies as rows: what their trials reached, and how they differ from the first one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.report.figures.style import (
    Chart,
    empty,
    numbers,
    palette,
    rows_axis,
    study_symbol,
    styled,
)
from sweep.report.frames import StudyFrames, visible_range
from sweep.report.text import escaped, metric

ROW_PIXELS = 26
METHODS = {
    "all": "all trials",
    "matched": "same settings",
    "adjusted": "other settings held fixed",
}


def studies_chart(
    studies: Sequence[StudyFrames], places: Sequence[int], summary: pd.DataFrame
) -> Chart:
    """Median, middle half and best of every study.

    Args:
        studies: All studies that are shown together: their places are their colours.
        places: Those whose values may be compared, which are drawn.
        summary: The `studies_summary` of all.
    """
    first = studies[places[0]]
    name = metric(first.metrics[0])
    key, title = f"studies-{places[0]}", f"{name.capitalize()} by study"
    places = [place for place in places if len(studies[place].valued)]
    if not places:
        return Chart(key, empty(studies, title, "No trial has ended yet"), "No trial yet.")
    traces: list[Any] = []
    for row, place in enumerate(places):
        traces += _row(summary.iloc[place], row, place)
    shown = summary.iloc[places]
    low, high = visible_range(pd.concat([studies[place].valued for place in places]))
    names = [
        f"{escaped(study)} ({count})"
        for study, count in zip(
            shown["study"], (len(studies[place].valued) for place in places), strict=True
        )
    ]
    figure = styled(
        [studies[place] for place in places],
        traces,
        title,
        "bar: middle half of all trials, mark: median, star: best",
        showlegend=False,
        height=170 + ROW_PIXELS * len(places),
        xaxis={"title": {"text": name}, "range": _range(shown, low, high)},
        yaxis=rows_axis(names),
    )
    best = shown.dropna(subset=["best_value"])
    if best.empty:
        return Chart(key, figure, f"{name.capitalize()} of all trials; none has completed.")
    winner = best.sort_values("best_value", ascending=not first.maximize).iloc[0]
    text = (
        f"The best {name}, {winner['best_value']:.4f}, was reached by trial "
        f"{winner['best_number']:.0f} of {winner['study']}"
        + ("; a best value favours the study with more trials." if len(places) > 1 else ".")
    )
    return Chart(key, figure, text)


def _row(study: pd.Series, row: int, place: int) -> list[go.Scatter]:
    colour = palette(place)
    middle = go.Scatter(
        x=numbers(study[["lower", "upper"]]),
        y=[row, row],
        mode="lines",
        line={"color": colour, "width": 6},
        opacity=0.45,
        hoverinfo="skip",
    )
    marks = go.Scatter(
        x=numbers(study[["median", "best_value"]]),
        y=[row, row],
        mode="markers",
        marker={
            "color": colour,
            "size": [10, 13],
            "symbol": [study_symbol(place), "star"],
        },
        customdata=["median", "best"],
        hovertemplate=f"{escaped(study['study'])}: %{{customdata}} %{{x:.4g}}<extra></extra>",
    )
    return [middle, marks]


def _range(shown: pd.DataFrame, low: float, high: float) -> list[float]:
    """All that is drawn, without the wild values of diverged trials."""
    drawn = shown[["lower", "median", "upper", "best_value"]].to_numpy(dtype=float)
    ends = np.nanmin(drawn), np.nanmax(drawn)
    low, high = max(low, float(ends[0])), min(high, float(ends[1]))
    room = 0.08 * (high - low) or 0.05
    return [low - room, high + room]


def differences_chart(studies: Sequence[StudyFrames], contrasts: pd.DataFrame) -> Chart:
    """How far each further study is from the first one, with intervals where there are some.

    Args:
        studies: The studies.
        contrasts: Their `study_contrasts`.
    """
    first = studies[0]
    key, title = "differences", "Difference from the first"
    known = contrasts[contrasts["difference"].notna()]
    if known.empty:
        said = contrasts["sentence"].iloc[0] if len(contrasts) else "There is one study only."
        return Chart(key, empty(studies, title, "There is nothing to compare"), said)
    ticks: list[str] = []
    traces = []
    for place, frames in enumerate(studies):
        rows = known[known["other"] == frames.study]
        if rows.empty:
            continue
        ticks.append(f"<b>{escaped(frames.study)}</b>")
        places = [len(ticks) + i for i in range(len(rows))]
        ticks += [METHODS[method] for method in rows["method"]]
        traces += _marks(rows.assign(place=places), place)
    better = "right" if first.maximize else "left"
    name = metric(first.metrics[0])
    figure = styled(
        studies,
        traces,
        title,
        f"{name} − that of {escaped(first.study)}, 95\u00a0%<br>hollow: may be chance",
        showlegend=False,
        height=170 + ROW_PIXELS * len(ticks),
        xaxis={
            "title": {"text": f"difference ({better} is better)"},
            "zeroline": True,
            "zerolinewidth": 2,
        },
        yaxis=rows_axis(ticks),
    )
    clear = known[known["clear"]]
    text = (
        " ".join(clear["sentence"])
        if len(clear)
        else f"No difference in {name} from {first.study} is told apart from chance."
    )
    return Chart(key, figure, text)


def _marks(rows: pd.DataFrame, place: int) -> list[go.Scatter]:
    """The differences of one study; those without an interval apart, or they would have caps."""
    symbol = study_symbol(place)
    is_known = rows["low"].notna()
    traces = []
    for some in (rows[is_known], rows[~is_known]):
        if some.empty:
            continue
        error = {
            "array": numbers(some["high"] - some["difference"]),
            "thickness": 1.5,
            "width": 4,
            "color": palette(place),
        }
        trace = go.Scatter(
            x=numbers(some["difference"]),
            y=some["place"].tolist(),
            error_x=error if some["low"].notna().all() else None,
            mode="markers",
            marker={
                "size": 10,
                "color": palette(place),
                "symbol": [symbol if sure else f"{symbol}-open" for sure in some["clear"]],
            },
            customdata=some[["first_count", "other_count"]].to_numpy(int).tolist(),
            hovertemplate="%{x:+.4g}, %{customdata[0]} and %{customdata[1]} trials<extra></extra>",
        )
        traces.append(trace)
    return traces
