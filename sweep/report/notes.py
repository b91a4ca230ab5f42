"""Markdown for the notes on the dashboard's study and trial pages."""

import html
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from sweep.report import links
from sweep.report.frames import StudyFrames, active_values
from sweep.report.text import metric
from sweep.spec import parse_study
from sweep.store.records import StudyRecord
from sweep.trial import TrialConfig

MOST_ERROR = 1500


def study_note(frames: StudyFrames, record: StudyRecord) -> str:
    """What the study is, links to our pages about it, its best trial, and how to go on."""
    study = frames.study
    pages = {
        "live": links.live(study),
        "compare": links.compare(study),
        "report": links.report(study),
    }
    lines = [f"# {text(frames.study)}", ""]
    lines += [" · ".join(f"[{name}]({page})" for name, page in pages.items()), ""]
    if frames.is_fallback:
        lines += [
            f"> **{text(frames.data.upper())} DATA (FALLBACK).** The data that the study asked "
            "for were not to be had; these figures say nothing about them.",
            "",
        ]
    description = parse_study(record.spec).description
    if description:
        lines += [text(description), ""]
    counts = frames.counts()
    objectives = ", ".join(
        f"{metric(name)} ({direction})"
        for name, direction in zip(frames.metrics, frames.directions, strict=True)
    )
    lines += [
        f"- data: {text(frames.data)}, fingerprint `{code(record.data_fingerprint)}`",
        f"- objective: {text(objectives)}",
        "- trials: " + (", ".join(f"{n} {name}" for name, n in counts.items() if n) or "none"),
        f"- seed: {record.seed}",
        "",
        *_best(frames),
        "## Go on",
        "",
        "```",
        f"sweep report {frames.study} -o report.html",
        f"sweep export {frames.study} --format yaml -o best.yaml",
        "sweep train best.yaml",
        "```",
    ]
    return "\n".join(lines)


def _best(frames: StudyFrames) -> list[str]:
    best = frames.best()
    if best.empty:
        return ["No trial has completed yet.", ""]
    row = best.iloc[0]
    head = (
        f"## Best trial: {row['number']}, {metric(frames.metrics[0])} {row['value']:.4f}"
        if len(frames.directions) == 1
        else f"## Pareto front: trials {', '.join(map(str, best['number'][:20]))}"
    )
    if len(frames.directions) > 1:
        return [head, ""]
    active = ((name, active_values(best, name).iloc[0]) for name in frames.varied)
    settings = "\n".join(f"{name}: {_short(value)}" for name, value in active if pd.notna(value))
    return [head, "", *fenced(settings or "no setting varies"), ""]


def trial_note(row: Mapping[str, Any]) -> str:
    """One ended trial: its configuration in short, why it stopped, its error if it failed."""
    lines = [f"`{code(config_line(row['config'] or {}))}`", ""]
    facts = {
        "stopped": row["stop_reason"],
        "epochs": row["epochs"],
        "kept epoch": row["kept_epoch"],
        "parameters": row["parameters"],
        "seconds": None if row["seconds"] is None else round(row["seconds"], 1),
        "device": row["device"],
        "attempt": row["attempt"] if (row["attempt"] or 1) > 1 else None,
    }
    known = [f"{name}: {text(value)}" for name, value in facts.items() if value is not None]
    lines += [" · ".join(known), ""]
    if row["error"]:
        lines += ["**Failed:**", "", *fenced(row["error"][:MOST_ERROR])]
    return "\n".join(lines).strip()


def config_line(config: Mapping[str, Any]) -> str:
    """The settings that differ from the reference network's defaults: `momentum=0.9 ...`."""
    defaults = TrialConfig().to_dict()
    return (
        " ".join(f"{k}={_short(v)}" for k, v in config.items() if v != defaults.get(k))
        or "the reference network"
    )


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def text(value: object) -> str:
    """Text that Markdown shows as it is."""
    escaped = html.escape(" ".join(str(value).split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]#|!~])", r"\\\1", escaped)


def code(value: object) -> str:
    """Text for a span between single backticks."""
    return " ".join(str(value).split()).replace("`", "'")


def fenced(value: str) -> list[str]:
    """A code block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", value)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, value, fence]
