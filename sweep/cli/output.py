"""Results on standard output, notes on standard error."""

import json
import math
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

GAP = "  "


def note(text: str) -> None:
    """Tell a person something on standard error."""
    click.echo(text, err=True)


def warn(text: str) -> None:
    """Warn a person on standard error."""
    click.echo(click.style("warning: ", fg="yellow") + text, err=True)


def print_json(document: object) -> None:
    """Print one JSON document: strict JSON, so that a value that is not finite becomes null."""
    click.echo(json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return value


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: str = "") -> None:
    """Print an aligned table; on a terminal no line is longer than the terminal is wide.

    Args:
        headers: Column titles.
        rows: Cells as text.
        right: One `r` for each column that is aligned to the right, another letter for the rest.
    """
    cells = [[" ".join(cell.split()) if "\n" in cell else cell for cell in row] for row in rows]
    widths = [
        max(len(header), *(len(row[i]) for row in cells)) if cells else len(header)
        for i, header in enumerate(headers)
    ]
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None

    def line(row: Sequence[str]) -> str:
        parts = [
            cell.rjust(width) if right[i : i + 1] == "r" else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        text = GAP.join(parts).rstrip()
        return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"

    click.secho(line(headers), bold=True)
    for row in cells:
        click.echo(line(row))


def print_fields(fields: Mapping[str, Any], *, indent: str = "") -> None:
    """Print `name  value` lines, the values in one column; fields without a value are left out."""
    known = {name: str(value) for name, value in fields.items() if value not in (None, "")}
    width = max(map(len, known), default=0) + len(GAP)
    for name, value in known.items():
        click.echo(f"{indent}{name:<{width}}{value}")
