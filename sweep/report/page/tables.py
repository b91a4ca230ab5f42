"""Tables about several studies, as text: for a page, and for what a server answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sweep.report.analysis.effects import records
from sweep.report.analysis.studies.comparison import StudiesOverview, StudiesVerdicts
from sweep.report.analysis.studies.words import sized
from sweep.report.analysis.words import phrase
from sweep.report.frames import OUTCOMES
from sweep.report.text import duration, label, metric, plural

NOTHING = "–"
VERDICTS = {"differs": "differs", "agrees": "the same", "unclear": "cannot be told"}
SUMMARY_HEAD = (
    "study",
    "best",
    "by trial",
    "trials",
    "epochs",
    "active time",
    "trials per hour",
    "data",
)


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table whose rows begin with their names.

    Attributes:
        caption: What it shows.
        head: A title for each column.
        rows: A text for each cell.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def summary_table(found: StudiesOverview) -> TextTable:
    """What each study reached, and what that cost."""
    rows = [_line(row) for row in records(found.summary)]
    return TextTable("What each study reached", SUMMARY_HEAD, rows)


def _line(row: dict[str, Any]) -> list[str]:
    is_known = not pd.isna(row["best_value"])
    rate = row["trials_per_hour"]
    pauses = f", {plural(row['pauses'], 'pause')} cut out" if row["pauses"] else ""
    return [
        row["study"],
        f"{metric(row['metric'])} {row['best_value']:.4f}" if is_known else NOTHING,
        f"{row['best_number']:.0f}" if is_known else NOTHING,
        ", ".join(f"{row[name]:,} {name}" for name in OUTCOMES if row[name]) or "none",
        f"{row['epochs']:,}",
        f"{duration(row['seconds'])}{pauses}",
        NOTHING if pd.isna(rate) else f"{rate:,.1f}",
        f"{row['data']} (fallback)" if row["is_fallback"] else row["data"],
    ]


def difference_table(found: StudiesOverview) -> TextTable:
    """Where the study files differ."""
    names = [frames.study for frames in found.studies]
    columns = (found.differences[name] for name in ("what", "kind", "treatments"))
    rows = [
        [what if kind == "study" else what.replace("_", " "), *treatments]
        for what, kind, treatments in zip(*columns, strict=True)
    ]
    return TextTable("Where the study files differ", ["", *names], rows)


def winner_table(found: StudiesOverview) -> TextTable:
    """Settings of the best trials, where they differ."""
    settings = list(found.summary["settings"])
    rows = [
        [
            name.replace("_", " "),
            *(label(known[name]) if name in known else NOTHING for known in settings),
        ]
        for name in dict.fromkeys(name for known in settings for name in known)
    ]
    head = ["", *found.summary["study"]]
    return TextTable("Settings of the best trials, where they differ", head, rows)


def effect_tables(found: StudiesVerdicts) -> list[TextTable]:
    """Effects side by side, a table for each pair of studies that has some."""
    first = found.studies[0]
    tables = []
    for place, effects in found.effects.items():
        other = found.studies[place].study
        head = ["", f"in {first.study}", f"in {other}", "difference", ""]
        caption = f"Effect of each value in {first.study} and {other}, with 95 % intervals"
        rows = [_effect(first.metrics[0], row) for row in records(effects)]
        tables += [TextTable(caption, head, rows)] if rows else []
    return tables


def _effect(name: str, row: dict[str, Any]) -> list[str]:
    against = f" against {phrase(row['setting'], row['against'])}" if row["against"] else ""
    return [
        f"{phrase(row['setting'], row['level'])}{against}",
        *(
            sized(name, row[f"{side}_effect"], row[f"{side}_low"], row[f"{side}_high"])
            for side in ("first", "other")
        ),
        sized(name, row["difference"], row["low"], row["high"]),
        VERDICTS[row["verdict"]],
    ]
