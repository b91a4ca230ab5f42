"""The services, run as their containers would run them, on a real PostgreSQL.

What is run is what `compose.yaml` and the Dockerfile say: the words of ENTRYPOINT with the
service's command, and no variables but those of both files. A container's directories are under
one of the test's; those that are not in a volume cannot be written to.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from dashboard_client import LOCKED, ask, basic, served
from image_files import DOCKER, stages
from postgres_server import PostgresServer, libpq_environment
from processes import wait_until

from sweep.report.web.access import Access
from sweep.report.web.server import Certificate
from sweep.store import Store

BIN = Path(sys.executable).parent
PATIENCE_SECONDS = 120
# Where nobody can write, root neither, as in a root file system that is read-only.
SEALED = "/dev/null"


class Container:
    """One service; `run` and `started` do what an engine would do with it."""

    def __init__(self, name: str, service: dict[str, Any], directory: Path, port: int) -> None:
        image = stages()[service["build"]["target"]]
        self.directory = directory / name
        self.directory.mkdir()
        self._paths = {"/run/secrets/": f"{directory}/secrets/"}
        for path in ("/var/lib/sweep", "/var/cache/sweep"):
            volumes = {volume["target"]: volume["source"] for volume in service.get("volumes", [])}
            place = directory / "volumes" / volumes[path] if path in volumes else None
            self._paths[path] = f"{SEALED}{path}" if place is None else str(place)
            if place is not None:
                place.mkdir(parents=True, exist_ok=True)
        self._database = f"127.0.0.1:{port}"
        given = image.environment | {k: v for k, v in service["environment"].items() if v}
        self.environment = {name: self._here(value) for name, value in given.items()}
        self.environment["PATH"] = f"{BIN}:/usr/bin:/bin"
        self.words = [*image.words("ENTRYPOINT"), *(service["command"] or image.words("CMD"))]
        (script,) = (text.split() for text in image.all("COPY"))
        self._paths[script[1] + Path(script[0]).name] = str(DOCKER.parent / script[0])
        self.health = [self._here(word) for word in image.words("HEALTHCHECK")]

    def _here(self, text: str) -> str:
        for path, place in self._paths.items():
            text = text.replace(path, place)
        return text.replace("@postgres/", f"@{self._database}/")

    def popen(self, *more: str, **options: Any) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(BIN / self.words[0]), *self.words[1:], *more],
            env=self.environment | {"PYTHONPATH": str(DOCKER.parent)},
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def run(self, *more: str) -> tuple[int, str]:
        process = self.popen(*more)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, output

    def is_healthy(self, port: int) -> bool:
        done = subprocess.run(
            [*self.health, str(port)], env=self.environment, capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr
        assert (done.returncode == 0) == (done.stderr == "")
        return done.returncode == 0


@pytest.fixture
def database(server: PostgresServer, secrets: Path) -> Iterator[PostgresServer]:
    """The server, with the role and the database that the first start of `postgres` makes."""
    if shutil.which("psql") is None:
        pytest.skip("needs the program psql (Debian: apt install postgresql-client)")
    script = (DOCKER / "postgres-role.sh").read_text()
    assert "/run/secrets/database" in script
    owner = libpq_environment(server.url("postgres"))
    subprocess.run(
        ["sh", "-c", script.replace("/run/secrets/database", f'"{secrets}/database"')],
        env={"PATH": os.environ["PATH"], "POSTGRES_USER": owner["PGUSER"], **owner},
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    yield server
    server.execute("DROP DATABASE sweep WITH (FORCE)", "DROP ROLE sweep")


@pytest.fixture
def containers(
    database: PostgresServer, services: dict[str, Any], tmp_path: Path
) -> dict[str, Container]:
    return {
        name: Container(name, service, tmp_path, database.port)
        for name, service in services.items()
        if name != "postgres"
    }


def test_the_role_has_its_database_and_no_more(database: PostgresServer, secrets: Path) -> None:
    password = (secrets / "database").read_text().strip()
    settings: dict[str, Any] = {"host": "127.0.0.1", "port": database.port, "user": "sweep"}
    with psycopg.connect(**settings, password=password, dbname="sweep") as connection:
        rights = (
            "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'sweep'"
        )
        assert connection.execute(rights).fetchone() == (False, False, False)
        owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'sweep'"
        assert connection.execute(owner).fetchone() == ("sweep",)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**settings, password="another", dbname="sweep")


def test_the_tables_are_made_once_by_services_that_start_together(
    containers: dict[str, Container], database: PostgresServer
) -> None:
    processes = [containers["tables"].popen() for _ in range(3)]
    for process in processes:
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert (process.returncode, "the tables are there" in output) == (0, True), output
    with database.connect("sweep") as connection:
        owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        assert connection.execute(owners).fetchall() == [("sweep",)]
    # What compose.yaml says of a newer image.
    tables = containers["tables"]
    tables.words[1:] = ["storage", "upgrade"]
    code, output = tables.run("--debug")
    assert code == 0, output
    assert [*tables.directory.iterdir()] == []


def test_without_its_secret_a_service_says_what_is_missing(
    containers: dict[str, Container], secrets: Path
) -> None:
    (secrets / "database").unlink()
    code, output = containers["tables"].run()
    assert code == 1
    assert "the password of the database cannot be read" in output
    (secrets / "owner").unlink()
    code, output = containers["dashboard"].run()
    assert code == 2
    assert "the password cannot be read" in output


@contextmanager
def dashboard(container: Container, port: int) -> "Iterator[subprocess.Popen[str]]":
    with container.popen("--port", str(port)) as process:
        try:
            healthy = wait_until(
                lambda: container.is_healthy(port) or process.poll() is not None, PATIENCE_SECONDS
            )
            assert healthy
            assert process.poll() is None, process.communicate()[0]
            yield process
        finally:
            process.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.slow
def test_the_dashboard_is_healthy_while_it_serves(
    containers: dict[str, Container], secrets: Path
) -> None:
    container = containers["dashboard"]
    assert containers["tables"].run()[0] == 0
    port, place = free_port(), "/api/studies"
    address = f"http://127.0.0.1:{port}"
    assert not container.is_healthy(port)
    with dashboard(container, port) as process:
        owner, guest = ((secrets / name).read_text().strip() for name in ("owner", "guest"))
        assert ask(address, place)[0] == 401
        assert ask(address, place, basic("owner", "another"))[0] == 401
        assert ask(address, place, basic("guest", guest))[0] == 200
        assert ask(address, place, basic("owner", owner))[0] == 200
        assert ask(address, place, basic("guest", guest), method="POST", body="{}")[0] == 403
        listening = [c.laddr for c in psutil.Process(process.pid).net_connections() if not c.raddr]
        assert ("0.0.0.0", port) in listening
        shown = psutil.Process(process.pid)
        assert "hunter2" not in f"{shown.cmdline()}{shown.environ()}"
        process.send_signal(signal.SIGSTOP)
        assert not container.is_healthy(port)
        process.send_signal(signal.SIGCONT)
        assert wait_until(lambda: container.is_healthy(port), PATIENCE_SECONDS)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)  # Its stop_grace_period.
        assert process.returncode == 0, output
        assert "hunter2" not in output
    assert not container.is_healthy(port)
    assert [*container.directory.iterdir()] == []


STUDY = """\
study: contained
data: {name: synthetic, train_images: 400}
fixed: {depth: 2, epochs: 100000}
search: {activation: [relu, selu]}
pruner: {name: none}
budget: {trials: 4}
"""


@pytest.mark.slow
def test_a_worker_serves_what_is_submitted_and_sets_it_aside_when_it_is_stopped(
    containers: dict[str, Container], database: PostgresServer, tmp_path: Path
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    tables, worker = containers["tables"], containers["worker"]
    assert tables.run()[0] == 0
    tables.words[1:] = ["submit", str(file)]
    code, output = tables.run()
    assert code == 0, output

    def rows(query: str) -> list[tuple[Any, ...]]:
        with database.connect("sweep") as connection:
            return connection.execute(query.encode()).fetchall()

    with worker.popen(start_new_session=True) as process:
        try:
            trained = wait_until(
                lambda: (
                    bool(rows("SELECT 1 FROM sweep_epochs LIMIT 1")) or process.poll() is not None
                ),
                PATIENCE_SECONDS,
            )
            assert trained
            assert process.poll() is None, process.communicate()[0]
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=120)  # Its stop_grace_period.
        finally:
            process.kill()
    assert process.returncode == 0, output
    kept = "SELECT count(*) FROM sweep_trials WHERE checkpoint IS NOT NULL AND epochs > 0"
    assert rows(kept)[0][0] > 0, output
    assert rows("SELECT 1 FROM sweep_runs WHERE ended_at IS NULL") == []
    assert [*worker.directory.iterdir()] == []


# The health check alone


class Broken(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_error(503)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Asking(Broken):
    def do_HEAD(self) -> None:
        self.send_error(401)


@contextmanager
def answering(server: HTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def health(port: int) -> tuple[int, str]:
    words = stages()["cpu"].words("HEALTHCHECK")
    done = subprocess.run(
        [sys.executable, DOCKER / Path(words[1]).name, str(port)], capture_output=True, text=True
    )
    return done.returncode, done.stderr.strip()


def test_health_of_what_answers() -> None:
    with answering(HTTPServer(("127.0.0.1", 0), Broken)) as port:
        assert health(port) == (1, "the dashboard answers with 503")
    with answering(HTTPServer(("127.0.0.1", 0), Asking)) as port:
        assert health(port) == (0, "")


def test_health_of_what_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code, words = health(int(listener.getsockname()[1]))
    assert (code, words) == (1, "the dashboard does not answer: TimeoutError('timed out')")


def test_health_of_a_dashboard_with_tls(tmp_path: Path) -> None:
    files = Certificate(tmp_path / "certificate.pem", tmp_path / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=sweep.example"]
        + ["-keyout", str(files.key), "-out", str(files.certificate)],
        check=True,
        capture_output=True,
    )
    with Store.open(f"sqlite:///{tmp_path / 'sweep.db'}") as store:
        with served(store, Access(**LOCKED), certificate=files) as address:
            port = urlsplit(address).port
            assert port is not None
            assert health(port) == (0, "")
