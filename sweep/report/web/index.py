"""The first page: every study of the database, and where to look at it."""

from collections.abc import Mapping
from typing import Any

from bottle import Bottle, HTTPResponse

from sweep.budget import state_of
from sweep.report import links
from sweep.report.text import metric
from sweep.report.web import answers
from sweep.report.web.live.terms import terms_of
from sweep.store import Store


def add_routes(app: Bottle, store: Store) -> None:
    """Serve the page."""

    def index() -> HTTPResponse:
        studies = [_line(store, row) for row in store.study_rows()]
        return answers.html("index", studies=studies[::-1])

    app.get(links.INDEX, callback=index)


def _line(store: Store, row: Mapping[str, Any]) -> dict[str, Any]:
    counts = row["counts"]
    budget = terms_of(row["spec"]).budget
    outlook = store.outlook(row["name"])
    is_driven = bool(store.drivers(row["name"]))
    finished = sum(counts.get(state, 0) for state in ("COMPLETE", "PRUNED", "FAIL"))
    finished -= row["retried"]
    spent = budget.ending(row["best_value"], outlook)
    is_over = finished >= budget.trials or (spent is not None and not is_driven)
    return {
        "name": row["name"],
        "state": state_of(outlook.wanted, is_over=is_over, is_driven=is_driven),
        "asked": budget.trials,
        "finished": finished,
        "complete": counts.get("COMPLETE", 0),
        "pruned": counts.get("PRUNED", 0),
        "failed": counts.get("FAIL", 0) - row["retried"],
        "running": counts.get("RUNNING", 0),
        "metric": metric(row["objectives"][0]["metric"]),
        "best_value": row["best_value"],
        "best_number": row["best_number"],
        "data": row["data"],
        "is_fallback": row["data_is_fallback"],
        "updated": row["updated"],
        "optuna": links.optuna_study(row["study_id"]),
    }
