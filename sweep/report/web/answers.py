"""How our pages answer: HTML from templates, strict JSON, compressed where the browser takes it.

Templates lie in `assets/*.tpl`. They are Bottle's, which escape whatever they print.
"""

import gzip
import json
import math
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Final

from bottle import HTTPResponse, SimpleTemplate, request

from sweep.report import links
from sweep.report.text import label, plural, script_json
from sweep.report.web.static import asset_url
from sweep.store import Store

POLICY: Final = ";".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        # Plotly writes styles into its elements.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
    )
)
"""No script but our own files, and nothing from elsewhere."""
SHARED: Final = {
    "links": links,
    "asset_url": asset_url,
    "label": label,
    "plural": plural,
    "script_json": script_json,
}
"""What every template may use."""
HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"
_LEAST_PACKED_BYTES: Final = 1400


def html(template: str, *, status: int = 200, **values: Any) -> HTTPResponse:
    """A page made from a template; values are escaped where they are printed."""
    return answer(rendered(template, **values).encode(), HTML, status=status)


def rendered(template: str, **values: Any) -> str:
    """HTML made from a template; values are escaped where they are printed."""
    return str(_template(template).render(SHARED | values))


def navigation(store: Store, study: str, here: str) -> str:
    """The links at the top of a study's pages.

    Args:
        store: The open store.
        study: Name of the study.
        here: The page itself: `live`, `compare` or `report`.

    Raises:
        NotFoundError: There is no such study.
    """
    optuna = links.optuna_study(store.study_id(study))
    return rendered("navigation", study=study, here=here, optuna=optuna)


def document(value: object, *, status: int = 200) -> HTTPResponse:
    """A JSON document; numbers that are not finite become null, times seconds since 1970."""
    text = json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return answer(text.encode(), JSON, status=status)


def answer(body: bytes, kind: str, *, status: int = 200) -> HTTPResponse:
    """An answer that is not kept, compressed if it is worth it."""
    headers = {"Content-Type": kind, "Content-Security-Policy": POLICY, "Vary": "Accept-Encoding"}
    if len(body) >= _LEAST_PACKED_BYTES and takes_gzip():
        # Fast rather than small: it is done anew each time.
        body = gzip.compress(body, compresslevel=3, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return HTTPResponse(body, status, headers)


def takes_gzip() -> bool:
    """Whether the client of the present request unpacks gzip."""
    wanted = str(request.get_header("Accept-Encoding", ""))
    for coding in wanted.split(","):
        name, _, quality = coding.partition(";")
        if name.strip().lower() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


@cache
def _template(name: str) -> SimpleTemplate:
    directory = resources.files("sweep.report.web").joinpath("assets")
    return SimpleTemplate(name=f"{name}.tpl", lookup=[str(directory)])


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.timestamp()
    return value
