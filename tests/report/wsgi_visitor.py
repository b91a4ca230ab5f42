"""Requests to a WSGI application without a server."""

import gzip
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.util import setup_testing_defaults

from sweep.report.web.guard import Application


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        packed = self.headers.get("content-encoding") == "gzip"
        return (gzip.decompress(self.body) if packed else self.body).decode()

    @property
    def json(self) -> Any:
        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        assert self.headers["content-type"] == "application/json"
        return json.loads(self.text, parse_constant=refuse)


def visit(
    application: Application,
    address: str,
    headers: dict[str, str] | None = None,
    *,
    method: str = "GET",
) -> Answer:
    """Ask as a browser on this machine does; header names as in HTTP."""
    path, _, query = address.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        # Servers hand paths on as the bytes that they are.
        "PATH_INFO": unquote_to_bytes(path).decode("latin1"),
        "QUERY_STRING": query,
    }
    for name, value in ({"Host": "127.0.0.1"} | (headers or {})).items():
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    setup_testing_defaults(environ)
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        begun.append((status, headers))

    body = application(environ, start)
    content = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    ((status, given),) = begun
    return Answer(int(status[:3]), {name.lower(): value for name, value in given}, content)
