import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import optuna
import pytest
from postgres_server import PostgresServer
from store_samples import driving

from sweep.store import Store, StudyRun


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


@pytest.fixture(params=["sqlite", "postgresql"])
def new_blank_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes a database without tables at each call: for tests that both kinds must pass."""
    if request.param == "sqlite":
        numbers = count()
        yield lambda: f"sqlite:///{tmp_path / f'blank{next(numbers)}.db'}"
    else:
        yield from _databases(request.getfixturevalue("server"), "template1")


def _databases(server: PostgresServer, template: str) -> Iterator[Callable[[], str]]:
    made: list[str] = []

    def new() -> str:
        made.append(server.new_database(template))
        return server.url(made[-1])

    yield new
    for name in made:
        server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes a database without studies at each call: for tests that both kinds must pass."""
    if request.param == "sqlite":
        empty = request.getfixturevalue("empty_database")
        names = (tmp_path / f"{number}.db" for number in count())
        yield lambda: f"sqlite:///{shutil.copy(empty, next(names))}"
    else:
        template = request.getfixturevalue("postgres_template")
        yield from _databases(request.getfixturevalue("server"), template)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as store:
        yield store


@pytest.fixture
def run(store: Store) -> Iterator[StudyRun]:
    """A run of a new study."""
    with driving(store) as run:
        yield run


@pytest.fixture(autouse=True)
def _quiet_optuna() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)
