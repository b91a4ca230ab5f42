"""What a page says of one study: summary, figures, best and failed trials, study file."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sweep.report.analysis.effects import effects
from sweep.report.figures.style import Chart
from sweep.report.frames import StudyFrames, active_values, value_columns
from sweep.report.page.elements import Cell, figures, table
from sweep.report.page.shell import filled
from sweep.report.text import escaped, label, metric
from sweep.store.records import StudyRecord

MOST_BEST = 10
MOST_FAILED = 20


def study_body(
    frames: StudyFrames, record: StudyRecord | None, charts: Sequence[Chart], prefix: str = ""
) -> str:
    """HTML about a study, without a heading of its own.

    Args:
        frames: The study.
        record: What it was started with, if that is known.
        charts: Its figures.
        prefix: Goes before the figures' keys, where several studies share a page.
    """
    parts = {
        "summary": table(None, _summary(frames, record)),
        "figures": figures(charts, prefix),
        "best": _best(frames),
        "failed": _failed(frames),
        "spec": escaped(record.spec if record else ""),
    }
    return filled("study.html", parts)


def _summary(frames: StudyFrames, record: StudyRecord | None) -> list[list[Cell]]:
    counts = frames.counts()
    best = frames.best()
    objectives = ", ".join(
        f"{metric(name)} ({direction})"
        for name, direction in zip(frames.metrics, frames.directions, strict=True)
    )
    rows: list[list[Cell]] = [
        ["study", frames.study],
        ["data", f"{frames.data} (fallback)" if frames.is_fallback else frames.data],
        ["objective", objectives],
        ["trials", ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n) or "none"],
        ["epochs trained", f"{len(frames.epochs):,}"],
        ["best", _best_line(frames, best)],
    ]
    if record is not None:
        started = record.created_at
        rows += [
            ["started", f"{started:%Y-%m-%d %H:%M} UTC" if started else "unknown"],
            ["seed", record.seed],
            ["data fingerprint", record.data_fingerprint],
            ["git revision", record.git_revision or "not in a repository"],
            ["versions", ", ".join(f"{k} {v}" for k, v in record.versions.items())],
        ]
    return rows


def _best_line(frames: StudyFrames, best: pd.DataFrame) -> str:
    if best.empty:
        return "no trial has completed"
    if len(frames.directions) > 1:
        return f"{len(best)} trials on the Pareto front"
    row = best.iloc[0]
    return f"{metric(frames.metrics[0])} {row['value']:.4f}, trial {row['number']}"


def _best(frames: StudyFrames) -> str:
    best = frames.best().head(MOST_BEST)
    if best.empty:
        return "<p>No trial has completed.</p>"
    settings = list(dict.fromkeys(effects(frames)["setting"])) or list(frames.varied)
    shown = best.assign(**{name: active_values(best, name) for name in settings})
    values = value_columns(len(frames.metrics))
    head = [
        "trial",
        *map(metric, frames.metrics),
        *settings,
        "kept epoch",
        "parameters",
        "seconds",
    ]
    columns = ["number", *values, *settings, "kept_epoch", "parameters", "seconds"]
    rows = [
        [_short(column, row[column]) for column in columns]
        for row in shown[columns].to_dict("records")
    ]
    return table([name.replace("_", " ") for name in head], rows)


def _short(column: str, value: Any) -> str:
    if value is None or pd.isna(value):
        return "–"
    if column in ("number", "kept_epoch", "parameters") and isinstance(value, (int, float)):
        return f"{int(value):,}"
    return f"{value:.4f}" if column.startswith("value") else label(value)


def _failed(frames: StudyFrames) -> str:
    failed = frames.trials[frames.trials["outcome"] == "failed"]
    if failed.empty:
        return ""
    rows = [
        [number, error or "unknown"]
        for number, error in zip(failed["number"], failed["error"], strict=True)
    ]
    more = len(rows) - MOST_FAILED
    note = f"<p>and {more} more</p>" if more > 0 else ""
    return f"<h2>Failed trials</h2>{table(['trial', 'error'], rows[:MOST_FAILED])}{note}"
