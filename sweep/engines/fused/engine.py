"""The fused engine."""

import logging
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from sweep.data import DataRef, open_split
from sweep.engines.base import Engine, failed
from sweep.engines.checkpoint import Checkpoint, Owner
from sweep.engines.device import configure_device
from sweep.engines.fused import layout
from sweep.engines.fused.adapters import make_adapter
from sweep.engines.fused.capacity import choose_capacity
from sweep.engines.fused.images import FEATURES
from sweep.engines.fused.placement import Placement
from sweep.engines.fused.program import Sizes
from sweep.engines.fused.resumption import checkpoint_of, resume
from sweep.engines.fused.slot import Slot
from sweep.engines.inspection import Inspector
from sweep.engines.scaling import Scaling
from sweep.engines.weights import save_network
from sweep.errors import CheckpointError, TrialError
from sweep.network import portable_network
from sweep.trial import EpochReport, StopReason, TrialConfig, TrialResult, TrialTask

logger = logging.getLogger(__name__)

_ERROR_CHARACTERS = 300
# Keras on TensorFlow.
_HAS_REFERENCE = keras.backend.backend() == "tensorflow"


class FusedEngine(Engine):
    """Trains many trials at once, an epoch of a whole cohort in one call of a compiled program.

    Trials of one fusion key share a program, in which all other hyperparameters are inputs. What
    a trial computes is what the reference engine computes, up to rounding; its dropout masks are
    others of the same distribution. With TensorFlow, a trial whose program cannot be compiled, or
    in which this engine hung, is handed to the reference engine. A cohort that does not fit into
    the device's memory is divided.
    """

    name = "fused"

    def __init__(
        self,
        data: DataRef,
        device: str,
        *,
        capacity: int | None = None,
        dtype: str = "float32",
        memory_bytes: int | None = None,
    ) -> None:
        """Prepare the device and put the images on it.

        Args:
            data: The images.
            device: `cpu:N` or `gpu:N`.
            capacity: The most trials it trains at once; None for one on a core, and for what a
                measurement finds best on a GPU.
            dtype: `float32`, or `float64` to compare with other engines.
            memory_bytes: Memory for the slots; None for what the device has.

        Raises:
            ExecutorError: The device cannot be used.
            DataError: The files are missing or damaged.
        """
        configure_device(device)
        self.device = device
        self._data_ref = data
        self._dtype = dtype
        self._adapter = make_adapter()
        self._sizes = Sizes(
            train_images=data.train[1] - data.train[0],
            val_images=data.validation[1] - data.validation[0],
            classes=data.classes,
        )
        self._placement = Placement(
            self._images_on_device(),
            self._sizes,
            self._adapter,
            itemsize=np.dtype(dtype).itemsize,
            memory_bytes=memory_bytes or self._adapter.memory_bytes(),
        )
        self._slots: dict[int, Slot] = {}
        self._fallen: dict[int, tuple[Engine, str]] = {}
        self._scaling = Scaling(data)
        self._inspector = Inspector(data, self._scaling)
        self._calls = 0
        if capacity is None:
            capacity = choose_capacity(self._speed) if device.startswith("gpu") else 1
        self.capacity = capacity

    @property
    def active(self) -> tuple[int, ...]:
        """Numbers of the trials, in order of admission."""
        return tuple(self._slots)

    @property
    def progress(self) -> int:  # type: ignore[override]  # read, never written, from outside
        """Calls of programs so far, and the progress of reference engines."""
        return self._calls + sum(engine.progress for engine, _ in [*self._fallen.values()])

    @property
    def compile_seconds(self) -> float:  # type: ignore[override]
        """Wall time spent on compiling."""
        return self._placement.compile_seconds

    def admit(self, task: TrialTask, checkpoint: Checkpoint | None = None) -> None:
        """Draw a trial's initial weights; see `Engine.admit`."""
        if len(self._slots) >= self.capacity or task.number in self._slots:
            raise TrialError(
                "no slot is free",
                where=f"trial {task.number} on {self.device}",
                expected=f"at most {self.capacity} active trials, of different numbers",
                received=f"active: {self.active}",
            )
        try:
            slot = self._slot(task)
            has_fallen = checkpoint is not None and checkpoint.owner.engine == "reference"
            if (task.stall or has_fallen) and _HAS_REFERENCE:
                self._fall_back(slot, f"the fused engine {task.stall}", checkpoint)
            else:
                if checkpoint is not None:
                    resume(slot, checkpoint, self._owner(task), self._adapter)
                self._placement.wait(slot)
        except CheckpointError:
            raise
        except Exception as error:
            raise failed("the network cannot be built", [task], error) from error
        self._slots[task.number] = slot

    def run_epoch(self) -> tuple[EpochReport, ...]:
        """Train one epoch, cohort after cohort; see `Engine.run_epoch`."""
        self._place()
        try:
            reports = self._placement.run_epoch(self._move_on)
            for engine, _ in self._fallen.values():
                reports += engine.run_epoch()
        except Exception as error:
            tasks = [slot.task for slot in self._slots.values()]
            self.abandon()
            raise failed("training broke", tasks, error) from error
        order = {number: place for place, number in enumerate(self._slots)}
        return tuple(sorted(reports, key=lambda report: order[report.number]))

    def checkpoint(self, number: int) -> Checkpoint:
        """Copy a trial's state from the device; see `Engine.checkpoint`."""
        slot = self._active(number)
        if number in self._fallen:
            engine, remark = self._fallen[number]
            return replace(engine.checkpoint(number), remark=remark)
        state, owner = self._placement.state_of(slot), self._owner(slot.task)
        return checkpoint_of(slot, state, owner, self.device, self._adapter)

    def retire(self, number: int, reason: StopReason, save_to: Path | None) -> TrialResult:
        """Inspect the kept weights, write them if asked to, free the slot; see `Engine.retire`."""
        slot = self._active(number)
        try:
            if number in self._fallen:
                engine, remark = self._fallen[number]
                return replace(engine.retire(number, reason, save_to), remark=remark)
            weights = self._kept_weights(slot)
            has_trained = slot.course.epochs > 0
            inspection = (
                self._inspector.inspect(slot.task.config, weights) if has_trained else None
            )
            if save_to is not None:
                self._save(slot.task, weights, save_to)
        except Exception as error:
            what = "the kept weights cannot be inspected or saved"
            raise failed(what, [slot.task], error) from error
        finally:
            self._remove(slot)
        return TrialResult(
            number=number,
            reason=reason,
            epochs=slot.course.epochs,
            kept_epoch=slot.course.kept_epoch,
            parameters=slot.parameters,
            seconds=time.perf_counter() - slot.started,
            engine=self.name,
            device=self.device,
            weights=None if save_to is None else str(save_to),
            remark=slot.remark,
            inspection=inspection,
        )

    def abandon(self) -> None:
        """Empty every slot; compiled programs are kept."""
        for engine, _ in self._fallen.values():
            engine.abandon()
        self._fallen.clear()
        self._slots.clear()
        self._placement.clear()

    def _active(self, number: int) -> Slot:
        if number not in self._slots:
            raise self._not_active(number)
        return self._slots[number]

    def _owner(self, task: TrialTask) -> Owner:
        return Owner.of(self.name, keras.backend.backend(), self._dtype, task, self._data_ref)

    def _move_on(self) -> None:
        self._calls += 1

    def _remove(self, slot: Slot) -> None:
        del self._slots[slot.task.number]
        self._fallen.pop(slot.task.number, None)
        self._placement.remove(slot)

    def _slot(self, task: TrialTask) -> Slot:
        return Slot(
            task,
            images=self._sizes.train_images,
            classes=self._sizes.classes,
            statistics=self._scaling.of(task.config),
            dtype=self._dtype,
        )

    def _place(self) -> None:
        """Find places for new trials; those that cannot be compiled lose theirs."""
        broken: list[TrialTask] = []
        for slot, error in self._placement.place(self.capacity):
            if _HAS_REFERENCE:
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                reason = textwrap.shorten(reason, _ERROR_CHARACTERS, placeholder=" ...")
                self._fall_back(slot, f"its program was not compiled: {reason}")
            else:
                self._remove(slot)
                broken.append(slot.task)
                cause = error
        if broken:
            raise failed("the program cannot be compiled", broken, cause) from cause

    def _fall_back(self, slot: Slot, reason: str, checkpoint: Checkpoint | None = None) -> None:
        """Let the reference engine train a trial, and say why, or what its checkpoint says."""
        from sweep.engines.reference import ReferenceEngine

        remark = f"trained by the reference engine, since {reason}"
        if checkpoint is not None:
            remark = checkpoint.remark
        logger.warning("trial %d: %s", slot.task.number, remark)
        engine = ReferenceEngine(self._data_ref, self.device)
        engine.admit(slot.task, checkpoint)
        self._fallen[slot.task.number] = (engine, remark)

    def _kept_weights(self, slot: Slot) -> list[layout.Array]:
        """In Keras's order."""
        state = self._placement.state_of(slot) if slot.kept is None else slot.kept
        weights, moving = (self._adapter.to_host(state[name]) for name in ("weights", "moving"))
        return layout.to_keras(slot.key, weights, moving)

    def _save(self, task: TrialTask, weights: list[layout.Array], path: Path) -> None:
        model = portable_network(
            task.config,
            weights,
            seed=task.seed,
            statistics=self._scaling.of(task.config),
            classes=self._sizes.classes,
        )
        save_network(model, path)

    def _images_on_device(self) -> dict[str, Any]:
        splits = (
            ("train", open_split(self._data_ref, "train")),
            ("val", open_split(self._data_ref, "validation")),
        )
        data = {}
        for name, split in splits:
            data[f"{name}_images"] = self._adapter.share(split.images.reshape(-1, FEATURES))
            data[f"{name}_labels"] = self._adapter.to_device(split.labels.astype(np.int32))
        return data

    def _speed(self, width: int) -> float | None:
        """Trial-steps per second of so many slots of the reference network."""
        config = TrialConfig()
        slots = [self._slot(TrialTask(-1 - i, config, seed=i)) for i in range(width)]
        try:
            for slot in slots:
                self._placement.wait(slot)
            if self._placement.place(width) or self._placement.widest < width:
                return None
            started = time.perf_counter()
            self._placement.run_epoch(self._move_on)
            steps = self._sizes.steps(config.batch_size)
            return width * steps / (time.perf_counter() - started)
        finally:
            self._placement.clear()
