"""From kept weights to an `Inspection`."""

import math
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.data import DataRef, open_split
from sweep.engines.inspection.network import TrainedNetwork
from sweep.engines.scaling import Scaling
from sweep.trial import Inspection, LayerInspection, TrialConfig

Array = npt.NDArray[Any]

MOST_IMAGES = 128
# Of the largest output of a layer; and of 1, the derivative of a unit that passes all on.
DEAD = 1e-5
# Weights of no greater size count as zero.
ZERO_WEIGHT = 1e-6
_PASSES = 3


class Inspector:
    """Looks at trained networks, all of them with the same images.

    These are the first 128 of the validation split, or as many as it has. A network is looked at
    as it predicts: batch normalisation takes its moving statistics, and nothing is dropped.

    - `mean` and `std` are those of a layer's outputs, over its units and the images: after
      activation and batch normalisation, as the next layer takes them; of the output layer the
      probabilities.
    - A unit is `dead` if nothing passes through it: its outputs over the images differ by at most
      1e-5 of the largest output of its layer, in absolute values, or the derivative of its
      activation is at most 1e-5 for all images. That is a ReLU that is always off, a sigmoid or
      tanh that is saturated for all images, and whatever gets the same input for all of them.
    - `gradient_norm` is the Euclidean norm of the gradient, with respect to a layer's kernel, of
      the mean cross-entropy as it was trained, label smoothing included, penalties not.
    - `zero_weights` is the share of the weights of all kernels of a size of at most 1e-6.
    - `inference_seconds` is the median wall time of three forward passes of the images, from
      scaled pixels to probabilities, in numpy and single precision; in a worker process on one
      core.
    """

    def __init__(self, data: DataRef, scaling: Scaling) -> None:
        """Take the images.

        Args:
            data: Where they are.
            scaling: What they are standardised with.
        """
        split = open_split(data, "validation")
        self._pixels = split.images[:MOST_IMAGES].astype(np.float32) / 255
        self._one_hot = np.eye(data.classes, dtype=np.float32)[split.labels[:MOST_IMAGES]]
        self._scaling = scaling
        self._inputs: dict[str, tuple[Array, Array]] = {}

    def inspect(self, config: TrialConfig, weights: Sequence[Array]) -> Inspection | None:
        """Look at a trained network.

        Args:
            config: The trial's configuration.
            weights: Its kept weights in Keras's order.

        Returns:
            What was found; what is not finite, as where outputs overflow, is NaN. None if the
            weights are not all finite.
        """
        if not all(np.isfinite(array).all() for array in weights):
            return None
        inputs, products = self._scaled(config)
        smoothing = config.label_smoothing
        targets = self._one_hot * (1 - smoothing) + smoothing / self._one_hot.shape[1]
        network = TrainedNetwork(config, [np.asarray(array, np.float32) for array in weights])
        times = []
        with np.errstate(all="ignore"):
            for _ in range(_PASSES):
                started = time.perf_counter()
                trace = network.forward(inputs)
                times.append(time.perf_counter() - started)
            found = network.backward(trace, targets, products)
            layers = tuple(
                _layer(number, *layer)
                for number, layer in enumerate(
                    zip(
                        [*(step.h for step in trace.steps), trace.probabilities],
                        [*found.slopes, np.ones(targets.shape[1])],
                        found.norms,
                        strict=True,
                    ),
                    start=1,
                )
            )
        return Inspection(
            layers=layers,
            zero_weights=_zero_share(network.kernels),
            inference_seconds=median(times),
        )

    def _scaled(self, config: TrialConfig) -> tuple[Array, Array]:
        """(image, feature) inputs of the first layer, (image, image) products of them."""
        if config.scaling not in self._inputs:
            images, statistics = self._pixels, self._scaling.of(config)
            if statistics is not None:
                mean, deviation = statistics
                images = (images - mean) / np.where(deviation > 0.0, deviation, 1.0)
            x = images.reshape(len(images), -1).astype(np.float32)
            exact = x.astype(np.float64)
            self._inputs[config.scaling] = x, exact @ exact.T
        return self._inputs[config.scaling]


def _layer(number: int, outputs: Array, slopes: Array, gradient_norm: float) -> LayerInspection:
    """One layer.

    Args:
        number: Its number.
        outputs: (image, unit).
        slopes: (unit,) largest size of the derivative.
        gradient_norm: Of its kernel.
    """
    high, low = outputs.max(axis=0), outputs.min(axis=0)
    is_even = high - low <= DEAD * max(abs(high).max(), abs(low).max())
    is_dead = is_even | (slopes <= DEAD)
    deviations = outputs.astype(np.float64)
    mean = float(deviations.mean())
    deviations -= mean
    is_known = math.isfinite(mean)
    return LayerInspection(
        layer=number,
        mean=mean if is_known else math.nan,
        std=float(np.sqrt(np.vdot(deviations, deviations) / deviations.size)),
        dead=float(is_dead.mean()) if is_known else math.nan,
        gradient_norm=gradient_norm if math.isfinite(gradient_norm) else math.nan,
    )


def _zero_share(kernels: Sequence[Array]) -> float:
    zeros = sum(np.count_nonzero(np.abs(kernel) <= ZERO_WEIGHT) for kernel in kernels)
    return zeros / sum(kernel.size for kernel in kernels)
