"""Pieces of HTML that pages are made of; text is escaped here."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sweep.report.figures.style import Chart
from sweep.report.text import escaped, script_json

Cell = object


def figure(chart: Chart, prefix: str = "") -> str:
    """A figure with its text alternative, to be drawn by the page's script.

    Args:
        chart: The figure.
        prefix: Goes before its key, where figures of several studies share a page.
    """
    drawn = drawn_json(chart)
    wide = ' class="wide"' if chart.wide else ""
    height = int(drawn["layout"].get("height", 450))
    key = f"{prefix}{chart.key}"
    return (
        f'<figure{wide}><div class="plot" id="{key}" style="height:{height}px" role="img" '
        f'aria-describedby="{key}-text"></div>'
        f'<figcaption id="{key}-text">{escaped(chart.text)}</figcaption>'
        f'<script type="application/json" data-for="{key}">{script_json(drawn)}</script>'
        "</figure>"
    )


def drawn_json(chart: Chart) -> dict[str, Any]:
    """What Plotly draws: data and layout, without the template, which a page holds once."""
    drawn: dict[str, Any] = json.loads(chart.figure.to_json())
    drawn["layout"].pop("template", None)
    return {"data": drawn["data"], "layout": drawn["layout"]}


def figures(charts: Iterable[Chart], prefix: str = "") -> str:
    """Several figures, see `figure`."""
    return "\n".join(figure(chart, prefix) for chart in charts)


def table(head: Sequence[str] | None, rows: Iterable[Sequence[Cell]], caption: str = "") -> str:
    """A table; without a head, or with a caption, the first cell of each row is the row's."""
    first = "td" if head and not caption else "th"
    scope = ' scope="row"' if caption else ""
    top = "".join(f'<th scope="col">{escaped(name)}</th>' for name in head or ())
    body = "".join(
        f"<tr><{first}{scope}>{escaped(row[0])}</{first}>"
        + "".join(f"<td>{escaped(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    kind = ' class="wrapped"' if caption else ""
    title = f"<caption>{escaped(caption)}</caption>" if caption else ""
    thead = f"<thead><tr>{top}</tr></thead>" if head else ""
    return f'<div class="scroll"><table{kind}>{title}{thead}<tbody>{body}</tbody></table></div>'


def sentences(said: Iterable[str]) -> str:
    """A list of sentences; nothing if there are none."""
    items = "".join(f"<li>{escaped(sentence)}</li>" for sentence in said)
    return f"<ul>{items}</ul>" if items else ""


def warning(data: str, study: str = "") -> str:
    """A loud warning that data stand in for what was asked.

    Args:
        data: Name of the data.
        study: Whose they are, where a page is about several.
    """
    whose = f" of {escaped(study)}" if study else ""
    return (
        f'<p class="warning" role="alert"><strong>{escaped(data)} data{whose} (fallback).'
        "</strong> The data that the study asked for were not to be had; these figures say "
        "nothing about them.</p>"
    )
