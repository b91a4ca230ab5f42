"""The Ray executor: the contract on a real cluster, and what is special about nodes."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import softmax_engine as faults
from executor_contract import (
    Conversation,
    ExecutorContract,
    Launch,
    is_gone,
    metrics,
    task,
    wait_until,
)
from ray_nodes import Nodes, ray_nodes

from sweep.data import DataRef
from sweep.errors import ExecutorError
from sweep.executors.base import CohortReported, TrialFailed, WorkerLost, WorkerReady
from sweep.executors.ray import RayExecutor

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with ray_nodes(2, tmp_path_factory.mktemp("cache")) as cluster:
        yield cluster


@pytest.fixture
def launch(nodes: Nodes, data: DataRef, tmp_path: Path) -> Iterator[Launch]:
    with ExitStack() as executors:

        def start(
            engine: str = "softmax",
            *,
            workers: int = 1,
            stall_seconds: float = 60.0,
            heartbeat_seconds: float = 30.0,
            factory: str = "softmax_engine:make_engine",
        ) -> Conversation:
            executor = RayExecutor(
                engine,
                data,
                address=nodes.address,
                workers=workers,
                log_dir=tmp_path / "logs",
                stall_seconds=stall_seconds,
                heartbeat_seconds=heartbeat_seconds,
                factory=factory,
            )
            return Conversation(executors.enter_context(executor))

        yield start


class TestRayExecutor(ExecutorContract):
    """The contract holds for the nodes of a cluster."""
