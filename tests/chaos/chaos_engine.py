"""The numpy engine for the chaos test: slow enough to be hit, and saving after every epoch."""

import math
import time

from softmax_engine import Slot, SoftmaxEngine

from sweep.data import DataRef
from sweep.engines.base import Engine
from sweep.executors import checkpoints
from sweep.trial import EpochReport

EPOCH_SECONDS = 0.1


class SlowEngine(SoftmaxEngine):
    def _epoch(self, slot: Slot) -> EpochReport:
        time.sleep(EPOCH_SECONDS)
        return super()._epoch(slot)


def make_engine(name: str, data: DataRef, device: str) -> Engine:
    checkpoints.LEAST_SECONDS = 0.0  # type: ignore[misc]
    checkpoints.MOST_SHARE = math.inf  # type: ignore[misc]
    return SlowEngine(data, device, capacity=2)
