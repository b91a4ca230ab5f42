"""`sweep dashboard`."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from sweep.cli.command import SweepCommand, storage_option
from sweep.cli.output import note
from sweep.errors import SweepError

if TYPE_CHECKING:
    from sweep.store import Store

REFRESH_SECONDS = 60.0

_log = logging.getLogger(__name__)


@click.command(
    cls=SweepCommand, examples=("sweep dashboard", "sweep dashboard --port 8100 --no-browser")
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@storage_option
def command(host: str, port: int, no_browser: bool, storage: str) -> None:
    """Serve Optuna's dashboard with our figures in it, until Ctrl-C.

    It has no login, so it is served to this machine only.
    """
    from sweep.cli.selection import opened
    from sweep.report.dashboard import serve

    def ready(url: str) -> None:
        click.echo(f"dashboard: {url}")
        note("Ctrl-C ends it")
        if not no_browser:
            click.launch(url)

    with opened(storage) as store, _refreshed(store):
        serve(store.url, host, port, ready=ready)


@contextmanager
def _refreshed(store: "Store") -> Iterator[None]:
    """Publish figures and notes of every study now, and of those that moved on every minute."""
    seen: dict[str, object] = {}
    _publish_changed(store, seen)
    ended = threading.Event()
    thread = threading.Thread(target=_refresh, args=(store, seen, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _refresh(store: "Store", seen: dict[str, object], ended: threading.Event) -> None:
    while not ended.wait(REFRESH_SECONDS):
        try:
            _publish_changed(store, seen)
        except SweepError as error:
            _log.warning("the figures were not refreshed: %s", error)


def _publish_changed(store: "Store", seen: dict[str, object]) -> None:
    from sweep.report.dashboard import publish

    for row in store.study_rows():
        if seen.get(row["name"]) != row["updated"]:
            publish(store, row["name"])
            seen[row["name"]] = row["updated"]
