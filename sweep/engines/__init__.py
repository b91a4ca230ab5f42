"""How trials train: the contract in `base`, plain Keras `fit` in `reference`, many in `fused`."""

from sweep.data import DataRef
from sweep.engines.base import Engine
from sweep.errors import ExecutorError

__all__ = ["Engine", "make_engine"]


def make_engine(name: str, data: DataRef, device: str) -> Engine:
    """Make an engine in this process. Keras and its backend are loaded here, and not before.

    Args:
        name: The engine's name in study files.
        data: The images to train on.
        device: The device to train on, `cpu:N` or `gpu:N`; the process holds no other.

    Raises:
        ExecutorError: There is no such engine, it cannot train on the backend of Keras, or the
            device cannot be used.
    """
    match name:
        case "fused":
            from sweep.engines.fused.engine import FusedEngine

            return FusedEngine(data, device)
        case "reference":
            from sweep.engines.device import require_tensorflow

            require_tensorflow()
            from sweep.engines.reference import ReferenceEngine

            return ReferenceEngine(data, device)
        case _:
            raise ExecutorError("no such engine", expected="fused, reference", received=repr(name))
