"""Addresses of the pages that `sweep dashboard` serves, relative to the server."""

from typing import Final
from urllib.parse import quote

PREFIX: Final = "/sweep"
"""Where our pages begin; all others are Optuna's."""
INDEX: Final = f"{PREFIX}/"
COMPARE: Final = f"{PREFIX}/compare"
OPTUNA: Final = "/dashboard/"
API: Final = f"{PREFIX}/api/"
ASSETS: Final = f"{PREFIX}/assets/"


def live(study: str, number: int | None = None) -> str:
    """The page that follows a running study, opened at a trial if one is named."""
    return _page("live", study) + ("" if number is None else f"#trial-{number}")


def compare(*studies: str) -> str:
    """The page that compares studies, the others with the first one."""
    return COMPARE + _query(studies)


def report(study: str) -> str:
    """The report of a study."""
    return _page("report", study)


def api(what: str, study: str) -> str:
    """JSON about a study."""
    return _page(f"api/{what}", study)


def api_trial(study: str, number: int) -> str:
    """JSON about a trial."""
    return _page(f"api/trial/{number}", study)


def api_compare(part: str, *studies: str) -> str:
    """JSON about several studies: `overview` or `verdicts`."""
    return f"{API}compare/{part}" + _query(studies)


def optuna_study(study_id: int) -> str:
    """The study's page on Optuna's dashboard, by Optuna's id."""
    return f"{OPTUNA}studies/{study_id}"


def optuna_trial(study_id: int, number: int) -> str:
    """A trial's page on Optuna's dashboard."""
    return f"{optuna_study(study_id)}/trials?numbers={number}"


def _query(studies: tuple[str, ...]) -> str:
    pairs = "&".join(f"study={quote(study, safe='')}" for study in studies)
    return f"?{pairs}" if pairs else ""


def _page(kind: str, study: str) -> str:
    return f"{PREFIX}/{kind}/{quote(study, safe='')}"
