"""How much each setting matters, by two methods."""

from typing import Final

import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.importances import LEAST_TRIALS, importances_frame
from sweep.report.figures.style import BLUE, VERMILLION, Chart, empty, numbers, styled
from sweep.report.frames import StudyFrames
from sweep.report.text import plural

MOST_SETTINGS: Final = 12
ROW_PIXELS: Final = 30
# Name for people, colour, symbol, and where in its row a method stands.
_LOOKS: Final = {
    "ped-anova": ("PED-ANOVA", BLUE, "circle", -0.17),
    "fanova": ("fANOVA", VERMILLION, "diamond", 0.17),
}


def importance_chart(frames: StudyFrames) -> Chart:
    """Importances of the settings that matter most, with their intervals."""
    key, title = "importances", "Importance of each setting"
    table = importances_frame(frames)
    if table.empty:
        reason = f"Needs {LEAST_TRIALS} ended trials that differ in a setting and in their value"
        return Chart(key, empty(frames, title, reason), reason + ".")
    means = table.groupby("setting")["importance"].mean()
    settings = means.sort_values(ascending=False, kind="stable").index.tolist()
    shown = settings[:MOST_SETTINGS]
    figure = styled(
        frames,
        [
            _marks(rows[rows["setting"].isin(shown)], str(method), shown)
            for method, rows in table.groupby("method", sort=False)
        ],
        title,
        _note(table, len(frames.valued), len(settings) - len(shown)),
        xaxis={
            "title": {"text": "share of all importance"},
            "tickformat": ".0%",
            "rangemode": "tozero",
        },
        yaxis={
            "tickvals": list(range(len(shown))),
            "ticktext": [name.replace("_", " ") for name in shown],
            "range": [len(shown) - 0.5, -0.5],
            "showgrid": False,
            "zeroline": False,
            "ticks": "",
        },
        height=190 + ROW_PIXELS * len(shown),
    )
    return Chart(key, figure, _text(table))


def _marks(rows: pd.DataFrame, method: str, shown: list[str]) -> go.Scatter:
    """Importances with their intervals, hollow where chance gives as much."""
    name, colour, symbol, offset = _LOOKS[method]
    importance = rows["importance"]
    return go.Scatter(
        x=numbers(importance),
        y=[shown.index(setting) + offset for setting in rows["setting"]],
        error_x={
            "array": numbers(rows["high"] - importance),
            "arrayminus": numbers(importance - rows["low"]),
            "thickness": 1.5,
            "width": 3,
            "color": colour,
        },
        mode="markers",
        marker={
            "size": 9,
            "color": colour,
            "symbol": [symbol if clear else f"{symbol}-open" for clear in rows["clear"]],
        },
        name=name,
        customdata=[
            [setting.replace("_", " "), low, high, chance]
            for setting, low, high, chance in zip(
                rows["setting"],
                numbers(rows["low"]),
                numbers(rows["high"]),
                numbers(rows["by_chance"]),
                strict=True,
            )
        ],
        hovertemplate="%{customdata[0]}: %{x:.1%} [%{customdata[1]:.1%}, %{customdata[2]:.1%}]"
        "<br>by chance up to %{customdata[3]:.1%}<extra>%{fullData.name}</extra>",
    )


def _note(table: pd.DataFrame, valued: int, left_out: int) -> str:
    """What is drawn, from how many trials, and what is not."""
    used = table.groupby("method", sort=False)["trials"].first()
    parts = [
        f"{_LOOKS[str(method)][0]} from {count:,} of {valued:,} trials drawn at random"
        for method, count in used.items()
        if count < valued
    ]
    if left_out > 0:
        parts.append(f"{plural(left_out, 'weaker setting')} left out")
    return "95\u00a0% intervals by bootstrap; hollow: no more than by chance" + "".join(
        f"<br>{part}" for part in parts
    )


def _text(table: pd.DataFrame) -> str:
    questions = {
        "ped-anova": "what sets the best trials apart, by PED-ANOVA",
        "fanova": "what the objective varies with over the space, by fANOVA",
    }
    said = []
    for method, question in questions.items():
        first = table[table["method"] == method].iloc[0]
        doubt = "" if first["clear"] else ", no more than by chance"
        said.append(
            f"{question}: {first['setting'].replace('_', ' ')}, {first['importance']:.0%} "
            f"[{first['low']:.0%}, {first['high']:.0%}]{doubt}"
        )
    return f"Most important for {said[0]}; for {said[1]}."
