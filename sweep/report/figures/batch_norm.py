"""What batch normalisation brings and costs: accuracy, epochs, seconds."""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from sweep.report.analysis.levels import LEAST_DRAWN, group_means
from sweep.report.analysis.survival import Median, median_time
from sweep.report.figures.points import (
    accurate,
    data_range,
    drawn_note,
    nothing_valued,
    outcome_note,
    thinned,
)
from sweep.report.figures.strips import Mark, Panel, height, strips
from sweep.report.figures.style import Chart, empty, styled
from sweep.report.frames import StudyFrames
from sweep.report.text import plural

KINDS: Final = ("none", "before", "after")
# Each trial is drawn in every panel.
MOST_DRAWN: Final = 200
# The strip of trials that never reached the level, as shares of the most epochs.
STRIP: Final = (1.06, 1.24)
SHADE: Final = "rgba(122,130,140,0.18)"

_Parts = Mapping[str, pd.DataFrame]


def batch_norm(frames: StudyFrames) -> Chart:
    """Accuracy, epochs to a level of it and seconds per epoch, without and with it.

    The level is what half of the trials reached, rounded down to a hundredth. The epochs are a
    median of Kaplan and Meier (`sweep.report.analysis.survival`): a pruned trial counts until it
    was pruned; one that ended otherwise without reaching the level never would.
    """
    key, title = "batch-norm", "Batch normalisation: gain and cost"
    trials = accurate(frames)
    if trials.empty:
        reason = nothing_valued(frames)
        return Chart(key, empty(frames, title, reason), f"{reason}.")
    level, first = _reached(frames, trials)
    trials = trials.assign(reached=first, kind=trials["batch_norm"])
    parts = {kind: part for kind in KINDS if len(part := trials[trials["kind"] == kind])}
    panels = [Panel("accuracy", _accuracy_axis(trials), _means(parts, "accuracy"))]
    medians: dict[str, Median] = {}
    extra: dict[str, Any] = {}
    if level is not None:
        medians = {kind: _median(part) for kind, part in parts.items()}
        last = float(trials["trained_epochs"].max())
        panels.append(Panel("reached", _epochs_axis(level, last), _medians(medians, last)))
        extra = _never(parts, last)
    if trials["seconds_per_epoch"].notna().any():
        axis = {"title": {"text": "seconds per epoch"}, "rangemode": "tozero"}
        panels.append(Panel("seconds_per_epoch", axis, _means(parts, "seconds_per_epoch")))
    drawn = thinned(trials, MOST_DRAWN)
    labels = {kind: f"{kind} ({len(part)})" for kind, part in parts.items()}
    traces, layout = strips(drawn, labels, panels)
    outcomes = outcome_note(trials)
    figure = styled(
        frames,
        traces,
        title,
        f"◆ mean, for epochs the median (Kaplan–Meier); 95\u00a0% intervals<br>"
        f"{drawn_note(drawn, trials)}{': ' if outcomes else ''}{outcomes}",
        showlegend=False,
        **layout,
        **extra,
    )
    margin = figure.layout.margin
    # With less, Plotly leaves names no room at the left either.
    margin.b = 12
    figure.update_layout(height=margin.t + height(len(parts), len(panels)) + margin.b)
    return Chart(key, figure, _text(parts, level, medians))


def _reached(frames: StudyFrames, trials: pd.DataFrame) -> tuple[float | None, pd.Series]:
    """The level, and the epoch at which each trial reached it (NaN if it did not)."""
    epochs = frames.epochs[frames.epochs["number"].isin(trials["number"])]
    best = epochs.groupby("number")["val_accuracy"].max().dropna()
    if best.empty:
        return None, pd.Series(np.nan, index=trials.index)
    level = math.floor(100.0 * float(best.median()) + 1e-9) / 100.0
    first = epochs[epochs["val_accuracy"] >= level].groupby("number")["epoch"].min()
    return level, trials["number"].map(first).astype(float)


def _accuracy_axis(trials: pd.DataFrame) -> dict[str, Any]:
    return {"title": {"text": "validation accuracy"}, "range": data_range(trials["accuracy"])}


def _epochs_axis(level: float, last: float) -> dict[str, Any]:
    """Epochs, and room for the strip of what never reached the level."""
    steps = [step for step in (1, 2, 5, 10, 20, 50, 100) if last / step <= 8]
    step = steps[0] if steps else round(last / 8)
    return {
        "title": {"text": f"epochs to an accuracy of {level:.2g}"},
        "range": [0.0, STRIP[1] * last],
        "tickvals": list(range(0, round(last) + 1, step)),
    }


def _means(parts: _Parts, column: str) -> dict[str, Mark | None]:
    return {kind: _mean(part[column].dropna()) for kind, part in parts.items()}


def _mean(values: pd.Series) -> Mark | None:
    if values.empty:
        return None
    row = group_means(values, pd.Series("all", index=values.index)).iloc[0]
    mean = float(row["mean"])
    ends = (float(row["low"]), float(row["high"])) if len(values) >= LEAST_DRAWN else (mean, mean)
    return Mark(mean, *ends, f"mean {mean:.3g}, n={len(values)}")


def _median(part: pd.DataFrame) -> Median:
    """Epochs after which half of the trials have reached the level."""
    known = part["reached"].notna()
    times = part["reached"].fillna(
        part["trained_epochs"].where(part["outcome"] == "pruned", np.inf)
    )
    return median_time(times.to_numpy(dtype=float), known.to_numpy())


def _medians(medians: Mapping[str, Median], last: float) -> dict[str, Mark | None]:
    edge = STRIP[0] * last
    return {
        kind: Mark(
            min(median.time, edge),
            min(median.low, edge),
            min(median.high, edge),
            f"reached {_when(median)}",
            is_known=math.isfinite(median.time),
        )
        for kind, median in medians.items()
    }


def _when(median: Median) -> str:
    """When half of the trials have reached the level, as the end of a sentence."""
    if math.isinf(median.time):
        return "by fewer than half"
    high = f"{median.high:.0f}" if math.isfinite(median.high) else "no end"
    return f"by half after {plural(int(median.time), 'epoch')} [{median.low:.0f}, {high}]"


def _never(parts: _Parts, last: float) -> dict[str, Any]:
    """A strip at the end of the second panel, with the number that never reached the level."""
    low, high = STRIP[0] * last, STRIP[1] * last
    middle = {"x": (low + high) / 2, "xref": "x2", "showarrow": False, "font": {"size": 10}}
    counts = [
        {
            **middle,
            "y": len(parts) - 1 - row,
            "yref": "y2",
            "text": str(part["reached"].isna().sum()),
        }
        for row, part in enumerate(parts.values())
    ]
    head = {**middle, "y": 1, "yref": "y2 domain", "yanchor": "bottom", "text": "not reached"}
    shape = {
        "type": "rect",
        "layer": "below",
        "line": {"width": 0},
        "fillcolor": SHADE,
        "xref": "x2",
        "x0": low,
        "x1": high,
        "yref": "y2 domain",
        "y0": 0,
        "y1": 1,
    }
    return {"annotations": [head, *counts], "shapes": [shape]}


def _text(parts: _Parts, level: float | None, medians: Mapping[str, Median]) -> str:
    said = []
    for kind, part in parts.items():
        mean = _mean(part["accuracy"])
        words = [f"{kind} {part['accuracy'].mean():.3f}"]
        if mean is not None and mean.low < mean.high:
            words[0] += f" [{mean.low:.3f}, {mean.high:.3f}]"
        if level is not None:
            never = int(part["reached"].isna().sum())
            words.append(f"{level:.2g} reached {_when(medians[kind])}, {never} never did")
        seconds = part["seconds_per_epoch"].mean()
        if math.isfinite(seconds):
            words.append(f"{seconds:.2g} s per epoch")
        said.append(f"{', '.join(words)} (n={len(part)})")
    pruned = any((part["outcome"] == "pruned").any() for part in parts.values())
    note = " A pruned trial counts until it was pruned." if medians and pruned else ""
    return f"Mean validation accuracy by batch norm: {'; '.join(said)}.{note}"
