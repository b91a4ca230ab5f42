"""No test of the data sees this machine's own data, caches or network."""

from pathlib import Path

import pytest

from sweep.data.download import Published


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without data, Keras cache or network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("SWEEP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("SWEEP_DATA_DIR", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    nowhere = Published("http://127.0.0.1:9/cifar-10-python.tar.gz", "0" * 64, 1000)
    monkeypatch.setattr("sweep.data.preparation.PUBLISHED", nowhere)


@pytest.fixture
def told() -> list[str]:
    """Collects what `progress` is told."""
    return []
