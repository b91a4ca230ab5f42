"""`sweep dashboard`."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweep.cli.command import SweepCommand, storage_option
from sweep.cli.output import note, warn
from sweep.errors import SweepError

if TYPE_CHECKING:
    from sweep.report.dashboard import Publisher
    from sweep.store import Store

REFRESH_SECONDS = 60.0
_FILE = click.Path(path_type=Path)

_log = logging.getLogger(__name__)


@click.command(
    cls=SweepCommand,
    examples=(
        "sweep dashboard",
        "sweep dashboard --port 8100 --no-browser",
        "sweep dashboard --host 0.0.0.0 --password-file owner.txt --public-read",
    ),
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; 0.0.0.0 for all of this machine's.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option(
    "--password-file",
    type=_FILE,
    metavar="FILE",
    envvar="SWEEP_DASHBOARD_PASSWORD_FILE",
    show_envvar=True,
    help="Holds the password of the user `owner`, who may change things.",
)
@click.option(
    "--guest-password-file",
    type=_FILE,
    metavar="FILE",
    envvar="SWEEP_DASHBOARD_GUEST_PASSWORD_FILE",
    show_envvar=True,
    help="Holds the password of the user `guest`, who may look.",
)
@click.option("--public-read", is_flag=True, help="Let everyone look without a password.")
@click.option(
    "--certificate", type=_FILE, metavar="FILE", help="Serve with TLS: certificate chain, PEM."
)
@click.option("--key", type=_FILE, metavar="FILE", help="Private key of the certificate, PEM.")
@storage_option
def command(
    host: str,
    port: int,
    no_browser: bool,
    password_file: Path | None,
    guest_password_file: Path | None,
    public_read: bool,
    certificate: Path | None,
    key: Path | None,
    storage: str,
) -> None:
    """Serve live and compare pages, and Optuna's dashboard.

    Without a password, whoever reaches it may look, edit and delete: on 127.0.0.1 that is everyone
    who is logged in on this machine, and other addresses are refused. With one, the user `owner`
    may do all that, and the user `guest` may only look. The page `/login` asks for the owner's
    password where a guest or everyone may look.

    The variables SWEEP_DASHBOARD_PASSWORD and SWEEP_DASHBOARD_GUEST_PASSWORD may hold the
    passwords themselves.
    """
    if (certificate is None) != (key is None):
        raise click.UsageError("--certificate and --key belong together.")
    from sweep.cli.interrupt import leaving_on_sigterm
    from sweep.cli.selection import opened
    from sweep.report import links
    from sweep.report.web.access import Access, is_loopback, take_password
    from sweep.report.web.server import Certificate, serve

    access = Access(
        take_password(password_file, "SWEEP_DASHBOARD_PASSWORD"),
        take_password(guest_password_file, "SWEEP_DASHBOARD_GUEST_PASSWORD"),
        public_read=public_read,
    )
    tls = Certificate(certificate, key) if certificate and key else None

    def ready(address: str) -> None:
        if access.has_passwords and tls is None and not is_loopback(host):
            warn("passwords travel unencrypted: give --certificate and --key, or use a TLS proxy")
        click.echo(f"dashboard: {address}{links.OPTUNA}")
        click.echo(f"studies: {address}{links.INDEX}")
        note("Ctrl-C ends it")
        if not no_browser:
            click.launch(f"{address}{links.INDEX}")

    with leaving_on_sigterm(), opened(storage) as store, _refreshed(store):
        serve(store.url, host, port, access=access, certificate=tls, ready=ready)


@contextmanager
def _refreshed(store: "Store") -> Iterator[None]:
    """Publish figures and notes of every study now, and of those that moved on every minute."""
    from sweep.report.dashboard import Publisher

    publisher = Publisher(store)
    publisher.refresh()
    ended = threading.Event()
    thread = threading.Thread(target=_refresh, args=(publisher, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _refresh(publisher: "Publisher", ended: threading.Event) -> None:
    while not ended.wait(REFRESH_SECONDS):
        try:
            publisher.refresh()
        except SweepError as error:
            _log.warning("the figures were not refreshed: %s", error)
