"""The best configurations in order, with what is known of each."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from sweep.report.analysis.ranking import Lead, Ranking, lead, ranking
from sweep.report.figures.points import nothing_complete
from sweep.report.figures.style import (
    BLUE,
    VERMILLION,
    Chart,
    empty,
    numbers,
    padded,
    styled,
)
from sweep.report.frames import StudyFrames, active_values
from sweep.report.text import label, metric, plural
from sweep.trial import FIELDS

MOST_RANKED = 20
# So long is a label on a telephone.
LABEL_CHARACTERS = 52
ROW_PIXELS = 34
# What says nothing without its setting's name.
_BARE = (
    "none",
    "constant",
    "zeros",
    "before",
    "after",
    "all",
    "last",
    "unit",
    "feature",
    "channel",
)
_HALF = 0.5


def rank(frames: StudyFrames, settings: Sequence[str] = ()) -> Chart:
    """The best configurations by the first objective, with intervals over their seeds.

    Args:
        frames: The study.
        settings: Names of settings, the most telling first; labels name those that differ.
    """
    key, title = "rank", "Best configurations"
    found = ranking(frames)
    if found.table.empty:
        reason = nothing_complete(frames)
        return Chart(key, empty(frames, title, reason), reason + ".")
    top = found.table.head(MOST_RANKED)
    firsts = top["trials"].map(min)
    trials = frames.trials.set_index("number", drop=False).loc[firsts]
    order = list(dict.fromkeys([*settings, *frames.varied]))
    values = {name: active_values(trials, name) for name in order}
    shown = pd.DataFrame(values, index=trials.index)
    differ = [name for name in order if shown[name].nunique(dropna=False) > 1]
    rows = [
        [_setting(name, row[name]) for name in differ if pd.notna(row[name])]
        for row in shown.to_dict("records")
    ]
    edges, is_cut = _edges(top)
    figure = styled(
        frames,
        _traces(top, rows, edges),
        title,
        _note(found, is_cut=is_cut),
        height=200 + ROW_PIXELS * len(top),
        xaxis={"title": {"text": metric(frames.metrics[0])}, "range": edges, "zeroline": False},
        yaxis={
            "tickvals": list(range(1, len(top) + 1)),
            "range": [len(top) + _HALF, _HALF],
            "zeroline": False,
            "ticks": "",
            "title": {"text": "rank"},
        },
        annotations=_labels(top, rows),
    )
    return Chart(key, figure, _text(frames, found))


def _traces(top: pd.DataFrame, rows: Sequence[Sequence[str]], edges: list[float]) -> list[object]:
    places = pd.Series(range(1, len(top) + 1), index=top.index)
    hover = [
        [_trials(trials), "<br>".join(", ".join(row[i : i + 4]) for i in range(0, len(row), 4))]
        for trials, row in zip(top["trials"], rows, strict=True)
    ]
    several = (top["count"] > 1).to_numpy()
    traces = []
    for chosen, name, symbol, bars in (
        (several, "mean over seeds, 95 %", "circle", True),
        (~several, "one seed, unconfirmed", "circle-open", False),
    ):
        if not chosen.any():
            continue
        part = top[chosen]
        # Longer than the axis, an error bar is cut by it; far longer, it is drawn wrongly.
        half = (part["high"] - part["mean"]).clip(upper=2 * (edges[1] - edges[0]))
        traces.append(
            go.Scatter(
                x=numbers(part["mean"]),
                y=places[chosen].tolist(),
                error_x={"array": numbers(half), "thickness": 1.5, "width": 4} if bars else None,
                mode="markers",
                marker={
                    "color": BLUE,
                    "symbol": symbol,
                    "size": 10,
                    "line": {"width": 2, "color": BLUE},
                },
                customdata=[row for row, keep in zip(hover, chosen, strict=True) if keep],
                name=name,
                hovertemplate="%{x:.4f}, %{customdata[0]}<br>%{customdata[1]}<extra></extra>",
            )
        )
    if top["expected"].notna().any():
        traces.append(
            go.Scatter(
                x=numbers(top["expected"]),
                y=places.tolist(),
                mode="markers",
                marker={"color": VERMILLION, "symbol": "diamond", "size": 8},
                name="expected on a fresh seed",
                hovertemplate="%{x:.4f} expected on a fresh seed<extra></extra>",
            )
        )
    return traces


def _labels(top: pd.DataFrame, rows: Sequence[Sequence[str]]) -> list[dict[str, object]]:
    """A line above each row: the trials, and as many settings as fit."""
    labels = []
    for place, (trials, row) in enumerate(zip(top["trials"], rows, strict=True), start=1):
        head = f"trial {min(trials)}" + (f", {len(trials)} seeds" if len(trials) > 1 else "")
        text = ""
        for setting in row:
            longer = f"{text}, {setting}" if text else setting
            if len(head) + len(longer) > LABEL_CHARACTERS:
                break
            text = longer
        labels.append(
            {
                "text": f"<b>{head}</b> {text}",
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "y": place,
                "yshift": ROW_PIXELS * 0.36,
                "showarrow": False,
                "font": {"size": 10},
                "borderpad": 0,
            }
        )
    return labels


def _setting(name: str, value: object) -> str:
    """A setting without its name where the value says it."""
    words = name.replace("_", " ")
    if FIELDS[name].type is str and value not in _BARE:
        return label(value)
    return f"{words} {label(value)}"


def _trials(numbers_of: Sequence[int]) -> str:
    first = ", ".join(str(number) for number in numbers_of[:3])
    more = f" and {len(numbers_of) - 3} more" if len(numbers_of) > 3 else ""
    return f"trial{'s' if len(numbers_of) > 1 else ''} {first}{more}"


def _edges(top: pd.DataFrame) -> tuple[list[float], bool]:
    """The axis: all points, and the intervals of three seeds or more; whether one is cut."""
    known = top[top["count"] > 2]
    ends = pd.concat([top["mean"], top["expected"], known["low"], known["high"]]).dropna()
    low, high = padded(float(ends.min()), float(ends.max()))
    return [low, high], bool((top["low"] < low).any() or (top["high"] > high).any())


def _note(found: Ranking, *, is_cut: bool) -> str:
    table = found.table
    parts = [f"{min(len(table), MOST_RANKED)} of {plural(len(table), 'configuration')}"]
    if (table["count"] == 1).any():
        parts.append("hollow: one seed, and the best of many such values flatters")
    if is_cut:
        parts.append("wide intervals cut")
    return "; ".join(parts)


def _text(frames: StudyFrames, found: Ranking) -> str:
    name = metric(frames.metrics[0])
    best = found.table.iloc[0]
    seeds = plural(int(best["count"]), "seed")
    parts = [f"The best of {plural(len(found.table), 'configuration')} has {name} "]
    if len(found.table) == 1:
        parts[0] = f"The only configuration has {name} "
    parts.append(f"{best['mean']:.4g} over {seeds} ({_trials(best['trials'])})")
    if best["count"] == 1 and len(found.table) > 1:
        parts.append(", unconfirmed: one seed, and the maximum of many flatters")
    if pd.notna(best["expected"]):
        parts.append(f"; {best['expected']:.4g} is to be expected on a fresh seed")
    if len(found.table) > 1:
        parts.append("; " + _verdict(lead(found, maximize=frames.maximize)))
    return "".join(parts) + "."


def _verdict(found: Lead) -> str:
    if not found.is_known:
        return (
            "whether it is better than the second cannot be said, since too few configurations "
            "were repeated with other seeds"
        )
    size = (
        f"(difference {found.difference:.2g}, 95 % interval {found.low:.2g} to {found.high:.2g})"
    )
    if found.is_clear:
        return f"it is better than the second beyond chance {size}"
    return f"it cannot be told from the second {size}"
