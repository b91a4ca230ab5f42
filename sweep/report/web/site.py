"""Our pages beside Optuna's dashboard, as one WSGI application."""

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

from bottle import Bottle, HTTPError, HTTPResponse, request

from sweep.errors import NotFoundError, StoreError
from sweep.report import links
from sweep.report.web import answers, index, report
from sweep.report.web.compare import routes as compare
from sweep.report.web.guard import Application, Environ, StartResponse
from sweep.report.web.live import routes as live
from sweep.report.web.reader import Reader
from sweep.report.web.static import asset
from sweep.store import Store

REFUSALS: Final = {
    400: "This request is not understood.",
    404: "There is no such page.",
    405: "These pages can only be read.",
    500: "Something went wrong; the server's log says what.",
}

_log = logging.getLogger(__name__)


def beside(store: Store, optunas: Application) -> Application:
    """One application that answers for our pages, and hands all else to Optuna's.

    Args:
        store: The open store.
        optunas: Optuna's dashboard.
    """
    ours = site(store)

    def choose(environ: Environ, start: StartResponse) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", ""))
        is_ours = path in ("", "/", links.PREFIX) or path.startswith(f"{links.PREFIX}/")
        chosen: Application = ours if is_ours else optunas
        return chosen(environ, start)

    return choose


def site(store: Store) -> Bottle:
    """Our pages; each module of a page adds its routes."""
    app = Bottle()
    for status in REFUSALS:
        app.error(status, callback=_explain)
    app.router.add_filter("study", lambda _: (r".+", _named, None))
    app.install(_in_plain_words)
    for address in ("/", links.PREFIX):
        app.get(address, callback=_to_index)
    app.get(f"{links.ASSETS}<name>", callback=_asset)
    for page in (index, live):
        page.add_routes(app, store)
    reader = Reader(store)
    for page in (compare, report):
        page.add_routes(app, store, reader)
    return app


def _named(text: str) -> str:
    """The name of a study in a path, of which the server leaves quoted slashes alone."""
    return text.replace("%2F", "/")


def _explain(error: HTTPError) -> HTTPResponse:
    """What is not there, is not allowed or went wrong, in the form that was asked for."""
    return _refusal(error.status_code, REFUSALS.get(error.status_code, REFUSALS[500]))


def _in_plain_words(page: Callable[..., Any]) -> Callable[..., Any]:
    """A page whose errors of the database become answers."""

    @functools.wraps(page)
    def answered(*args: Any, **kwargs: Any) -> Any:
        try:
            return page(*args, **kwargs)
        except NotFoundError as error:
            return _refusal(404, _sentence(error))
        except StoreError as error:
            _log.warning("%s %s: %s", request.method, request.path, error)
            return _refusal(503, f"The database cannot be read just now: {error.what}.")

    return answered


def _refusal(status: int, sentence: str) -> HTTPResponse:
    if request.path.startswith(links.API):
        return answers.document({"reason": sentence}, status=status)
    return answers.html("error", status=status, sentence=sentence, is_away=status == 503)


def _sentence(error: NotFoundError) -> str:
    return f"{error.what[:1].upper()}{error.what[1:]}."


def _to_index() -> HTTPResponse:
    return HTTPResponse(b"", 302, {"Location": links.INDEX})


def _asset(name: str) -> HTTPResponse:
    found = asset(name)
    tag = f'"{found.digest}"'
    keep = "max-age=31536000, immutable" if request.query.v == found.digest else "no-cache"
    headers = {
        "Content-Type": found.kind,
        "Content-Security-Policy": answers.POLICY,
        "Cache-Control": f"private, {keep}",
        "ETag": tag,
        "Vary": "Accept-Encoding",
    }
    if request.get_header("If-None-Match") == tag:
        return HTTPResponse(b"", 304, headers)
    if answers.takes_gzip():
        return HTTPResponse(found.packed, 200, headers | {"Content-Encoding": "gzip"})
    return HTTPResponse(found.content, 200, headers)
