"""A dashboard that serves, and what curl would send it."""

import base64
import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from sweep.report.links import OPTUNA
from sweep.report.web.access import Access
from sweep.report.web.server import Certificate, address_of, make_server
from sweep.store import Store

PATIENCE_SECONDS = 120  # Loaded machines are slow, and nothing here waits in vain.
OWNER, GUEST = "the owner's secret", "für Gäste: lesen"
LOCKED = {"owner_password": OWNER, "guest_password": GUEST}


@contextmanager
def served(
    store: Store,
    access: Access,
    *,
    host: str = "127.0.0.1",
    certificate: Certificate | None = None,
) -> Iterator[str]:
    """The URL of Optuna's page of a dashboard that serves while the block runs."""
    server = make_server(store, host, 0, access=access, certificate=certificate)
    server.expiration_interval = 0.02  # It stops after that long.
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield f"{address_of(server)}{OPTUNA}"
    finally:
        server.stop()
        thread.join()


def basic(name: str, password: str) -> dict[str, str]:
    """The header that logs in."""
    encoded = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def ask(
    address: str,
    path: str,
    headers: dict[str, str] | None = None,
    *,
    method: str = "GET",
    body: str | None = None,
    authority: Path | None = None,
) -> tuple[int, str, dict[str, str]]:
    """One request; status, body and headers of the answer, their names in lower case."""
    parts = urlsplit(address)
    assert parts.hostname is not None
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=authority)
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=PATIENCE_SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection(
            parts.hostname, parts.port, timeout=PATIENCE_SECONDS
        )
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        return response.status, text, {k.lower(): v for k, v in response.getheaders()}
    finally:
        connection.close()


def speak(address: str, words: bytes) -> bytes:
    """Send bytes and return what comes back until the server closes, or says no more."""
    parts = urlsplit(address)
    assert parts.port is not None
    with socket.create_connection(
        (parts.hostname or "", parts.port), timeout=PATIENCE_SECONDS
    ) as connection:
        connection.sendall(words)
        answer = b""
        with contextlib.suppress(TimeoutError):
            while chunk := connection.recv(65536):
                answer += chunk
                connection.settimeout(1)
    return answer
