"""Rounding that Keras does."""

import numpy as np


def single(value: float) -> float:
    """A number as Keras on TensorFlow sees it when it casts a Python float, in any precision."""
    return float(np.float32(value))
