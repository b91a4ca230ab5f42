from pathlib import Path
from typing import Any

import pytest
from image_files import SECRETS, composed


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A directory with a password in each file that the services are given."""
    directory = tmp_path / "secrets"
    directory.mkdir(mode=0o700)
    for name in SECRETS:
        (directory / name).write_text(f"hunter2 of '{name}'\n")
    return directory


@pytest.fixture
def services(secrets: Path) -> dict[str, Any]:
    return composed(secrets)
