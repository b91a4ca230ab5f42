"""What is written down of a study when it starts."""

from importlib.metadata import version
from pathlib import Path

import pytest

from sweep.data import DataRef
from sweep.driver.provenance import study_record
from sweep.spec import parse_study

DATA = DataRef(Path("."), "small", False, "f00d", (0, 10), (10, 12), 10)


@pytest.mark.parametrize(("backend", "other"), [("tensorflow", "jax"), ("jax", "tensorflow")])
def test_the_versions_are_those_of_what_trains(backend: str, other: str) -> None:
    spec = parse_study(f"study: a\nengine: fused\nbackend: {backend}")
    versions = study_record(spec, DATA).versions
    assert versions[backend] == version(backend)
    assert {"sweep", "python", "keras", "numpy"} <= versions.keys()
    assert other not in versions
