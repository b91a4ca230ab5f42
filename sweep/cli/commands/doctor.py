"""`sweep doctor`."""

import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweep.cli.command import SweepCommand, data_dir_option, json_option, storage_option
from sweep.cli.output import print_json

if TYPE_CHECKING:
    from sweep.cli.checks import Check

NAME_WIDTH = 15
COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command(
    cls=SweepCommand, examples=("sweep doctor", "sweep doctor --storage runs/a.db --json")
)
@storage_option
@data_dir_option
@json_option
def command(storage: str, data_dir: Path | None, as_json: bool) -> int:
    """Say what works here, what does not, and what to do.

    Looks at versions, devices, data and storage. Ends with exit code 1 if something that `sweep
    run` needs is broken.
    """
    found = []
    for check in _checks(storage, data_dir):
        found.append(check)
        if not as_json:
            _print(check)
    if as_json:
        print_json(
            [
                {"name": c.name, "state": c.state, "found": c.found, "next": c.next_step}
                for c in found
            ]
        )
    return int(any(check.state == "fail" for check in found))


def _checks(storage: str, data_dir: Path | None) -> "Iterator[Check]":
    from sweep.cli import checks

    yield checks.check_python()
    yield from checks.check_packages()
    yield from checks.check_samplers()
    yield from checks.check_devices()
    yield from checks.check_backends()
    yield from checks.check_data(data_dir)
    yield checks.check_storage(storage)


def _print(check: "Check") -> None:
    state = click.style(f"{check.state:<4}", fg=COLORS[check.state])
    lines = _wrapped(check.found)
    if check.next_step:
        lines += _wrapped(f"next: {check.next_step}")
    click.echo(f"{state}  {check.name:<{NAME_WIDTH}}{lines[0]}")
    for line in lines[1:]:
        click.echo(f"{'':<{6 + NAME_WIDTH}}{line}")


def _wrapped(text: str) -> list[str]:
    width = max(40, shutil.get_terminal_size().columns - 6 - NAME_WIDTH)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
