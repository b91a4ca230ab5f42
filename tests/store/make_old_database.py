"""Keeps a PostgreSQL database of today's revision for the tests of later migrations.

    python tests/store/make_old_database.py     writes old_databases/rREVISION.sql.gz

Run it before a revision is added. (`r0001.sql.gz` holds the rows of `r0001.db.gz`, in tables that
the revision 0001 made: the program did not use PostgreSQL then.)
"""

import gzip
import subprocess
from pathlib import Path

from postgres_server import binaries, libpq_environment, running_server
from store_samples import complete, driving, end, fail, result, start

from sweep.store import Store
from sweep.store.schema import REVISION
from sweep.trial import StopReason

DIRECTORY = Path(__file__).parent / "old_databases"


def fill(url: str) -> None:
    with Store.open(url) as store, driving(store) as run:
        trial = start(run)
        end(run, result(trial.number, remark="alone"))
        run.study.tell(trial, 0.5)
        complete(run, 0.1, StopReason.DIVERGED)
        fail(run)
        start(run)
        run.worker_ready("cpu0", 4321, "host", "cpu:0", "reference")
        store.log("quickstart", "info", "a message")


def dump(url: str) -> str:
    """The database as statements that any client can send."""
    done = subprocess.run(
        [str(binaries() / "pg_dump"), "--inserts", "--no-owner", "--no-privileges"],
        env=libpq_environment(url),
        capture_output=True,
        text=True,
        check=True,
    )
    # What begins with a backslash is for `psql` alone.
    return "".join(line for line in done.stdout.splitlines(True) if not line.startswith("\\"))


def main() -> None:
    with running_server() as server:
        url = server.url(server.new_database())
        fill(url)
        path = DIRECTORY / f"r{REVISION}.sql.gz"
        path.write_bytes(gzip.compress(dump(url).encode(), mtime=0))


if __name__ == "__main__":
    main()
