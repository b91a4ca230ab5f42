"""A real Ray cluster on this machine, several nodes of one CPU each, for tests."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_OBJECT_BYTES = 80 << 20
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A node that died is missed after two seconds instead of fifteen.
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",
    # The nodes find what the tests find.
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
}


class Nodes:
    """The cluster: a head that trains nothing, and nodes that come and go."""

    def __init__(self, count: int) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": _OBJECT_BYTES, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes: list[Any] = []
        self.address = str(self._cluster.address)
        self.fill(count)

    def fill(self, count: int) -> None:
        """Start nodes until there are so many."""
        while len(self._nodes) < count:
            node = self._cluster.add_node(num_cpus=1, object_store_memory=_OBJECT_BYTES)
            self._nodes.append(node)

    def raylet(self, index: int) -> int:
        """Process id of a node's daemon."""
        (process,) = self._nodes[index].all_processes["raylet"]
        return int(process.process.pid)

    def kill(self, raylet: int) -> None:
        """Kill a node's daemon as the kernel would."""
        (index,) = (i for i in range(len(self._nodes)) if self.raylet(i) == raylet)
        os.kill(raylet, signal.SIGKILL)
        self._cluster.remove_node(self._nodes.pop(index), allow_graceful=False)

    def stop(self) -> None:
        """Stop all processes of the cluster."""
        self._cluster.shutdown()


@contextmanager
def ray_nodes(count: int, cache_dir: Path) -> Iterator[Nodes]:
    """A cluster whose nodes keep decoded data in a cache of their own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**_ENVIRONMENT, "SWEEP_CACHE_DIR": str(cache_dir)}.items():
            patch.setenv(name, value)
        nodes = Nodes(count)
        try:
            yield nodes
        finally:
            nodes.stop()
