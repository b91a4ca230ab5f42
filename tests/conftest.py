"""What tests of several packages share."""

from collections.abc import Iterator

import pytest
from postgres_server import PostgresServer, running_server

from sweep.store import Store


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this process's own, started when a test first asks for it."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(server: PostgresServer) -> str:
    """The name of a database without studies, to copy."""
    name = server.new_database()
    Store.open(server.url(name)).close()
    return name


@pytest.fixture
def postgres_url(server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """A database of its own for each test, without studies."""
    name = server.new_database(postgres_template)
    yield server.url(name)
    server.drop(name)
