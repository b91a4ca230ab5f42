"""Effects as plain sentences."""

import math
from collections.abc import Mapping
from typing import Any, Final

# What reads badly if the field's name is merely followed by its value.
_PHRASES: Final = {
    ("batch_norm", "before"): "batch norm before the activation",
    ("batch_norm", "after"): "batch norm after the activation",
    ("batch_norm", "none"): "no batch norm",
    ("dropout", "none"): "no dropout",
    ("dropout", "dropout"): "dropout",
    ("dropout", "alpha_dropout"): "alpha dropout",
    ("schedule", "constant"): "constant learning rate",
    ("early_stopping", "none"): "no early stopping",
}
# Times that differ by less are not worth words.
LEAST_TIME = 1.05


def phrase(setting: str, level: str) -> str:
    """A setting and its value: `activation selu`, `batch norm before the activation`."""
    return _PHRASES.get((setting, level)) or f"{setting.replace('_', ' ')} {level}"


def amount(metric: str, value: float) -> str:
    """A difference in a metric without its unit; accuracies in percentage points."""
    if metric == "val_accuracy":
        return f"{100 * value:.1f}"
    return f"{value:,.0f}" if metric == "parameters" else f"{value:.3g}"


def effect_sentence(metric: str, row: Mapping[str, Any]) -> str:
    """What a row of the effects says: size, interval, time, trials, and reasons for doubt."""
    trials = f"{row['count'] + row['others']} trials"
    name = phrase(row["setting"], row["level"])
    caution = f" ({row['caution']})" if row["caution"] else ""
    if math.isnan(row["low"]):
        return f"{name}: these data cannot say, {trials}{caution}"
    sign = "+" if row["effect"] >= 0 else ""
    ends = f"[{amount(metric, row['low'])}, {amount(metric, row['high'])}]"
    size = f"{sign}{amount(metric, row['effect'])}{unit(metric)} {ends}"
    return f"{name}: {size}{_doubt(row)}{_time(row)}, {trials}{caution}"


def _doubt(row: Mapping[str, Any]) -> str:
    """Whether chance explains the effect, by itself or as one of all those looked at."""
    if row["clear"]:
        return ""
    leaves_zero = row["low"] > 0 or row["high"] < 0
    return ", which may be chance" + (" among so many" if leaves_zero else "")


def unit(metric: str) -> str:
    """What follows a difference in a metric, see `amount`."""
    units = {"val_accuracy": " points", "seconds_per_epoch": " s per epoch"}
    return units.get(metric, f" in {metric.replace('_', ' ')}" if metric != "parameters" else "")


def _time(row: Mapping[str, Any]) -> str:
    """The time per epoch, where it is known to differ by enough."""
    ratio = row["time_ratio"]
    known = row["time_low"] > 1.0 or row["time_high"] < 1.0
    if not known or max(ratio, 1.0 / ratio) < LEAST_TIME:
        return ""
    return f" at {ratio:.2g}x the time per epoch"


def interaction_sentence(metric: str, row: Mapping[str, Any]) -> str:
    """What a row of the interactions says."""
    names = f"{row['first'].replace('_', ' ')} and {row['second'].replace('_', ' ')}"
    if math.isnan(row["p"]):
        return f"{names}: these data cannot say whether they work together"
    share = f"{row['explained']:.1%} of the variance beyond their separate effects"
    if not row["clear"]:
        return f"{names}: {share}, which may be chance"
    one, two = phrase(row["first"], row["first_level"]), phrase(row["second"], row["second_level"])
    sign = "+" if row["beyond"] >= 0 else ""
    size = f"{sign}{amount(metric, row['beyond'])}{unit(metric)}"
    return (
        f"{names}: {share}; {one} with {two}: {size} beyond what both do alone, "
        f"{row['count']} configurations"
    )
