"""Giving back all memory of a trial.

TensorFlow registers the gradient of every `tf.custom_gradient` in a graph under a new name and
never forgets it. Each entry holds its graph, and with it the whole network: Keras makes some for
every network it compiles (the swish activation, the sum of gradients over replicas), so a process
that trains one trial after the other grows by megabytes per trial.
"""

import gc

import keras
from tensorflow.python.framework import ops

PREFIX = "CustomGradient-"


class TrialMemory:
    """Marks the beginning of a trial's memory, to give it back at the end."""

    def __init__(self) -> None:
        """Remember what was registered before the trial."""
        self._before = _registered()

    def give_back(self) -> None:
        """Free what the trial registered; its network must not be used, nor referred to, again."""
        for name in _registered() - self._before:
            del ops.gradient_registry._registry[name]
        keras.backend.clear_session()
        gc.collect()


def _registered() -> set[str]:
    return {name for name in ops.gradient_registry.list() if name.startswith(PREFIX)}
