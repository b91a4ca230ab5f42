"""Names and numbers as people read them."""

import html
import json

METRIC_NAMES = {
    "val_accuracy": "validation accuracy",
    "val_loss": "validation loss",
    "seconds_per_epoch": "seconds per epoch",
    "parameters": "parameters",
}


def escaped(text: object) -> str:
    """Text that Plotly shows as it is, without reading tags in it."""
    return html.escape(str(text), quote=False)


def metric(name: str) -> str:
    """An objective's name for people."""
    return METRIC_NAMES.get(name, name)


def label(value: object) -> str:
    """A setting's value, short: 0.001 instead of 0.0010000000474974513."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        # 0.99999 is far from 1 as a momentum.
        digits = 6 if 0.99 < value < 1 else 3
        return f"{value:.{digits}g}" if abs(value) < 1e3 else f"{value:.6g}"
    return escaped(value)


def script_json(value: object) -> str:
    """JSON for a script element, which it cannot close."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def duration(seconds: float) -> str:
    """A duration in the two units that matter: `45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"


def plural(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
