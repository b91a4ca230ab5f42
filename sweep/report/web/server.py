"""The server of the dashboard: one process, several threads, with or without TLS."""

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import optuna_dashboard
from cheroot import wsgi
from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.ssl.builtin import BuiltinSSLAdapter

from sweep.errors import UsageError
from sweep.report.web.access import Access, Attempts, is_loopback
from sweep.report.web.guard import guarded
from sweep.report.web.site import beside
from sweep.store import Store

THREADS: Final = 8
MOST_HEADER_BYTES: Final = 1 << 16
MOST_BODY_BYTES: Final = 1 << 22
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files for TLS.

    Attributes:
        certificate: The certificate in PEM, followed by those that lead to its root.
        key: Its private key in PEM, without a passphrase.
    """

    certificate: Path
    key: Path


def serve(
    store_url: str,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    access: Access,
    certificate: Certificate | None = None,
    ready: Callable[[str], None],
) -> None:
    """Serve our pages and Optuna's dashboard until interrupted.

    Args:
        store_url: Database URL.
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        access: Who may do what.
        certificate: Serve with TLS.
        ready: Called with the server's address once its pages can be opened.

    Raises:
        StoreError: The database cannot be opened.
        UsageError: Another machine could reach the address and needs no password, the address is
            taken, or the certificate cannot be used.
    """
    with Store.open(store_url, create=False) as store:
        server = make_server(store, host, port, access=access, certificate=certificate)
        try:
            ready(address_of(server))
            server.serve()
        except KeyboardInterrupt:
            pass
        finally:
            server.stop()


def make_server(
    store: Store,
    host: str,
    port: int,
    *,
    access: Access,
    certificate: Certificate | None = None,
) -> wsgi.Server:
    """A bound server, whose `serve` and `stop` are to be called.

    Raises:
        UsageError: Another machine could reach the address and needs no password, the address is
            taken, or the certificate cannot be used.
    """
    if access.is_open and not is_loopback(host):
        raise UsageError(
            "other machines could reach the dashboard, which can delete studies, without a "
            "password",
            where="--host",
            expected="127.0.0.1, ::1 or localhost where there is no password",
            received=repr(host),
            next_step="set one with --password-file or SWEEP_DASHBOARD_PASSWORD; or forward a "
            f"port: ssh -L {port}:127.0.0.1:{port} this-machine",
        )
    adapter = None if certificate is None else _adapter(certificate)
    _check_free(host, port)
    pages = beside(store, optuna_dashboard.wsgi(store.optuna_storage))
    application = guarded(pages, access, Attempts())
    server = _Server((host, port), application, numthreads=THREADS, server_name="sweep")
    server.ssl_adapter = adapter
    server.prepare()
    return server


def address_of(server: wsgi.Server) -> str:
    """Address, on this machine, of a prepared server; `sweep.report.links` says what is there."""
    host, port = server.bind_addr[:2]
    host = _ANYWHERE.get(host, host)
    scheme = "http" if server.ssl_adapter is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _check_free(host: str, port: int) -> None:
    """Bind once: the server would leave its socket open where it cannot bind."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            "the dashboard cannot listen there",
            where=f"{host}:{port}",
            expected="an address of this machine and a free port",
            received=str(error),
            next_step="choose another port with --port; 0 takes any free one",
        ) from error


def _adapter(certificate: Certificate) -> "_Adapter":
    for path in (certificate.certificate, certificate.key):
        if not path.is_file():
            raise UsageError(
                "there is no such file", where="--certificate and --key", received=str(path)
            )
    try:
        return _Adapter(str(certificate.certificate), str(certificate.key))
    except OSError as error:
        raise UsageError(
            "the certificate cannot be used",
            where=f"{certificate.certificate} with {certificate.key}",
            expected="a certificate and its private key, both in PEM",
            received=str(error),
        ) from error


class _Adapter(BuiltinSSLAdapter):
    """TLS whose handshake is left to the thread that serves the connection.

    The thread that accepts connections would wait for each handshake, so that one client which
    connects and says nothing would lock all others out.
    """

    def wrap(self, sock: socket.socket) -> tuple[socket.socket, dict[str, Any]]:
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, {"wsgi.url_scheme": "https", "HTTPS": "on"}


class _Request(HTTPRequest):
    """A request whose chunked body, if it is not read, is not taken for the next request."""

    def send_headers(self) -> None:
        if self.chunked_read:
            self.close_connection = True
        super().send_headers()


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request
    requests_served = 0

    def communicate(self) -> bool:
        if self.server.ssl_adapter is not None and self.requests_served == 0:
            try:
                self.socket.do_handshake()
            except OSError as error:
                _log.debug("no TLS with %s: %s", self.remote_addr, error)
                return False
        self.requests_served += 1
        return bool(super().communicate())  # type: ignore[no-untyped-call] # cheroot's


class _Server(wsgi.Server):
    """A server with limits, whose complaints are log messages."""

    ConnectionClass = _Connection
    max_request_header_size = MOST_HEADER_BYTES
    max_request_body_size = MOST_BODY_BYTES

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        _log.log(level, "%s", msg, exc_info=traceback)
