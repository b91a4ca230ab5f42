"""The reference engine: one trial at a time through plain Keras `fit`."""

import logging
import math
import time
from pathlib import Path

import keras

from sweep.data import DataRef, open_split
from sweep.engines.base import Engine, failed
from sweep.engines.checkpoint import Checkpoint, Owner
from sweep.engines.device import configure_device
from sweep.engines.fit import FittedTrial, Weights
from sweep.engines.inspection import Inspector
from sweep.engines.memory import TrialMemory
from sweep.engines.pipeline import ImageTensors, validation_batches
from sweep.engines.scaling import Scaling
from sweep.engines.weights import save_network
from sweep.errors import CheckpointError, TrialError
from sweep.network import build_network, portable_network
from sweep.trial import EpochReport, StopReason, TrialResult, TrialTask

logger = logging.getLogger(__name__)


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
        self._scaling = Scaling(data)
        self._inspector = Inspector(data, self._scaling)
        self._slot: FittedTrial | None = None
        self._memory = TrialMemory()

    @property
    def active(self) -> tuple[int, ...]:
        """The number of the trial in the slot, if there is one."""
        return () if self._slot is None else (self._slot.task.number,)

    def admit(self, task: TrialTask, checkpoint: Checkpoint | None = None) -> None:
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
                statistics=self._scaling.of(task.config),
                classes=self._data.classes,
            )
            self._slot = FittedTrial(task, model, started)
            if checkpoint is not None:
                self._slot.resume(checkpoint, self._owner(task))
        except CheckpointError:
            self.abandon()
            raise
        except Exception as error:
            self.abandon()
            raise failed("the network cannot be built", [task], error) from error

    def run_epoch(self) -> tuple[EpochReport, ...]:
        """Train one epoch and validate; see `Engine.run_epoch`."""
        slot = self._slot
        if slot is None or slot.course.finished is not None:
            return ()
        try:
            return (slot.run_epoch(self._train, self._validation_batches, self._move_on),)
        except Exception as error:
            self.abandon()
            raise failed("training broke", [slot.task], error) from error

    def checkpoint(self, number: int) -> Checkpoint:
        """Copy all variables of network and optimizer; see `Engine.checkpoint`."""
        slot = self._active(number)
        return slot.checkpoint(self._owner(slot.task), self.device)

    def retire(self, number: int, reason: StopReason, save_to: Path | None) -> TrialResult:
        """Inspect the kept weights, write them if asked to, free the slot; see `Engine.retire`."""
        slot = self._active(number)
        try:
            weights = slot.kept_weights
            has_trained = slot.course.epochs > 0
            inspection = (
                self._inspector.inspect(slot.task.config, weights) if has_trained else None
            )
            if save_to is not None:
                self._save(slot.task, weights, save_to)
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
                remark=slot.remark,
                inspection=inspection,
            )
        except Exception as error:
            what = "the kept weights cannot be inspected or saved"
            raise failed(what, [slot.task], error) from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Free the slot and the memory of its network."""
        self._slot = None
        self._memory.give_back()

    def _active(self, number: int) -> FittedTrial:
        if self._slot is None or self._slot.task.number != number:
            raise self._not_active(number)
        return self._slot

    def _owner(self, task: TrialTask) -> Owner:
        return Owner.of(
            self.name, keras.backend.backend(), keras.config.floatx(), task, self._data
        )

    def _move_on(self) -> None:
        self.progress += 1

    def _save(self, task: TrialTask, weights: Weights, path: Path) -> None:
        model = portable_network(
            task.config,
            weights,
            seed=task.seed,
            statistics=self._scaling.of(task.config),
            classes=self._data.classes,
        )
        save_network(model, path)
