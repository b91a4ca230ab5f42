"""Effects of settings in two studies, side by side."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.studies.agreement import SIDES
from sweep.report.figures.style import (
    Chart,
    empty,
    numbers,
    palette,
    rows_axis,
    study_symbol,
    styled,
)
from sweep.report.frames import StudyFrames
from sweep.report.text import escaped, metric, plural

MOST_SETTINGS = 8
ROW_PIXELS = 30
APART = 0.17
# The picture ends at so many times the largest effect: a few wide intervals would shrink the rest.
WIDEST = 1.6


def agreement(
    studies: Sequence[StudyFrames], places: tuple[int, int], effects: pd.DataFrame
) -> Chart:
    """What each value did in either of two studies, with intervals.

    Args:
        studies: All studies that are shown together: their places are their colours.
        places: The two.
        effects: Their `effects_by_study`.
    """
    pair = [studies[place] for place in places]
    names = [frames.study for frames in pair]
    key, title = f"agreement-{places[1]}", "Same effects in both?"
    if effects.empty:
        reason = "No setting has two values that both studies tried often enough"
        return Chart(key, empty(pair, title, reason), f"{' and '.join(names)}: {reason}.")
    settings = list(dict.fromkeys(effects["setting"]))
    chosen = effects[effects["setting"].isin(settings[:MOST_SETTINGS])]
    ticks: list[str] = []
    rows: list[int] = []
    for setting, some in chosen.groupby("setting", sort=False):
        ticks.append(f"<b>{str(setting).replace('_', ' ')}</b>")
        for level, against, verdict in zip(
            some["level"], some["against"], some["verdict"], strict=True
        ):
            rows.append(len(ticks))
            versus = f" against {against}" if against else ""
            differs = " <b>≠</b>" if verdict == "differs" else ""
            ticks.append(f"{level}{versus}{differs}")
    middles = [f"{side}_effect" for side in SIDES]
    edge = WIDEST * float(chosen[middles].abs().to_numpy().max()) or 1.0
    ends = [f"{side}_{end}" for side in SIDES for end in ("low", "high")]
    left_out = len(settings) - MOST_SETTINGS
    notes = [f"{plural(left_out, 'weaker setting')} left out"] if left_out > 0 else []
    if (chosen[ends].abs() > edge).any(axis=None):
        notes.append("wide intervals cut")
    better = "right" if pair[0].maximize else "left"
    figure = styled(
        pair,
        [
            _effects(chosen, side, frames.study, place, [row + shift for row in rows])
            for side, frames, place, shift in zip(
                SIDES, pair, places, (-APART, APART), strict=True
            )
        ],
        title,
        f"effect on {metric(pair[0].metrics[0])}, 95\u00a0%; ≠: differs beyond chance"
        + ("<br>" + ", ".join(notes) if notes else ""),
        height=190 + ROW_PIXELS * len(ticks),
        xaxis={
            "title": {"text": f"difference ({better} is better)"},
            "range": [-edge, edge],
            "zeroline": True,
            "zerolinewidth": 2,
        },
        yaxis=rows_axis(ticks),
    )
    return Chart(key, figure, _text(names, effects))


def _effects(
    chosen: pd.DataFrame, side: str, study: str, place: int, rows: list[float]
) -> go.Scatter:
    effect, high = chosen[f"{side}_effect"], chosen[f"{side}_high"]
    return go.Scatter(
        x=numbers(effect),
        y=rows,
        error_x={
            "array": numbers(high - effect),
            "thickness": 1.5,
            "width": 3,
            "color": palette(place),
        },
        mode="markers",
        marker={"size": 9, "color": palette(place), "symbol": study_symbol(place)},
        name=escaped(study),
        customdata=chosen[f"{side}_count"].tolist(),
        hovertemplate="%{x:+.4g} with %{customdata} trials<extra>%{fullData.name}</extra>",
    )


def _text(names: Sequence[str], effects: pd.DataFrame) -> str:
    verdicts = effects["verdict"].value_counts()
    counted = (
        f"Of {plural(len(effects), 'effect')} in both {' and '.join(names)}, "
        f"{verdicts.get('agrees', 0)} agree, {verdicts.get('differs', 0)} differ beyond chance, "
        f"and of {verdicts.get('unclear', 0)} these data cannot say."
    )
    differing = effects[effects["verdict"] == "differs"]
    said = "" if differing.empty else f" {_capital(differing['sentence'].iloc[0])}"
    return counted + said


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
