"""One HTML page about a study; written to a file, it needs no network and no other file."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
from plotly.offline import get_plotlyjs

from sweep.report.analysis.effects import effects
from sweep.report.figures.catalogue import report_charts
from sweep.report.figures.style import Chart, template
from sweep.report.files import write_file
from sweep.report.frames import StudyFrames, active_values, study_frames, value_columns
from sweep.report.text import escaped, label, metric, script_json
from sweep.store import Store
from sweep.store.records import StudyRecord

MOST_BEST = 10
MOST_FAILED = 20
Cell = object


@dataclass(frozen=True, slots=True)
class Shell:
    """What a page stands in: HTML for its head and its end.

    Attributes:
        policy: The content security policy, where no server sends one.
        style: Its style sheets.
        scripts: Plotly and the script that draws.
        navigation: Links to other pages.
    """

    policy: str
    style: str
    scripts: str
    navigation: str


def write_report(store: Store, study: str, path: Path) -> None:
    """Write the report of a study, complete or not at all.

    Args:
        store: The open store.
        study: Name of the study.
        path: The HTML file; an older one is replaced.

    Raises:
        StoreError: There is no such study.
        UsageError: The file cannot be written.
    """
    page = study_page(store, study, self_contained())
    write_file(path, page.encode(), what="the report")


def study_page(store: Store, study: str, shell: Shell) -> str:
    """The HTML of the report of a study.

    Raises:
        StoreError: There is no such study.
    """
    frames = study_frames(store, study)
    record = store.record(study)
    with store.translated():
        charts = report_charts(frames, store.load_study(study))
    return render(frames, record, charts, shell)


def self_contained() -> Shell:
    """What a page stands in that needs no other file."""
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    policy += "img-src data: blob:"
    return Shell(
        policy=f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        style=f"<style>{_asset('page.css')}</style>",
        scripts=f"<script>{get_plotlyjs()}</script>\n<script>{_asset('page.js')}</script>",
        navigation="",
    )


def render(
    frames: StudyFrames, record: StudyRecord | None, charts: Sequence[Chart], shell: Shell
) -> str:
    """The page's HTML."""
    parts = {
        "title": escaped(f"{frames.study} · sweep report"),
        "study": escaped(frames.study),
        "policy": shell.policy,
        "style": shell.style,
        "scripts": shell.scripts,
        "navigation": shell.navigation,
        "templates": script_json({"light": template(), "dark": template(dark=True)}),
        "warning": _warning(frames),
        "summary": _table(None, _summary(frames, record)),
        "figures": "\n".join(_figure(chart) for chart in charts),
        "best": _best(frames),
        "failed": _failed(frames),
        "spec": escaped(record.spec if record else ""),
    }
    # Split rather than replaced one after the other: nothing in a value is read as a place.
    pieces = _asset("page.html").split("%%")
    return "".join(parts[p] if index % 2 else p for index, p in enumerate(pieces))


def _asset(name: str) -> str:
    return resources.files("sweep.report").joinpath("assets", name).read_text(encoding="utf-8")


def _warning(frames: StudyFrames) -> str:
    if not frames.is_fallback:
        return ""
    return (
        f'<p class="warning" role="alert"><strong>{escaped(frames.data)} data (fallback).'
        "</strong> The data that the study asked for were not to be had; these figures say "
        "nothing about them.</p>"
    )


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


def _figure(chart: Chart) -> str:
    figure = json.loads(chart.figure.toscript_json())
    figure["layout"].pop("template", None)
    wide = ' class="wide"' if chart.wide else ""
    height = int(figure["layout"].get("height", 450))
    return (
        f'<figure{wide}><div class="plot" id="{chart.key}" style="height:{height}px" role="img" '
        f'aria-describedby="{chart.key}-text"></div>'
        f'<figcaption id="{chart.key}-text">{escaped(chart.text)}</figcaption>'
        f'<script type="application/json" data-for="{chart.key}">{script_json(figure)}</script>'
        "</figure>"
    )


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
    return _table([name.replace("_", " ") for name in head], rows)


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
    return f"<h2>Failed trials</h2>{_table(['trial', 'error'], rows[:MOST_FAILED])}{note}"


def _table(head: Sequence[str] | None, rows: Iterable[Sequence[Cell]]) -> str:
    """A table; without a head, the first cell of each row is the row's."""
    first = "td" if head else "th"
    top = "".join(f'<th scope="col">{escaped(name)}</th>' for name in head or ())
    body = "".join(
        f"<tr><{first}>{escaped(row[0])}</{first}>"
        + "".join(f"<td>{escaped(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    thead = f"<thead><tr>{top}</tr></thead>" if head else ""
    return f'<div class="scroll"><table>{thead}<tbody>{body}</tbody></table></div>'
