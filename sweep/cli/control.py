"""`sweep pause`, `resume`, `stop` and `cancel`: what becomes of a study, wherever it is driven."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from sweep.cli.output import note, print_json

if TYPE_CHECKING:
    from sweep.store import Store, Wanted

WAIT_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.2


def control(store: "Store", study: str, wanted: "Wanted", *, waits: bool) -> dict[str, Any]:
    """Say what is to become of a study; returns how it stands, as `--json` prints it.

    Args:
        store: Where it is.
        study: Its name.
        wanted: What is to become of it.
        waits: Wait until those who drive it are done with it, `WAIT_SECONDS` at most.
    """
    store.queue.want(study, wanted)
    until = time.monotonic() + (WAIT_SECONDS if waits else 0.0)
    while (drivers := store.drivers(study)) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    return {
        "study": study,
        "wanted": wanted.value,
        "drivers": [{"pid": driver.pid, "host": driver.host} for driver in drivers],
    }


def print_control(document: Mapping[str, Any], done: str, pending: str, *, as_json: bool) -> None:
    """Print how a study stands.

    Args:
        document: As `control` returns it.
        done: What to say when nobody drives the study any more.
        pending: What those who still do are doing.
        as_json: Print the document instead.
    """
    if as_json:
        print_json(document)
        return
    if not document["drivers"]:
        click.echo(f"{document['study']} {done}")
        return
    who = ", ".join(f"process {d['pid']} on {d['host']}" for d in document["drivers"])
    click.echo(f"{document['study']} {pending}: {who}")
    note(f"sweep status {document['study']} shows how far it is")
