"""`sweep studies`."""

from collections.abc import Mapping
from typing import Any

import click

from sweep.cli.command import SweepCommand, json_option, storage_option
from sweep.cli.output import note, print_json, print_table
from sweep.cli.text import metric, moment, short

COUNTED = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "running": "RUNNING"}


@click.command(
    cls=SweepCommand, examples=("sweep studies", "sweep studies --storage runs/a.db --json")
)
@storage_option
@json_option
def command(storage: str, as_json: bool) -> None:
    """List the studies of the database."""
    from sweep.cli.selection import opened

    with opened(storage) as store:
        rows = store.study_rows()
    if as_json:
        print_json([_document(row) for row in rows])
        return
    if not rows:
        note("no studies yet; sweep run FILE starts one")
        return
    print_table(
        ("study", *COUNTED, "best", "trial", "data", "updated"),
        [
            (
                str(row["name"]),
                *(str(row["counts"].get(state, 0)) for state in COUNTED.values()),
                metric(row["best_value"]),
                short(row["best_number"]),
                str(row["data"]) + (" (FALLBACK)" if row["data_is_fallback"] else ""),
                moment(row["updated"]),
            )
            for row in rows
        ],
        right="-rrrrrr",
    )


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "study": row["name"],
        "trials": {name: row["counts"].get(state, 0) for name, state in COUNTED.items()},
        "objectives": row["objectives"],
        "best": row["best_number"],
        "best_value": row["best_value"],
        "data": row["data"],
        "data_is_fallback": row["data_is_fallback"],
        "created": row["created"],
        "updated": row["updated"],
    }
