"""An engine for `sweep run` that needs no TensorFlow."""

from softmax_engine import FaultyEngine

from sweep.data import DataRef
from sweep.engines.base import Engine


def make_engine(name: str, data: DataRef, device: str) -> Engine:
    return FaultyEngine(data, device, 1)
