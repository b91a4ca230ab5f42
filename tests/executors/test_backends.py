"""What a worker's environment says about the backend of Keras."""

from pathlib import Path

import pytest

from sweep.data import DataRef
from sweep.errors import UsageError
from sweep.executors.backends import backend_environment, check_backend
from sweep.executors.process import ProcessExecutor


def test_tensorflow_takes_a_gpus_memory_as_it_needs_it() -> None:
    assert backend_environment("tensorflow", on_gpu=False, inherited={}) == {
        "KERAS_BACKEND": "tensorflow"
    }
    assert backend_environment("tensorflow", on_gpu=True, inherited={}) == {
        "KERAS_BACKEND": "tensorflow",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }


def test_jax_looks_for_no_gpu_on_a_core() -> None:
    inherited = {"KERAS_BACKEND": "torch", "XLA_FLAGS": "--xla_a=1"}
    assert backend_environment("jax", on_gpu=False, inherited=inherited) == {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
    }


@pytest.mark.parametrize(
    ("inherited", "flags"),
    [
        ({}, "--xla_gpu_deterministic_ops=true"),
        ({"XLA_FLAGS": "--xla_a=1"}, "--xla_a=1 --xla_gpu_deterministic_ops=true"),
    ],
)
def test_jax_on_a_gpu_is_deterministic_beside_what_the_user_set(
    inherited: dict[str, str], flags: str
) -> None:
    assert backend_environment("jax", on_gpu=True, inherited=inherited) == {
        "KERAS_BACKEND": "jax",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "XLA_FLAGS": flags,
    }


def test_a_backend_that_is_not_installed_is_found_before_any_worker_starts(
    data: DataRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_backend("tensorflow")
    monkeypatch.setattr("sweep.spec.advice.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="jax is not installed") as caught:
        ProcessExecutor("fused", data, backend="jax", log_dir=tmp_path / "logs")
    assert "pip install 'sweep[jax]'" in str(caught.value)
    assert not (tmp_path / "logs").exists()
