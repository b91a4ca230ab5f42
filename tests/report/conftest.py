import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import report_studies

from sweep.store import Store


@pytest.fixture(scope="session")
def study_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the simulated study `cifar-deep` of 40 trials; copy it, do not write."""
    path = tmp_path_factory.mktemp("report") / "sweep.db"
    with Store.open(f"sqlite:///{path}") as store:
        report_studies.fill(store, 40)
    return path


@pytest.fixture
def store(study_database: Path, tmp_path: Path) -> Iterator[Store]:
    """The simulated study in a database of the test's own."""
    path = tmp_path / "sweep.db"
    shutil.copy(study_database, path)
    with Store.open(f"sqlite:///{path}") as opened:
        yield opened


@pytest.fixture
def fresh_store(tmp_path: Path) -> Iterator[Store]:
    """A database without studies."""
    with Store.open(f"sqlite:///{tmp_path / 'fresh.db'}") as opened:
        yield opened
