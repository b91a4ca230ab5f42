import shutil
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from postgres_server import PostgresServer, running_server

from sweep.store import Store


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without studies, to copy: making one takes a third of a second."""
    path = tmp_path_factory.mktemp("store") / "empty.db"
    Store.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> Path:
    return Path(shutil.copy(empty_database, tmp_path / "sweep.db"))


@pytest.fixture
def url(database: Path) -> str:
    return f"sqlite:///{database}"


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
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


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as store:
        yield store


@pytest.fixture(autouse=True)
def _quiet_optuna() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)
