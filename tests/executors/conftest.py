from pathlib import Path

import pytest
from colour_data import write_data

from sweep.data import DataRef

pytest.register_assert_rewrite("executor_contract")


@pytest.fixture
def data(tmp_path: Path) -> DataRef:
    directory = tmp_path / "data"
    directory.mkdir()
    return write_data(directory, images=500, side=6)
