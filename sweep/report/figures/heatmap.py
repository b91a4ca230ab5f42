"""Accuracy by activation and initializer."""

from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale, unlabel_rgb

from sweep.report.analysis.levels import LEAST_DRAWN, group_means
from sweep.report.analysis.winner import winner
from sweep.report.figures.points import accurate, nothing_valued
from sweep.report.figures.style import SCALE, Chart, empty, numbers, scale_above, styled
from sweep.report.frames import StudyFrames
from sweep.report.text import plural

ROW_PIXELS: Final = 42
# Names of more columns than this stand askew.
MOST_UPRIGHT: Final = 5
# Pixels between cells, across and down; those of few trials are smaller.
GAPS, WIDE_GAPS = (2, 2), (6, 10)


def activation_by_initializer(frames: StudyFrames) -> Chart:
    """Mean validation accuracy for each pair of activation and kernel initializer."""
    key, title = "activation-initializer", "Accuracy by activation × initializer"
    trials = accurate(frames)
    if trials.empty:
        reason = nothing_valued(frames)
        return Chart(key, empty(frames, title, reason), f"{reason}.")
    trials = trials.assign(
        row=trials["activation"].str.replace("_", " "),
        column=trials["kernel_initializer"].str.replace("_", " "),
    )
    trials["pair"] = trials["row"] + " with " + trials["column"]
    cells = _cells(trials)
    rows = trials.groupby("row")["accuracy"].mean().sort_values().index.tolist()
    columns = trials.groupby("column")["accuracy"].mean().sort_values(ascending=False).index
    askew = len(columns) > MOST_UPRIGHT
    names = {name: name if askew else name.replace(" ", "<br>") for name in columns}
    sure = cells["count"] >= LEAST_DRAWN
    traces = [
        _heat(cells[chosen], rows, names, gaps)
        for chosen, gaps in ((sure, GAPS), (~sure, WIDE_GAPS))
        if chosen.any()
    ]
    figure = styled(
        frames,
        [*traces, _texts(cells, names)],
        title,
        "mean accuracy, ± half its 95\u00a0% interval, n trials<br>"
        "small: one or two trials; pruned ones as of their pruning",
        xaxis={
            "showgrid": False,
            "tickangle": -45 if askew else 0,
            "tickfont": {"size": 11},
            "type": "category",
            "categoryorder": "array",
            "categoryarray": list(names.values()),
        },
        yaxis={
            "showgrid": False,
            "tickfont": {"size": 11},
            "type": "category",
            "categoryorder": "array",
            "categoryarray": rows,
        },
        coloraxis=scale_above(),
        height=234 + ROW_PIXELS * len(rows),
    )
    return Chart(key, figure, _text(trials, len(cells)))


def _cells(trials: pd.DataFrame) -> pd.DataFrame:
    """A row for each pair that was tried: `group_means`, and what the reader may ask for."""
    cells = group_means(trials["accuracy"], trials["pair"])
    pairs = trials.groupby("pair")
    cells["row"], cells["column"] = pairs["row"].first(), pairs["column"].first()
    for outcome in ("diverged", "pruned"):
        cells[outcome] = (trials["outcome"] == outcome).groupby(trials["pair"]).sum()
    return cells


def _heat(
    cells: pd.DataFrame, rows: list[str], names: dict[str, str], gaps: tuple[int, int]
) -> go.Heatmap:
    """Coloured cells with these gaps between them, and none where nothing was tried."""
    table = cells.pivot(index="row", columns="column", values="mean")
    hover = cells.assign(hover=_hover(cells)).pivot(index="row", columns="column", values="hover")
    table, hover = (t.reindex(index=rows, columns=[*names]) for t in (table, hover))
    return go.Heatmap(
        x=[*names.values()],
        y=rows,
        z=[numbers(row) for _, row in table.iterrows()],
        text=hover.where(hover.notna(), "").to_numpy().tolist(),
        coloraxis="coloraxis",
        xgap=gaps[0],
        ygap=gaps[1],
        hovertemplate="%{y}, %{x}<br>%{text}<extra></extra>",
        hoverongaps=False,
    )


def _hover(cells: pd.DataFrame) -> list[str]:
    lines = []
    for cell in cells.to_dict("records"):
        mean = f"mean {cell['mean']:.3f}"
        if cell["count"] >= LEAST_DRAWN:
            mean += f" [{cell['low']:.3f}, {cell['high']:.3f}]"
        outcomes = [f"{int(cell[o])} {o}" for o in ("diverged", "pruned") if cell[o]]
        counted = ", ".join([plural(int(cell["count"]), "trial"), *outcomes])
        lines.append(f"{mean}, best {cell['best']:.3f}<br>{counted}")
    return lines


def _texts(cells: pd.DataFrame, names: dict[str, str]) -> go.Scatter:
    """What stands in the cells, in black or white, whichever is easier to read there."""
    sure = cells["count"] >= LEAST_DRAWN
    lines = []
    for mean, high, count, is_sure in zip(
        cells["mean"], cells["high"], cells["count"], sure, strict=True
    ):
        interval = f"±{_short(high - mean, 2)}<br>" if is_sure else ""
        lines.append(
            f"{_short(mean, 3)}<br><span style='font-size:0.85em'>{interval}n={count}</span>"
        )
    return go.Scatter(
        x=[names[name] for name in cells["column"]],
        y=cells["row"].tolist(),
        mode="text",
        text=lines,
        textfont={"size": np.where(sure, 10, 8.5).tolist(), "color": _inks(cells["mean"])},
        hoverinfo="skip",
        showlegend=False,
    )


def _short(value: float, digits: int) -> str:
    """A number without a zero before its point, with more digits if it is small."""
    digits = digits if value >= 10.0**-digits else digits + 1
    return f"{value:.{digits}f}".removeprefix("0")


def _inks(means: pd.Series) -> list[str]:
    """Black or white on each colour, by contrast (WCAG 2): 4.5 at least."""
    low, spread = means.min(), np.ptp(means)
    shares = (means - low) / spread if spread > 0 else means * 0.0 + 0.5
    inks = []
    for colour in sample_colorscale(SCALE, shares.tolist()):
        parts = np.array(unlabel_rgb(colour)) / 255.0
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        luminance = float(linear @ [0.2126, 0.7152, 0.0722])
        inks.append("#000000" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "#FFFFFF")
    return inks


def _text(trials: pd.DataFrame, pairs: int) -> str:
    found = winner(trials["accuracy"], trials["pair"])
    tried = f"Mean validation accuracy of {plural(pairs, 'pair')} of activation and initializer"
    if found is None:
        means = trials.groupby("pair")["accuracy"].mean()
        return (
            f"{tried}; the highest mean is {means.max():.3f} for {means.idxmax()}, but no pair "
            "has three trials."
        )
    best = (
        f"{tried}; of the {found.rivals + 1} with three trials or more, {found.name} is best with "
        f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}] ({plural(found.count, 'trial')})"
    )
    if not found.rivals:
        return f"{best}."
    second = trials.loc[trials["pair"] == found.second, "accuracy"].mean()
    told = "can" if found.is_clear else "cannot"
    chance = "" if np.isnan(found.p) else f" (Welch's test, p = {found.p:.2g})"
    return f"{best}; it {told} be told from the second, {found.second}, {second:.3f}{chance}."
