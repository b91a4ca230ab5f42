"""An engine for `sweep run` that needs no TensorFlow, under the name of the one it stands for."""

from softmax_engine import FaultyEngine

from sweep.data import DataRef
from sweep.engines.base import Engine


def make_engine(name: str, data: DataRef, device: str) -> Engine:
    engine = FaultyEngine(data, device, 1)
    engine.name = name
    return engine
