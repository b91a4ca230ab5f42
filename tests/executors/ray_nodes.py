"""A real Ray cluster on this machine, several nodes of one CPU each, for tests."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
import pytest
from ray.cluster_utils import Cluster

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_OBJECT_BYTES = 80 << 20
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A node that died is missed after five seconds.
    "RAY_health_check_period_ms": "1000",
    # On a machine that has much else to do everything takes its time.
    "RAY_worker_register_timeout_seconds": "120",
    # The nodes find what the tests find.
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE), str(ROOT / "tests" / "cli")]),
}


class Nodes:
    """The cluster: the head stays, the other nodes come and go."""

    def __init__(self, count: int, directory: Path) -> None:
        """Start it; every node keeps decoded data in `directory/NUMBER`."""
        self._cluster = Cluster()
        self._nodes: list[Any] = []
        self._directory = directory
        self._started = 0
        self.fill(count)

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def fill(self, count: int) -> None:
        """Start nodes until there are so many."""
        while len(self._nodes) < count:
            os.environ["SWEEP_CACHE_DIR"] = str(self._directory / str(self._started))
            node = self._cluster.add_node(
                num_cpus=1, object_store_memory=_OBJECT_BYTES, include_dashboard=False
            )
            self._nodes.append(node)
            self._started += 1

    def is_on_head(self, pid: int) -> bool:
        """Whether the process descends from the head's daemon."""
        return self._node_of(pid) is self._nodes[0]

    def kill_node_of(self, pid: int) -> None:
        """Kill the daemon of the node that the process descends from, and nothing else."""
        node = self._node_of(pid)
        (raylet,) = node.all_processes["raylet"]
        raylet.process.kill()
        self._nodes.remove(node)

    def _node_of(self, pid: int) -> Any:
        ancestors = {parent.pid for parent in psutil.Process(pid).parents()}
        for node in self._nodes:
            (raylet,) = node.all_processes["raylet"]
            if raylet.process.pid in ancestors:
                return node
        raise LookupError(pid)

    def stop(self) -> None:
        """Stop all processes of the cluster."""
        self._cluster.shutdown()


@contextmanager
def ray_nodes(
    count: int, directory: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Nodes]:
    """A cluster of so many nodes, whose caches are in the directory, with more environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**_ENVIRONMENT, **environment, "SWEEP_CACHE_DIR": ""}.items():
            patch.setenv(name, value)
        nodes = Nodes(count, directory)
        try:
            yield nodes
        finally:
            nodes.stop()
