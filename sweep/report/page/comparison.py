"""What a page says of several studies: what each reached, what differs, and whether it is real."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from sweep.report.analysis.effects import records
from sweep.report.analysis.studies.comparison import StudyComparison
from sweep.report.analysis.studies.words import sized
from sweep.report.analysis.words import phrase
from sweep.report.figures.style import Chart
from sweep.report.frames import OUTCOMES
from sweep.report.page.elements import Cell, figures, sentences, table
from sweep.report.page.shell import filled
from sweep.report.text import duration, escaped, label, metric

NOTHING = "–"
VERDICTS = {"differs": "differs", "agrees": "the same", "unclear": "cannot be told"}


def comparison_body(
    found: StudyComparison, charts: Sequence[Chart], sections: Sequence[str] = ()
) -> str:
    """HTML about several studies, without a heading of its own.

    Args:
        found: What is said of them.
        charts: The figures.
        sections: For each study HTML about it alone, folded up below; or nothing.
    """
    names = [frames.study for frames in found.studies][: len(sections)]
    cautions = sentences(found.cautions)
    parts = {
        "links": "".join(
            f'<a href="#study-{place}">{escaped(name)}</a> ' for place, name in enumerate(names)
        ),
        "summary": _summary(found.summary),
        "contrasts": sentences(found.contrasts["sentence"]),
        "paces": sentences(found.paces),
        "cautions": f"<p>To bear in mind:</p>{cautions}" if cautions else "",
        "figures": figures(charts),
        "differences": _differences(found),
        "settings": _settings(found.summary),
        "effects": "".join(_effects(found)),
        "studies": "\n".join(
            f'<details class="study" id="study-{place}"><summary><h2>{escaped(name)}</h2>'
            f"</summary>{section}</details>"
            for place, (name, section) in enumerate(zip(names, sections, strict=True))
        ),
    }
    return filled("comparison.html", parts)


def _summary(summary: pd.DataFrame) -> str:
    head = [
        "study",
        "best",
        "by trial",
        "trials",
        "epochs",
        "active time",
        "trials per hour",
        "data",
    ]
    return table(head, [_line(row) for row in records(summary)], "What each study reached")


def _line(row: dict[str, Any]) -> list[Cell]:
    known = not pd.isna(row["best_value"])
    rate = row["trials_per_hour"]
    pauses = f", {row['pauses']} pauses cut out" if row["pauses"] else ""
    return [
        row["study"],
        f"{metric(row['metric'])} {row['best_value']:.4f}" if known else NOTHING,
        f"{row['best_number']:.0f}" if known else NOTHING,
        ", ".join(f"{row[name]} {name}" for name in OUTCOMES if row[name]) or "none",
        f"{row['epochs']:,}",
        f"{duration(row['seconds'])}{pauses}",
        NOTHING if pd.isna(rate) else f"{rate:.1f}",
        f"{row['data']} (fallback)" if row["is_fallback"] else row["data"],
    ]


def _differences(found: StudyComparison) -> str:
    if found.differences.empty:
        return "<p>The study files say the same.</p>"
    names = [frames.study for frames in found.studies]
    rows = [
        [what.replace("_", " ") if kind != "study" else what, *treatments]
        for what, kind, treatments in zip(
            found.differences["what"],
            found.differences["kind"],
            found.differences["treatments"],
            strict=True,
        )
    ]
    return table(["", *names], rows, "Where the study files differ")


def _settings(summary: pd.DataFrame) -> str:
    settings = list(summary["settings"])
    told = list(dict.fromkeys(name for known in settings for name in known))
    if not told:
        return ""
    rows = [
        [
            name.replace("_", " "),
            *(label(known[name]) if name in known else NOTHING for known in settings),
        ]
        for name in told
    ]
    return table(["", *summary["study"]], rows, "Settings of the best trials, where they differ")


def _effects(found: StudyComparison) -> Iterator[str]:
    """A folded table for each pair: the text alternative of the figure of effects."""
    first = found.studies[0]
    for place, effects in found.effects.items():
        if effects.empty:
            continue
        other = found.studies[place].study
        name = first.metrics[0]
        head = ["", f"in {first.study}", f"in {other}", "difference", ""]
        rows = [_effect(name, row) for row in records(effects)]
        caption = "Effect of each value, with its 95 % interval"
        yield (
            f"<details><summary>All effects in {escaped(first.study)} and {escaped(other)}"
            f"</summary>{table(head, rows, caption)}</details>"
        )


def _effect(name: str, row: dict[str, Any]) -> list[Cell]:
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
