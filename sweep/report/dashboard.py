"""Optuna's dashboard with our figures and notes in it."""

import ipaddress
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import optuna
import optuna_dashboard
from cheroot import wsgi
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from optuna_dashboard._note import (
    note_str_key_prefix,
    note_ver_key,
    save_note_with_version,
)

from sweep.errors import UsageError
from sweep.report.figures import dashboard_charts
from sweep.report.frames import StudyFrames, study_frames
from sweep.report.notes import study_note, trial_note
from sweep.store import Store

ENDED = ("COMPLETE", "PRUNED", "FAIL")
# The dashboard counts a note's version up when a person edits it, so a higher one is theirs.
OUR_NOTE_VERSION = 1
THREADS = 8
WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def publish(store: Store, study: str) -> None:
    """Put our figures and notes onto the study's page; only what changed is written.

    A note that a person edited on the dashboard is left alone from then on.

    Args:
        store: The open store.
        study: Name of the study.

    Raises:
        StoreError: There is no such study, or the database cannot be written.
    """
    rows = store.trial_rows(study)
    frames = study_frames(store, study, rows)
    with store.translated():
        storage = store.optuna_storage
        study_id = storage.get_study_id_from_name(study)
        attributes = storage.get_study_system_attrs(study_id)

        def note(trial_id: int | None, body: str) -> None:
            version = attributes.get(note_ver_key(trial_id), 0)
            if version <= OUR_NOTE_VERSION and _stored_note(attributes, trial_id) != body:
                save_note_with_version(storage, study_id, trial_id, OUR_NOTE_VERSION, body)

        for row in rows:
            if row["state"] in ENDED:
                trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, row["number"])
                note(trial_id, trial_note(row))
        record = store.record(study)
        if record is not None:
            note(None, study_note(frames, record))
        _publish_figures(store.load_study(study), frames, get_plotly_graph_objects(attributes))


def _stored_note(attributes: Mapping[str, Any], trial_id: int | None) -> str:
    """The body of a note; Optuna's own reader looks at every attribute of the study for each."""
    prefix = note_str_key_prefix(trial_id)
    parts: list[str] = []
    while (part := attributes.get(f"{prefix}{len(parts)}")) is not None:
        parts.append(part)
    return "".join(parts)


def _publish_figures(study: optuna.Study, frames: StudyFrames, old: dict[str, str]) -> None:
    for chart in dashboard_charts(frames):
        key = f"sweep-{chart.key}"
        if old.get(key) != chart.figure.to_json():
            optuna_dashboard.save_plotly_graph_object(study, chart.figure, graph_object_id=key)


def serve(
    store_url: str,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    ready: Callable[[str], None],
) -> None:
    """Serve Optuna's dashboard until interrupted.

    Args:
        store_url: Database URL.
        host: A loopback address: the dashboard can delete studies and asks for no password.
        port: TCP port; 0 takes a free one.
        ready: Called with the page's URL once it can be opened.

    Raises:
        StoreError: The database cannot be opened.
        UsageError: Another machine could reach the address, or it is taken.
    """
    with Store.open(store_url, create=False) as store:
        server = make_server(store, host, port)
        try:
            ready(url_of(server))
            server.serve()
        except KeyboardInterrupt:
            pass
        finally:
            server.stop()


def make_server(store: Store, host: str, port: int) -> wsgi.Server:
    """A bound server, one process with several threads, whose `serve` and `stop` are to be called.

    Raises:
        UsageError: Another machine could reach the address, or it is taken.
    """
    if not _is_loopback(host):
        raise UsageError(
            "the dashboard is served to this machine only",
            where="--host",
            expected="127.0.0.1, ::1 or localhost",
            received=repr(host),
            next_step="it can delete studies and asks for no password; to reach it from "
            f"elsewhere, forward a port: ssh -L {port}:127.0.0.1:{port} this-machine",
        )
    _check_free(host, port)
    application = optuna_dashboard.wsgi(store.optuna_storage)
    server = wsgi.Server((host, port), only_local(application), numthreads=THREADS)
    server.prepare()
    return server


def _check_free(host: str, port: int) -> None:
    """Bind once: the server would leave its socket open where it cannot bind."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            "the dashboard cannot listen there",
            where=f"{host}:{port}",
            expected="a free port",
            received=str(error),
            next_step="choose another port with --port; 0 takes any free one",
        ) from error


def url_of(server: wsgi.Server) -> str:
    """Address of the page that a prepared server serves."""
    host, port = server.bind_addr[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/dashboard/"


def only_local(application: WSGIApplication) -> WSGIApplication:
    """Refuse requests made under a foreign name, as a page that rebinds its own DNS name makes."""

    def guarded(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        host = urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname
        if host is not None and _is_loopback(host):
            return application(environ, start)
        start("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"The dashboard answers to 127.0.0.1 and localhost only.\n"]

    return guarded


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
