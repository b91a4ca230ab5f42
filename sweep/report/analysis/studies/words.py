"""Comparisons of studies as plain sentences."""

import math
from collections.abc import Mapping
from typing import Any, Final

from sweep.report.analysis.words import amount, phrase, unit

_SCOPES: Final = {
    "all": "all trials",
    "matched": "same settings",
    "adjusted": "other settings held fixed",
}


def contrast_sentence(metric: str, maximize: bool, row: Mapping[str, Any]) -> str:
    """What a row of `study_contrasts` says: size, interval, trials, reasons for doubt."""
    names = f"{row['other']} against {row['first']}"
    if row["method"] == "refused":
        return f"{names}: their values say nothing about each other. {row['caution']}"
    counted = f"{row['first_count']} and {row['other_count']} trials"
    if row["method"] != "all":
        counted = f"{row['units']} configurations, {counted}"
    caution = f" ({row['caution']})" if row["caution"] else ""
    head = f"{names}, {_SCOPES[row['method']]}"
    if math.isnan(row["difference"]):
        return f"{head}: these data cannot say; {counted}{caution}."
    if math.isnan(row["low"]):
        size = difference(metric, row["difference"])
        return f"{head}: {size} on average; {counted}{caution}."
    size = sized(metric, row["difference"], row["low"], row["high"])
    if row["clear"]:
        is_better = (row["difference"] > 0) == maximize
        verdict = f", so {row['other']} is {'better' if is_better else 'worse'}"
    else:
        verdict = ", which may be chance"
    return f"{head}: {size} on average{verdict}; {counted}{caution}."


def sized(metric: str, value: float, low: float, high: float) -> str:
    """A difference with its unit and interval: `+1.2 points [0.4, 2.0]`."""
    return f"{difference(metric, value)} [{amount(metric, low)}, {amount(metric, high)}]"


def difference(metric: str, value: float) -> str:
    """A difference with its sign and unit: `+1.2 points`."""
    return f"{'+' if value >= 0 else ''}{amount(metric, value)}{unit(metric)}"


def agreement_sentence(metric: str, names: tuple[str, str], row: Mapping[str, Any]) -> str:
    """What a row of `effects_by_study` says."""
    parts = [
        [row[f"{side}_{part}"] for part in ("effect", "low", "high")]
        for side in ("first", "other")
    ]
    said = [f"{sized(metric, *part)} in {name}" for part, name in zip(parts, names, strict=True)]
    against = f" against {phrase(row['setting'], row['against'])}" if row["against"] else ""
    head = f"{phrase(row['setting'], row['level'])}{against}: {said[0]}, {said[1]}"
    size = sized(metric, row["difference"], row["low"], row["high"])
    verdict = {
        "differs": f"that differs by {size}",
        "agrees": f"both say the same (difference {size})",
        "unclear": f"whether they differ these data cannot say (difference {size})",
    }[row["verdict"]]
    return f"{head}; {verdict}."
