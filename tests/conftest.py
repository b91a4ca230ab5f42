"""What tests of several packages share."""

import itertools
from collections.abc import Iterator

import pytest
from postgres_server import PostgresServer, running_server
from s3_server import S3Server, TestBucket, make_bucket, running_s3

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


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3-compatible server of this process's own, started when a test first asks for it."""
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


_bucket_numbers = itertools.count()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> TestBucket:
    """An empty bucket of its own for each test, which boto3 finds by the environment."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    return make_bucket(s3_server, f"bucket-{next(_bucket_numbers)}")
