"""A trial's place in a cohort: what the host knows of it."""

import math
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from sweep.engines.fused import layout
from sweep.engines.fused.key import FusionKey, fusion_key
from sweep.engines.fused.optimizers import FAMILIES, Floats
from sweep.engines.fused.settings import epoch_inputs, slot_settings
from sweep.engines.stopping import TrialCourse
from sweep.network.build import Statistics
from sweep.network.schedules import learning_rate
from sweep.network.weights import initial_weights
from sweep.trial import EpochReport, TrialTask

Array = npt.NDArray[Any]
Tree = Any


class Slot:
    """A trial in training.

    Attributes:
        task: The trial.
        key: Its fusion key.
        course: Its epochs so far.
        started: When it was admitted, by `time.perf_counter`.
        settings: Its numbers, by name.
        parameters: Number of its weights, moving statistics included.
        remark: What was unusual in its training; empty if nothing was.
        resumed: The state in which its checkpoint left it, arrays (1, ...); None if it began
            with its first epoch.
        kept: Weights put aside as (trained, moving), on the device; None while the present ones
            count.
    """

    def __init__(
        self,
        task: TrialTask,
        *,
        images: int,
        classes: int,
        statistics: Statistics | None,
        dtype: str,
    ) -> None:
        """Draw the initial weights.

        Args:
            task: The trial.
            images: Images of the training split.
            classes: Number of classes.
            statistics: Mean and deviation for standardised images, else None.
            dtype: Precision.
        """
        self.started = time.perf_counter()
        self.task = task
        self.key: FusionKey = fusion_key(task.config)
        self.course = TrialCourse(task.config)
        self.remark = ""
        self.resumed: Tree | None = None
        self.kept: Tree | None = None
        self._images = images
        self._dtype = dtype
        self._initial = initial_weights(task.config, seed=task.seed, classes=classes)
        self.parameters = sum(array.size for array in self._initial)
        self.settings = slot_settings(
            task.config, statistics, _penalty(self.key, task, self._initial), dtype
        )

    @property
    def is_training(self) -> bool:
        """Whether another epoch follows."""
        return self.course.finished is None

    def initial_state(self) -> Tree:
        """The state in which it enters a cohort, arrays (1, ...); see `program`."""
        if self.resumed is not None:
            return self.resumed
        trained, moving = layout.from_keras(self.key, self._initial, self._dtype)
        zeros = {name: np.zeros_like(array) for name, array in trained.items()}
        moments = [zeros] * FAMILIES[self.key.optimizer].moments
        state = {"weights": trained, "moving": moving, "moments": moments}
        if self.key.is_sparse:
            kernels = layout.kernels_of(trained)
            state["masks"] = {n: (trained[n] != 0.0).astype(self._dtype) for n in kernels}
        return state

    def next_inputs(self) -> tuple[dict[str, Array], float]:
        """What the steps of the next epoch take in, and the learning rate of the last one."""
        config, epoch = self.task.config, self.course.epochs + 1
        rates = self._rates(epoch)
        inputs = epoch_inputs(
            config, self.key, self.task.seed, epoch, self._images, rates, self._dtype
        )
        return inputs, float(rates[-1])

    def finish_epoch(
        self,
        tally: Mapping[str, float],
        val: Mapping[str, float],
        val_images: int,
        *,
        rate: float,
        seconds: float,
    ) -> tuple[EpochReport, bool]:
        """Turn the sums of an epoch into a report; whether the weights must be put aside.

        Args:
            tally: This slot's sums over the training steps.
            val: Its sums over the validation split.
            val_images: Images of that split.
            rate: Learning rate of the last step.
            seconds: Wall time of the epoch.
        """
        loss, accuracy = tally["loss"] / tally["images"], tally["correct"] / tally["images"]
        val_loss = val["loss"] / val_images + val["penalty"]
        val_accuracy = val["correct"] / val_images
        is_best = self.course.record(val_loss, val_accuracy, has_diverged=not tally["alive"])
        report = EpochReport(
            number=self.task.number,
            epoch=self.course.epochs,
            loss=loss,
            accuracy=accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            learning_rate=rate,
            seconds=seconds,
            finished=self.course.finished,
        )
        return report, is_best

    def _rates(self, epoch: int) -> Floats:
        """The learning rates of an epoch, (step,)."""
        config = self.task.config
        steps = math.ceil(self._images / config.batch_size)
        schedule = learning_rate(config, steps)
        if isinstance(schedule, float):
            return np.full(steps, self.course.rate)
        numbers = np.arange((epoch - 1) * steps, epoch * steps)
        rates = schedule(keras.ops.convert_to_tensor(numbers))
        return np.asarray(keras.ops.convert_to_numpy(rates), np.float64)


def _penalty(key: FusionKey, task: TrialTask, weights: list[npt.NDArray[np.float32]]) -> float:
    """The L1 and L2 penalties of the hidden kernels."""
    config = task.config
    trained, _ = layout.from_keras(key, weights, "float64")
    kernels = [trained[name] for name in layout.kernels_of(trained)]
    return math.fsum(
        config.l1 * float(np.abs(k).sum()) + config.l2 * float(np.square(k).sum()) for k in kernels
    )
