"""The page that compares studies: which to choose, and what is said of those chosen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from bottle import Bottle, HTTPResponse, request

from sweep.errors import NotFoundError
from sweep.report import links
from sweep.report.analysis.studies.comparison import overview, verdicts
from sweep.report.figures.comparison import overview_charts, verdict_charts
from sweep.report.figures.style import Chart, template
from sweep.report.frames import StudyFrames
from sweep.report.page.elements import drawn_json
from sweep.report.page.tables import (
    difference_table,
    effect_tables,
    summary_table,
    winner_table,
)
from sweep.report.text import metric
from sweep.report.web import answers
from sweep.report.web.reader import MOST_STUDIES, Reader
from sweep.report.web.static import PLOTLY
from sweep.store import Store

STATES: Final = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}


def add_routes(app: Bottle, store: Store, reader: Reader) -> None:
    """Serve the page and what it asks for."""

    def page() -> HTTPResponse:
        chosen = _chosen()
        rows = {str(row["name"]): _line(row) for row in store.study_rows()}
        missing = next((name for name in chosen if name not in rows), None)
        if missing is not None:
            raise NotFoundError(f"there is no study {missing!r}")
        return answers.html(
            "compare",
            chosen=chosen[:MOST_STUDIES],
            left_out=chosen[MOST_STUDIES:],
            most=MOST_STUDIES,
            # Those chosen come first and in their order, which the form sends again.
            rows=[rows[name] for name in dict.fromkeys((*chosen, *reversed(rows)))],
            templates={"light": template(), "dark": template(dark=True)},
            plotly=PLOTLY,
        )

    def part(make: Callable[[Sequence[StudyFrames]], dict[str, Any]]) -> Callable[[], Any]:
        def answered() -> HTTPResponse:
            names = _chosen()[:MOST_STUDIES]
            if not names:
                raise NotFoundError("no study is named")
            return answers.document(reader.answer(make.__name__, names, make))

        return answered

    app.get(links.COMPARE, callback=page)
    app.get(links.api_compare("overview"), callback=part(overview_document))
    app.get(links.api_compare("verdicts"), callback=part(verdicts_document))


def _chosen() -> list[str]:
    """Names of the studies that the address holds, each once."""
    return list(dict.fromkeys(name for name in request.query.getall("study") if name))


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": row["name"],
        "outcomes": [
            (row["counts"][state], word)
            for state, word in STATES.items()
            if state in row["counts"]
        ],
        "metric": metric(row["objectives"][0]["metric"]),
        "best_value": row["best_value"],
        "best_number": row["best_number"],
        "data": row["data"],
        "is_fallback": row["data_is_fallback"],
        "optuna": links.optuna_study(row["study_id"]),
    }


def overview_document(studies: Sequence[StudyFrames]) -> dict[str, Any]:
    """What studies reached: figures, tables, sentences."""
    found = overview(studies)
    return {
        "figures": _figures(overview_charts(found)),
        "tables": {
            "summary": asdict(summary_table(found)),
            "differences": asdict(difference_table(found)),
            "winners": asdict(winner_table(found)),
        },
        "sentences": {"paces": found.paces, "cautions": found.cautions},
    }


def verdicts_document(studies: Sequence[StudyFrames]) -> dict[str, Any]:
    """Whether studies differ from the first one, and their settings' effects side by side."""
    found = verdicts(studies)
    return {
        "figures": _figures(verdict_charts(found)) if len(studies) > 1 else [],
        "effects": [asdict(table) for table in effect_tables(found)],
        "sentences": {"contrasts": list(found.contrasts["sentence"])},
    }


def _figures(charts: Sequence[Chart]) -> list[dict[str, Any]]:
    return [
        {"key": chart.key, "text": chart.text, "wide": chart.wide, "drawn": drawn_json(chart)}
        for chart in charts
    ]
