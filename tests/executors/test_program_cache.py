"""Where compiled programs are kept."""

import os
from pathlib import Path

import pytest

from sweep.executors import program_cache as module
from sweep.executors.program_cache import cache_environment, program_cache


def test_every_kind_of_processor_and_version_has_a_directory_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = program_cache("tensorflow", tmp_path)
    assert here is not None
    assert here.is_dir()
    assert here == program_cache("tensorflow", tmp_path)
    monkeypatch.setattr(module, "_processor", lambda: "another")
    there = program_cache("tensorflow", tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(module, "version", lambda name: "99.0")
    assert len({here, there, program_cache("tensorflow", tmp_path)}) == 3


def test_the_programs_used_least_recently_make_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = program_cache("tensorflow", tmp_path)
    assert directory is not None
    for age, name in enumerate(("new", "middle", "old")):
        (directory / name).write_bytes(bytes(100))
        os.utime(directory / name, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(module, "_MOST_BYTES", 200)
    assert program_cache("tensorflow", tmp_path) == directory
    assert sorted(path.name for path in directory.iterdir()) == ["middle", "new"]


def test_a_place_that_cannot_be_written_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "programs").write_text("in the way")
    assert program_cache("tensorflow", tmp_path) is None


def test_the_users_own_flags_stay(tmp_path: Path) -> None:
    variables = cache_environment("tensorflow", tmp_path, {"TF_XLA_FLAGS": "--a=1"})
    assert variables == {
        "TF_XLA_FLAGS": f"--a=1 --tf_xla_persistent_cache_directory={tmp_path} "
        "--tf_xla_persistent_cache_device_types=CPU"
    }
    assert cache_environment("jax", tmp_path, {})["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path)
