"""The reference engine: one trial at a time through plain Keras `fit`."""

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from sweep.data import DataRef, StatisticsKind, open_split, statistics
from sweep.engines.base import Engine
from sweep.engines.device import configure_device
from sweep.engines.memory import TrialMemory
from sweep.engines.pipeline import ImageTensors, training_batches, validation_batches
from sweep.engines.stopping import TrialCourse, is_diverged
from sweep.engines.weights import save_network
from sweep.errors import TrialError
from sweep.network import build_network, portable_network
from sweep.network.build import Statistics
from sweep.trial import EpochReport, StopReason, TrialConfig, TrialResult, TrialTask

logger = logging.getLogger(__name__)

Weights = list[npt.NDArray[np.float32]]


class ReferenceEngine(Engine):
    """Trains one trial at a time, an epoch per call of `fit`, as a user of Keras would.

    What it computes is the truth that other engines are checked against. The order of the
    batches, the augmentation, the initial weights and the dropout masks follow from the trial's
    seed alone.
    """

    name = "reference"
    capacity = 1

    def __init__(self, data: DataRef, device: str) -> None:
        """Prepare the device and map the images.

        Args:
            data: The images; the files are read where they are, not copied to memory.
            device: `cpu:N` or `gpu:N`.

        Raises:
            ExecutorError: The device cannot be used.
            DataError: The files are missing or damaged.
        """
        configure_device(device)
        self.device = device
        self._data = data
        self._train = ImageTensors.from_split(open_split(data, "train"))
        self._validation = ImageTensors.from_split(open_split(data, "validation"))
        self._validation_batches = validation_batches(self._validation)
        self._statistics: dict[str, Statistics] = {}
        self._slot: _Slot | None = None
        self._memory = TrialMemory()

    @property
    def active(self) -> tuple[int, ...]:
        """The number of the trial in the slot, if there is one."""
        return () if self._slot is None else (self._slot.task.number,)

    def admit(self, task: TrialTask) -> None:
        """Build and compile the network of a trial; see `Engine.admit`."""
        if self._slot is not None:
            raise TrialError(
                "no slot is free",
                where=f"trial {task.number} on {self.device}",
                expected=f"at most {self.capacity} active trial",
                received=f"trial {self._slot.task.number} is active",
            )
        started = time.perf_counter()
        try:
            model = build_network(
                task.config,
                seed=task.seed,
                steps_per_epoch=math.ceil(len(self._train) / task.config.batch_size),
                statistics=self._scaling(task.config),
                classes=self._data.classes,
            )
            self._slot = _Slot(task, model, started)
        except Exception as error:
            self.abandon()
            raise _failed("the network cannot be built", task, error) from error

    def run_epoch(self) -> tuple[EpochReport, ...]:
        """Train one epoch and validate; see `Engine.run_epoch`."""
        slot = self._slot
        if slot is None or slot.course.finished is not None:
            return ()
        try:
            return (slot.run_epoch(self._train, self._validation_batches, self._move_on),)
        except Exception as error:
            self.abandon()
            raise _failed("training broke", slot.task, error) from error

    def retire(self, number: int, reason: StopReason, save_to: Path | None) -> TrialResult:
        """Free the slot, and write the kept weights if asked to; see `Engine.retire`."""
        slot = self._slot
        if slot is None or slot.task.number != number:
            raise TrialError(
                "no such trial is active",
                where=f"trial {number} on {self.device}",
                received=f"active: {self.active}",
            )
        try:
            if save_to is not None:
                self._save(slot, save_to)
            return TrialResult(
                number=number,
                reason=reason,
                epochs=slot.course.epochs,
                kept_epoch=slot.course.kept_epoch,
                parameters=slot.model.count_params(),
                seconds=time.perf_counter() - slot.started,
                engine=self.name,
                device=self.device,
                weights=None if save_to is None else str(save_to),
            )
        except Exception as error:
            raise _failed("the weights cannot be saved", slot.task, error) from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Free the slot and the memory of its network."""
        self._slot = None
        self._memory.give_back()

    def _move_on(self) -> None:
        self.progress += 1

    def _save(self, slot: "_Slot", path: Path) -> None:
        config = slot.task.config
        model = portable_network(
            config,
            slot.kept_weights,
            seed=slot.task.seed,
            statistics=self._scaling(config),
            classes=self._data.classes,
        )
        save_network(model, path)

    def _scaling(self, config: TrialConfig) -> Statistics | None:
        if config.scaling == "unit":
            return None
        kind: StatisticsKind = "feature" if config.scaling == "feature" else "channel"
        if kind not in self._statistics:
            self._statistics[kind] = statistics(self._data, kind)
        return self._statistics[kind]


class _Slot:
    """A trial in training."""

    def __init__(self, task: TrialTask, model: keras.Model, started: float) -> None:
        self.task = task
        self.model = model
        self.started = started
        self.course = TrialCourse(task.config)
        self._penalty = math.fsum(float(loss) for loss in model.losses)
        self._best: Weights | None = None

    @property
    def kept_weights(self) -> Weights:
        return self.model.get_weights() if self._best is None else self._best

    def run_epoch(
        self, train: ImageTensors, validation: Any, move_on: Callable[[], None]
    ) -> EpochReport:
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


def _failed(what: str, task: TrialTask, error: Exception) -> TrialError:
    return TrialError(
        what,
        where=f"trial {task.number}, seed {task.seed}",
        received=f"{type(error).__name__}: {error}",
    )
