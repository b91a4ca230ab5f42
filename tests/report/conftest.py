import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import report_studies
from browser_pages import ARGUMENTS, chromium
from playwright.sync_api import Browser, sync_playwright

from sweep.report.dashboard import publish
from sweep.store import Store


@pytest.fixture(scope="session")
def study_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated study `cifar-deep`, 40 trials, published; copy it, do not write."""
    path = tmp_path_factory.mktemp("report") / "sweep.db"
    with Store.open(f"sqlite:///{path}") as store:
        publish(store, report_studies.fill(store, 40))
    return path


@pytest.fixture
def store(study_database: Path, tmp_path: Path) -> Iterator[Store]:
    """The simulated study, published, in a database of the test's own."""
    path = tmp_path / "sweep.db"
    shutil.copy(study_database, path)
    with Store.open(f"sqlite:///{path}") as opened:
        yield opened


@pytest.fixture
def fresh_store(tmp_path: Path) -> Iterator[Store]:
    """A database without studies."""
    with Store.open(f"sqlite:///{tmp_path / 'fresh.db'}") as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield launched
        launched.close()
