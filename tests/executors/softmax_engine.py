"""A small, true engine for executor tests: softmax regression in numpy, several trials at once.

It trains for real on real files, keeps every promise of `Engine`, and needs no TensorFlow. Depth
plays no part in softmax regression, so the tests use the depth of a trial to name the way in which
`faulty_engine` is to break.
"""

import contextlib
import math
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sweep.data import DataRef, open_split
from sweep.engines.base import Engine
from sweep.engines.checkpoint import Checkpoint, Owner
from sweep.errors import TrialError
from sweep.executors import checkpoints
from sweep.trial import EpochReport, StopReason, TrialResult, TrialTask, stream_seed

Floats = npt.NDArray[np.float64]

RAISES_AT_ADMISSION = 101
RAISES_WHILE_TRAINING = 102
HANGS = 103
KILLS_ITSELF = 104
RAISES_AT_RETIREMENT = 105
SLOW = 106
WIDE_LOG = 107
HOLDS_INTERPRETER = 108
SPEAKS_NONSENSE = 109
STOPS_IN_A_MESSAGE = 110
DIES_IN_A_MESSAGE = 111
FLOODS_LOG = 112
COMPILES = 113
CANNOT_BE_COMPILED = 114
HANGS_ONCE = 115


@dataclass
class Slot:
    task: TrialTask
    weights: Floats
    random: np.random.Generator
    started: float
    epochs: int = 0
    remark: str = ""
    finished: StopReason | None = None


class SoftmaxEngine(Engine):
    name = "softmax"

    def __init__(self, data: DataRef, device: str, capacity: int) -> None:
        self.device = device
        self.capacity = capacity
        self._data = data
        self._train = _flat(data, "train")
        self._validation = _flat(data, "validation")
        self._slots: dict[int, Slot] = {}

    @property
    def active(self) -> tuple[int, ...]:
        return tuple(self._slots)

    def admit(self, task: TrialTask, checkpoint: Checkpoint | None = None) -> None:
        if task.number in self._slots or len(self._slots) == self.capacity:
            raise TrialError(
                f"no place for trial {task.number}",
                expected=f"a number not in {self.active}, and at most {self.capacity} trials",
            )
        random = np.random.default_rng(stream_seed(task.seed, "weights"))
        inputs = self._train[0].shape[1]
        weights = random.normal(0, 0.01, (inputs, self._data.classes))
        slot = Slot(task, weights, random, time.monotonic())
        if checkpoint is not None:
            checkpoint.must_belong_to(self._owner(task))
            slot.weights = checkpoint.arrays_like({"weights": weights})["weights"]
            slot.random.bit_generator.state = checkpoint.state["random"]
            slot.epochs, slot.remark = checkpoint.epoch, checkpoint.remark
            slot.started -= checkpoint.seconds
        self._slots[task.number] = slot

    def checkpoint(self, number: int) -> Checkpoint:
        slot = self._slots[number]
        return Checkpoint(
            owner=self._owner(slot.task),
            epoch=slot.epochs,
            seconds=time.monotonic() - slot.started,
            device=self.device,
            state={"random": slot.random.bit_generator.state},
            arrays={"weights": slot.weights},
            remark=slot.remark,
        )

    def _owner(self, task: TrialTask) -> Owner:
        return Owner.of(self.name, "numpy", "float64", task, self._data)

    def run_epoch(self) -> tuple[EpochReport, ...]:
        return tuple(self._epoch(s) for s in self._slots.values() if s.finished is None)

    def _epoch(self, slot: Slot) -> EpochReport:
        started = time.monotonic()
        config = slot.task.config
        images, labels = self._train
        order = slot.random.permutation(len(images))
        for first in range(0, len(order), config.batch_size):
            batch = order[first : first + config.batch_size]
            errors = (
                _softmax(images[batch] @ slot.weights) - np.eye(self._data.classes)[labels[batch]]
            )
            slot.weights -= config.learning_rate * images[batch].T @ errors / len(batch)
            self.progress += 1
        slot.epochs += 1
        loss, accuracy = _evaluate(slot.weights, self._train)
        val_loss, val_accuracy = _evaluate(slot.weights, self._validation)
        if not np.isfinite(val_loss):
            slot.finished = StopReason.DIVERGED
        elif slot.epochs == config.epochs:
            slot.finished = StopReason.COMPLETED
        return EpochReport(
            number=slot.task.number,
            epoch=slot.epochs,
            loss=loss,
            accuracy=accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            learning_rate=config.learning_rate,
            seconds=time.monotonic() - started,
            finished=slot.finished,
        )

    def retire(self, number: int, reason: StopReason, save_to: Path | None) -> TrialResult:
        if number not in self._slots:
            raise TrialError(f"trial {number} is not active", expected=f"one of {self.active}")
        slot = self._slots.pop(number)
        if save_to is not None:
            partial = save_to.with_suffix(".partial")
            with partial.open("wb") as file:
                np.save(file, slot.weights)
            partial.replace(save_to)
        return TrialResult(
            number=number,
            reason=reason,
            epochs=slot.epochs,
            kept_epoch=slot.epochs,
            parameters=slot.weights.size,
            seconds=time.monotonic() - slot.started,
            engine=self.name,
            device=self.device,
            weights=None if save_to is None else str(save_to),
            remark=slot.remark,
        )

    def abandon(self) -> None:
        self._slots.clear()


class FaultyEngine(SoftmaxEngine):
    """The same, but trials of certain depths break it."""

    def admit(self, task: TrialTask, checkpoint: Checkpoint | None = None) -> None:
        if task.config.depth == RAISES_AT_ADMISSION:
            raise TrialError("the trial cannot be built", received="depth 101")
        super().admit(task, checkpoint)

    def run_epoch(self) -> tuple[EpochReport, ...]:
        broken = [
            number
            for number, slot in self._slots.items()
            if slot.task.config.depth == CANNOT_BE_COMPILED
        ]
        for number in broken:
            del self._slots[number]
        if broken:
            raise TrialError("the program cannot be compiled")
        return super().run_epoch()

    def _epoch(self, slot: Slot) -> EpochReport:
        match slot.task.config.depth:
            case depth if depth == RAISES_WHILE_TRAINING:
                os.write(1, b"written by a library\n")
                raise FloatingPointError("training broke\nin the second line")
            case depth if depth == HANGS:
                hang_in_here()
            case depth if depth == HANGS_ONCE and not slot.task.stall:
                hang_in_here()
            case depth if depth == KILLS_ITSELF:
                os.kill(os.getpid(), signal.SIGSEGV)
            case depth if depth == WIDE_LOG:
                os.write(1, b"x" * 70_000 + b"\n" + b"line\n" * 200 + b"the end\n")
                raise RuntimeError("a long log")
            case depth if depth == HOLDS_INTERPRETER:
                # One call into C that lets no other Python thread run.
                max(range(10**12))
            case depth if depth == FLOODS_LOG:
                for _ in range(20):
                    os.write(1, b"x" * (1 << 20))
                slow_work(self)
            case depth if depth == SPEAKS_NONSENSE:
                os.write(_socket(), b"a library prints here by mistake")
                slow_work(self)
            case depth if depth == STOPS_IN_A_MESSAGE:
                os.write(_socket(), b"\0\0\1\0half")
                os.kill(os.getpid(), signal.SIGSTOP)
            case depth if depth == DIES_IN_A_MESSAGE:
                os.write(_socket(), b"\0\0\1\0half")
                os.kill(os.getpid(), signal.SIGKILL)
            case depth if depth == SLOW:
                slow_work(self)
            case depth if depth == COMPILES and slot.epochs == 0:
                time.sleep(0.4)
                self.compile_seconds += 0.4
            case depth if depth == COMPILES:
                time.sleep(0.2)
        return super()._epoch(slot)

    def retire(self, number: int, reason: StopReason, save_to: Path | None) -> TrialResult:
        if self._slots[number].task.config.depth == RAISES_AT_RETIREMENT:
            raise OSError(28, "No space left on device")
        return super().retire(number, reason, save_to)


def slow_work(engine: Engine) -> None:
    for _ in range(1000):
        time.sleep(0.01)
        engine.progress += 1


def _socket() -> int:
    """The worker's connection, which no engine should know of."""
    return int(sys.argv[1])


def hang_in_here() -> None:
    while True:
        time.sleep(1)


def make_engine(name: str, data: DataRef, device: str) -> Engine:
    """`softmax`, `softmax-3` for three slots, `faulty`, `faulty-2`."""
    kind, _, slots = name.partition("-")
    classes = {"softmax": SoftmaxEngine, "faulty": FaultyEngine}
    return classes[kind](data, device, int(slots or 1))


def make_engine_that_saves_every_epoch(name: str, data: DataRef, device: str) -> Engine:
    checkpoints.LEAST_SECONDS = 0.0  # type: ignore[misc]
    checkpoints.MOST_SHARE = math.inf  # type: ignore[misc]
    return make_engine(name, data, device)


class ForgetfulEngine(SoftmaxEngine):
    """The same, without checkpoints."""

    def checkpoint(self, number: int) -> Checkpoint:
        raise MemoryError


def make_engine_that_cannot_save(name: str, data: DataRef, device: str) -> Engine:
    return ForgetfulEngine(data, device, capacity=1)


def make_broken_engine(name: str, data: DataRef, device: str) -> Engine:
    raise EOFError("No data left in file")


def make_engine_at_second_start(name: str, data: DataRef, device: str) -> Engine:
    """Dies at the first start, as if the device had been busy."""
    marker = data.directory / f"started-{device}"
    with contextlib.suppress(FileExistsError):
        marker.touch(exist_ok=False)
        os._exit(7)
    return make_engine(name, data, device)


def _flat(data: DataRef, name: str) -> tuple[Floats, npt.NDArray[np.uint8]]:
    split = open_split(data, name)
    return split.images.reshape(len(split.images), -1) / 255.0, np.asarray(split.labels)


def _softmax(logits: Floats) -> Floats:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _evaluate(weights: Floats, split: tuple[Floats, npt.NDArray[np.uint8]]) -> tuple[float, float]:
    images, labels = split
    chances = _softmax(images @ weights)
    loss = -np.log(np.maximum(chances[np.arange(len(labels)), labels], 1e-300)).mean()
    return float(loss), float((chances.argmax(axis=1) == labels).mean())
