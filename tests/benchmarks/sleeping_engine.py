"""An engine whose epochs take a given time and hardly any processor: what is left is overhead."""

import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from sweep.data import DataRef
from sweep.engines.base import Engine
from sweep.engines.checkpoint import Checkpoint
from sweep.trial import EpochReport, StopReason, TrialResult, TrialTask

SLOTS_VARIABLE = "SWEEP_BENCHMARK_SLOTS"
EPOCH_VARIABLE = "SWEEP_BENCHMARK_EPOCH"
_LATE_SECONDS = 0.002


def accuracy_of(text: str, epoch: int) -> float:
    """A learning curve that depends on the configuration."""
    best = 0.1 + 0.5 * (zlib.crc32(text.encode()) % 1000) / 1000
    return best * (1.0 - 0.5**epoch) + 0.001 * (zlib.crc32(f"{text}{epoch}".encode()) % 10)


@dataclass
class Slot:
    task: TrialTask
    started: float
    epochs: int = 0
    finished: StopReason | None = None


class SleepingEngine(Engine):
    name = "sleeping"

    def __init__(self, device: str, capacity: int, epoch_seconds: float) -> None:
        self.device = device
        self.capacity = capacity
        self._epoch_seconds = epoch_seconds
        self._slots: dict[int, Slot] = {}

    @property
    def active(self) -> tuple[int, ...]:
        return tuple(self._slots)

    def admit(self, task: TrialTask, checkpoint: Checkpoint | None = None) -> None:
        self._slots[task.number] = Slot(task, time.monotonic())

    def run_epoch(self) -> tuple[EpochReport, ...]:
        until = time.monotonic() + self._epoch_seconds
        reports = [self._report(s) for s in self._slots.values() if s.finished is None]
        # A sleep ends late.
        time.sleep(max(0.0, until - time.monotonic() - _LATE_SECONDS))
        while time.monotonic() < until:
            pass
        self.progress += 1
        return tuple(reports)

    def _report(self, slot: Slot) -> EpochReport:
        slot.epochs += 1
        config = slot.task.config
        if slot.epochs == config.epochs:
            slot.finished = StopReason.COMPLETED
        accuracy = accuracy_of(repr(config), slot.epochs)
        return EpochReport(
            number=slot.task.number,
            epoch=slot.epochs,
            loss=2.5 - accuracy,
            accuracy=accuracy,
            val_loss=2.5 - accuracy,
            val_accuracy=accuracy,
            learning_rate=config.learning_rate,
            seconds=self._epoch_seconds,
            finished=slot.finished,
        )

    def checkpoint(self, number: int) -> Checkpoint:
        raise NotImplementedError

    def retire(self, number: int, reason: StopReason, save_to: Path | None) -> TrialResult:
        slot = self._slots.pop(number)
        return TrialResult(
            number=number,
            reason=reason,
            epochs=slot.epochs,
            kept_epoch=slot.epochs,
            parameters=1000,
            seconds=time.monotonic() - slot.started,
            engine=self.name,
            device=self.device,
        )

    def abandon(self) -> None:
        self._slots.clear()


def make_engine(name: str, data: DataRef, device: str) -> Engine:
    slots, epoch_seconds = int(os.environ[SLOTS_VARIABLE]), float(os.environ[EPOCH_VARIABLE])
    return SleepingEngine(device, slots, epoch_seconds)
