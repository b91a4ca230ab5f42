"""What the Ray executor says where there is no Ray, no cluster, or nothing in it."""

import os
import socket
import time
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from sweep.data import DataRef
from sweep.errors import ExecutorError, UsageError
from sweep.executors import ray as ray_executor
from sweep.executors.ray import RayExecutor


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the executor puts into the environment inside the test."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    os.environ.pop("RAY_ADDRESS", None)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port at which nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("found", [None, ModuleSpec("ray", None)])
def test_without_ray_the_command_that_installs_it_is_named(
    data: DataRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: ModuleSpec | None
) -> None:
    monkeypatch.setattr(ray_executor, "find_spec", lambda name: found)
    with pytest.raises(UsageError, match="Ray is not installed") as caught:
        RayExecutor("softmax", data, log_dir=tmp_path)
    assert caught.value.next_step == "pip install 'sweep[ray]'"


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_an_address_where_nobody_answers(
    data: DataRef, tmp_path: Path, silent_port: int, prefix: str
) -> None:
    address = f"{prefix}127.0.0.1:{silent_port}"
    started = time.monotonic()
    with pytest.raises(ExecutorError, match="no connection to a Ray cluster") as caught:
        RayExecutor("softmax", data, address=address, log_dir=tmp_path)
    assert time.monotonic() - started < 10.0
    assert caught.value.where == address
    assert "refused" in str(caught.value.received)
    assert "--address" in str(caught.value.next_step)


def test_the_address_in_the_environment_counts(
    data: DataRef, tmp_path: Path, silent_port: int
) -> None:
    os.environ["RAY_ADDRESS"] = f"127.0.0.1:{silent_port}"
    with pytest.raises(ExecutorError) as caught:
        RayExecutor("softmax", data, log_dir=tmp_path)
    assert caught.value.where == os.environ["RAY_ADDRESS"]


def test_an_address_that_is_none(data: DataRef, tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match="no connection") as caught:
        RayExecutor("softmax", data, address="nonsense", log_dir=tmp_path)
    assert "nonsense" in str(caught.value.received)


class FakeRay:
    """In the place of `ray.init` and the rest, where no cluster runs on this machine."""

    def __init__(self, nodes: list[dict[str, Any]]) -> None:
        self.started: list[tuple[str, int | None]] = []
        self._nodes = nodes

    def is_initialized(self) -> bool:
        return False

    def init(self, address: str, num_cpus: int | None = None, **_: object) -> None:
        self.started.append((address, num_cpus))
        if address == "auto":
            raise ConnectionError("Could not find any running Ray instance")

    def nodes(self) -> list[dict[str, Any]]:
        return self._nodes

    def shutdown(self) -> None:
        self.started.append(("shut down", None))


def node(alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"Alive": alive, "Resources": resources}


def test_without_a_cluster_one_of_this_machine_is_started(
    data: DataRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sweep.executors import ray_cluster

    fake = FakeRay([node(CPU=50.0)])
    monkeypatch.setattr(ray_cluster, "ray", fake)
    monkeypatch.setattr(ray_cluster, "find_cores", lambda: (0, 2, 4))
    RayExecutor("softmax", data, log_dir=tmp_path).close()
    assert fake.started == [("auto", None), ("local", 3), ("shut down", None)]
    fake.started.clear()
    executor = RayExecutor("softmax", data, log_dir=tmp_path, workers=7)
    assert fake.started == [("auto", None), ("local", 7)]
    assert len(executor.workers) == 7


@pytest.mark.parametrize(
    ("nodes", "workers", "names"),
    [
        ([node(CPU=2.0), node(CPU=1.0), node(False, CPU=8.0)], None, ("cpu0", "cpu1", "cpu2")),
        ([node(CPU=4.0), node(CPU=8.0, GPU=2.0)], None, ("gpu0", "gpu1")),
        # The head of a cluster often has no CPU to give, so that nothing runs there.
        ([node(CPU=0.0, GPU=1.0), node(CPU=8.0, GPU=1.0)], None, ("gpu0",)),
        ([node(CPU=4.0)], 2, ("cpu0", "cpu1")),
        ([node()], 2, ("cpu0", "cpu1")),
    ],
)
def test_the_nodes_say_how_many_workers_there_are(
    data: DataRef,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    nodes: list[dict[str, Any]],
    workers: int | None,
    names: tuple[str, ...],
) -> None:
    from sweep.executors import ray_cluster

    monkeypatch.setattr(ray_cluster, "ray", FakeRay(nodes))
    assert RayExecutor("softmax", data, log_dir=tmp_path, workers=workers).workers == names


def test_a_cluster_without_room_is_left_again(
    data: DataRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sweep.executors import ray_cluster

    fake = FakeRay([node(GPU=1.0)])
    monkeypatch.setattr(ray_cluster, "ray", fake)
    with pytest.raises(ExecutorError, match="no node of the Ray cluster has a CPU"):
        RayExecutor("softmax", data, log_dir=tmp_path)
    assert fake.started[-1] == ("shut down", None)


def test_there_must_be_a_worker(data: DataRef, tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match="at least one worker"):
        RayExecutor("softmax", data, log_dir=tmp_path, workers=0)
