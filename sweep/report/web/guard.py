"""What stands between the network and the pages: Optuna's dashboard lets everyone do all.

Every request passes, in this order: its host name, where there is no password to protect against
pages that rebind their own name to this machine; its origin, since browsers add the password to
requests that other sites make them send; the visitor's password; and the role, since a guest may
use the methods that change nothing, and no others.
"""

import base64
import binascii
import json
import logging
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from sweep.report.links import API, ASSETS, OPTUNA
from sweep.report.web.access import Access, Attempts, Role, is_loopback

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

HARMLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing; all others are the owner's."""
LOGIN: Final = "/login"
"""Asks for the owner's password, where looking needs none or a guest has logged in."""
RENAMING: Final = re.compile(r"/api/studies/\d+/rename")
"""Optuna's page renames a study by copying its own rows and deleting the study, ours with it."""
CHALLENGE: Final = ("WWW-Authenticate", 'Basic realm="sweep dashboard", charset="UTF-8"')
_OURS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PAGE_POLICY: Final = "frame-ancestors 'none';base-uri 'none';form-action 'self'"
# Optuna's page has a policy of its own; whatever else is served needs nothing but inline style.
_OTHER_POLICY: Final = f"default-src 'none';style-src 'unsafe-inline';{_PAGE_POLICY}"
_UNCHANGING: Final = ("/static/", "/favicon.ico", ASSETS)
_JSON: Final = ("/api/", API)

_log = logging.getLogger(__name__)


class Refusal(Exception):
    """A request that is not passed on; the arguments become the answer."""

    def __init__(self, status: str, message: str, *headers: tuple[str, str]) -> None:
        """Answer with a status, a sentence and further headers."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


def guarded(application: Application, access: Access, attempts: Attempts) -> Application:
    """An application that passes on what `access` allows and refuses the rest.

    Args:
        application: Optuna's dashboard, with our pages beside it.
        access: Who may do what.
        attempts: Slows down those who guess passwords.
    """

    def guard(environ: Environ, start: StartResponse) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", ""))

        def secured(status: str, headers: Headers, *exception: Any) -> Any:
            return start(status, _secured(headers, path), *exception)

        try:
            _admit(environ, path, access, attempts)
        except Refusal as refusal:
            body = _refuse(refusal, path, secured)
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
        return application(environ, secured)

    return guard


def _admit(environ: Environ, path: str, access: Access, attempts: Attempts) -> None:
    if access.is_open and not is_loopback(_host_name(environ)):
        raise Refusal(
            "403 Forbidden", "Without a password, only 127.0.0.1 and localhost are answered."
        )
    changes = environ["REQUEST_METHOD"] not in HARMLESS
    if _is_foreign(environ, changes=changes):
        raise Refusal("403 Forbidden", "Another site made this request.")
    role = Role.OWNER if access.is_open else _identify(environ, path, access, attempts)
    if changes and role is not Role.OWNER:
        raise Refusal(
            "403 Forbidden",
            f"Read-only: this would change something. {LOGIN} asks for the owner's password.",
        )
    if changes and RENAMING.fullmatch(path):
        raise Refusal(
            "409 Conflict",
            "Optuna's dashboard renames a study by making another one, without its epochs: run "
            "the study file under the new name instead.",
        )
    if path == LOGIN:
        if role is not Role.OWNER:
            raise Refusal("401 Unauthorized", "Log in as owner, with the password.", CHALLENGE)
        raise Refusal("303 See Other", "You are logged in.", ("Location", OPTUNA))


def _identify(environ: Environ, path: str, access: Access, attempts: Attempts) -> Role:
    header = environ.get("HTTP_AUTHORIZATION")
    if header is None:
        if access.public_read:
            return Role.GUEST
        raise Refusal(
            "401 Unauthorized", "Log in as owner or guest, with the password.", CHALLENGE
        )
    address = str(environ.get("REMOTE_ADDR", ""))
    roles: list[Role] = []

    def is_right() -> bool:
        role = access.role_of(_credentials(header))
        roles.extend([role] if role else [])
        return role is not None

    if wait_seconds := attempts.judge(address, is_right):
        raise Refusal(
            "429 Too Many Requests",
            "Too many wrong passwords came from your address; wait a little.",
            ("Retry-After", str(math.ceil(wait_seconds))),
        )
    if not roles:
        _log.warning("a login to the dashboard from %s failed", address)
        raise Refusal("401 Unauthorized", "User name or password are wrong.", CHALLENGE)
    return roles[0]


def _credentials(header: str) -> bytes:
    """The `name:password` of a Basic header; empty, and so wrong, if it is none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _host_name(environ: Environ) -> str:
    try:
        return urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname or ""
    except ValueError:
        return ""


def _is_foreign(environ: Environ, *, changes: bool) -> bool:
    """Whether a browser says that another site made the request.

    Following a link from there is fine. Programs that are no browsers say nothing, and no site
    can make them send a request. Browsers name the origin where they do not say `Sec-Fetch-Site`,
    which they leave out on pages that came neither encrypted nor from this machine.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        follows_link = (
            environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
            and environ.get("HTTP_SEC_FETCH_DEST") == "document"
        )
        return site not in ("same-origin", "none") and (changes or not follows_link)
    origin = environ.get("HTTP_ORIGIN")
    if origin is None or not changes:
        return False
    return str(origin).partition("://")[2].lower() != str(environ.get("HTTP_HOST", "")).lower()


def _secured(headers: Headers, path: str) -> Headers:
    """The application's headers, with ours added and leave for other sites taken away."""
    kept = {
        name: value
        for name, value in headers
        if name.lower() not in ("cache-control", "content-security-policy")
        and not name.lower().startswith("access-control-")
    }
    policies = [value for name, value in headers if name.lower() == "content-security-policy"]
    policy = f"{policies[0]};{_PAGE_POLICY}" if policies else _OTHER_POLICY
    kept["Content-Security-Policy"] = policy
    kept["Cache-Control"] = _keeping(headers, path)
    return [*(kept | _OURS).items()]


def _keeping(headers: Headers, path: str) -> str:
    """How long a browser may keep an answer; our own files know best."""
    if not path.startswith(_UNCHANGING):
        return "no-store"
    given = dict(headers).get("Cache-Control", "") if path.startswith(ASSETS) else ""
    return given or "private, no-cache"


def _refuse(refusal: Refusal, path: str, start: StartResponse) -> bytes:
    """Answer in the form that the page, or a person, reads; returns the body."""
    if path.startswith(_JSON):
        kind, body = "application/json", json.dumps({"reason": refusal.message})
    else:
        kind, body = "text/plain; charset=utf-8", refusal.message + "\n"
    content = body.encode()
    headers = [("Content-Type", kind), ("Content-Length", str(len(content))), *refusal.headers]
    start(refusal.status, headers)
    return content
