"""A trial that plain Keras `fit` trains, an epoch per call."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from sweep.engines.checkpoint import Checkpoint, Owner
from sweep.engines.pipeline import ImageTensors, training_batches
from sweep.engines.stopping import TrialCourse, is_diverged
from sweep.trial import EpochReport, TrialTask

Weights = list[npt.NDArray[np.float32]]


class FittedTrial:
    """A trial in training.

    Attributes:
        task: The trial.
        model: Its network, compiled.
        started: When it was admitted, by `time.perf_counter`.
        course: Its epochs so far.
        remark: What was unusual in its training; empty if nothing was.
    """

    def __init__(self, task: TrialTask, model: keras.Model, started: float) -> None:
        """Begin before the first epoch.

        Args:
            task: The trial.
            model: Its network, newly built and compiled.
            started: When it was admitted, by `time.perf_counter`.
        """
        self.task = task
        self.model = model
        self.started = started
        self.remark = ""
        self.course = TrialCourse(task.config)
        self._penalty = math.fsum(float(loss) for loss in model.losses)
        self._best: Weights | None = None

    @property
    def kept_weights(self) -> Weights:
        """Those put aside as the best, or the present ones."""
        return self.model.get_weights() if self._best is None else self._best

    def checkpoint(self, owner: Owner, device: str) -> Checkpoint:
        """What it needs to go on after its last epoch."""
        arrays = {name: variable.numpy() for name, variable in self._variables().items()}
        if self._best is not None:
            arrays |= {f"best/{i}": array for i, array in enumerate(self._best)}
        return Checkpoint(
            owner=owner,
            epoch=self.course.epochs,
            seconds=time.perf_counter() - self.started,
            device=device,
            state=self.course.state(),
            arrays=arrays,
            remark=self.remark,
        )

    def resume(self, checkpoint: Checkpoint, owner: Owner) -> None:
        """Go on from a checkpoint, before the first epoch.

        Raises:
            CheckpointError: It belongs to another owner.
        """
        checkpoint.must_belong_to(owner)
        # Else `fit` would, in its first step.
        self.model.optimizer.build(self.model.trainable_variables)
        variables = self._variables()
        expected = {name: variable.numpy() for name, variable in variables.items()}
        best: dict[str, npt.NDArray[np.float32]] = {}
        if any(name.startswith("best/") for name in checkpoint.arrays):
            best = {f"best/{i}": array for i, array in enumerate(self.model.get_weights())}
        arrays = checkpoint.arrays_like(expected | best)
        for name, variable in variables.items():
            variable.assign(arrays[name])
        self._best = [arrays[name] for name in best] or None
        self.course.restore(checkpoint.state)
        self.started -= checkpoint.seconds
        self.remark = checkpoint.remark

    def _variables(self) -> dict[str, Any]:
        """Weights, moving statistics, random states; rate, iterations and moments."""
        network, optimizer = self.model.variables, self.model.optimizer.variables
        return {
            **{f"network/{i}": variable for i, variable in enumerate(network)},
            **{f"optimizer/{i}": variable for i, variable in enumerate(optimizer)},
        }

    def run_epoch(
        self, train: ImageTensors, validation: Any, move_on: Callable[[], None]
    ) -> EpochReport:
        """Train one epoch and validate it.

        Args:
            train: The training split.
            validation: Batches of the validation split.
            move_on: Called after every few batches.
        """
        started = time.perf_counter()
        course = self.course
        epoch = course.epochs + 1
        watch = _BatchWatch(self._penalty, move_on)
        history = self.model.fit(
            training_batches(train, self.task.config, self.task.seed, epoch),
            initial_epoch=course.epochs,
            epochs=epoch,
            validation_data=validation,
            callbacks=[watch],
            shuffle=False,
            verbose=0,
        ).history
        rate = self._last_rate()
        val_loss, val_accuracy = history["val_loss"][-1], history["val_accuracy"][-1]
        if course.record(val_loss, val_accuracy, has_diverged=watch.has_diverged):
            self._best = self.model.get_weights()
        if self.task.config.schedule == "plateau":
            self.model.optimizer.learning_rate = course.rate
        return EpochReport(
            number=self.task.number,
            epoch=epoch,
            loss=history["loss"][-1],
            accuracy=history["accuracy"][-1],
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            learning_rate=rate,
            seconds=time.perf_counter() - started,
            finished=course.finished,
        )

    def _last_rate(self) -> float:
        optimizer = self.model.optimizer
        schedule = optimizer._learning_rate
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            return float(schedule(optimizer.iterations - 1))
        return float(optimizer.learning_rate.numpy())


class _BatchWatch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Tells of progress, and ends an epoch within a few steps of divergence."""

    def __init__(self, penalty: float, move_on: Callable[[], None]) -> None:
        super().__init__()
        self._penalty = penalty
        self._move_on = move_on
        self.has_diverged = False

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._move_on()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._move_on()
        if logs and is_diverged(float(logs["loss"]), self._penalty):
            self.has_diverged = True
            self.model.stop_training = True
