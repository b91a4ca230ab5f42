"""Values as short text: durations, numbers, configurations, curves. Standard library only."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sweep.trial import FIELDS, TrialConfig, Value

if TYPE_CHECKING:
    from sweep.store.records import TimeSplit

BARS = "▁▂▃▄▅▆▇█"

STATES = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}
"""Words for Optuna's states."""

ABBREVIATIONS: Mapping[str, str] = {
    "activation": "",
    "kernel_initializer": "",
    "optimizer": "",
    "schedule": "",
    "scaling": "",
    "batch_norm": "bn",
    "batch_norm_momentum": "bn_mom",
    "batch_size": "batch",
    "dropout": "",
    "dropout_rate": "rate",
    "learning_rate": "lr",
    "momentum": "mom",
    "weight_decay": "wd",
}
"""Short names; empty where the value says which setting it is."""


def duration(seconds: float | None) -> str:
    """A duration in the two units that matter: `45s`, `3m 20s`, `2h 05m`, `1d 03h`."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f}s" if seconds < 10 else f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02d}h"


def time_split(split: "TimeSplit") -> str | None:
    """How workers and driver spent their time, in one line; None if no worker was ever ready."""
    whole = split.worker_seconds
    if whole <= 0:
        return None
    shares = ", ".join(
        f"{name} {100 * seconds / whole:.1f} %"
        for name, seconds in (
            ("training", split.training_seconds),
            ("compiling", split.compiling_seconds),
            ("idle", split.idle_seconds),
        )
    )
    sampling, storage = duration(split.sampling_seconds), duration(split.storage_seconds)
    return f"{shares}; driver: sampling {sampling}, storage {storage}"


def moment(value: datetime | None) -> str:
    """A time to the second, in this machine's time zone; `-` for none."""
    return "-" if value is None else f"{value.astimezone():%Y-%m-%d %H:%M:%S}"


def plural(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def short(value: object) -> str:
    """A value for people: `-` for nothing, floats to four digits or to what tells them from 1.

    A momentum of 0.99999 is not one of 1.
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = f"{value:.4g}"
        return text if text != "1" or value == 1.0 else f"{value:.8g}"
    return str(value)


def metric(value: float | None) -> str:
    """A metric to four decimals; `-` if it is unknown."""
    return "-" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:.5g}"


def differences(
    config: TrialConfig,
    fixed: Mapping[str, Value] | None = None,
    searched: Iterable[str] = (),
) -> dict[str, Value]:
    """What tells a configuration from the settings that all trials share.

    Args:
        config: The configuration.
        fixed: The study's fixed settings.
        searched: Names of searched fields, shown even at their default.

    Returns:
        Fields that have an effect and are searched or differ from the shared setting.
    """
    shared = TrialConfig(**dict(fixed or {}))  # type: ignore[arg-type]  # checked by the class
    always = set(searched)
    return {
        name: getattr(config, name)
        for name in FIELDS
        if config.is_active(name)
        and (name in always or getattr(config, name) != getattr(shared, name))
    }


def compact(changes: Mapping[str, Value]) -> str:
    """Differences in one line, what is switched off left out: `swish sgd lr=0.05 mom=0.9`."""
    words = []
    for name, value in changes.items():
        if value in ("none", False, 0):
            continue
        label = ABBREVIATIONS.get(name, name)
        alone = not label and isinstance(value, str)
        words.append(short(value) if alone else f"{label or name}={short(value)}")
    return " ".join(words) or "plain"


def sparkline(
    values: Sequence[float | None],
    *,
    width: int = 16,
    low: float | None = None,
    high: float | None = None,
) -> str:
    """A curve as bars; a longer curve is averaged to `width` bars, unknown points are blank.

    Args:
        values: One number for each epoch.
        width: Most characters.
        low: Value of the lowest bar; the smallest of `values` if not given.
        high: Value of the highest bar; the largest of `values` if not given.
    """
    points = _resample([v if v is not None and math.isfinite(v) else None for v in values], width)
    known = [point for point in points if point is not None]
    if not known:
        return " " * len(points)
    low = min(known) if low is None else low
    high = max(known) if high is None else high
    span = high - low
    return "".join(" " if point is None else _bar(point, low, span) for point in points)


def _bar(point: float, low: float, span: float) -> str:
    share = (point - low) / span if span > 0 else 0.0
    return BARS[min(len(BARS) - 1, max(0, int(share * len(BARS))))]


def _resample(values: Sequence[float | None], width: int) -> list[float | None]:
    if len(values) <= width:
        return list(values)
    edges = [round(i * len(values) / width) for i in range(width + 1)]
    return [_mean(values[a:b]) for a, b in zip(edges, edges[1:], strict=False)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
