"""Trials of one fusion key, trained together by one program."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from sweep.engines.fused.adapters import Adapter
from sweep.engines.fused.key import FusionKey
from sweep.engines.fused.layout import slot_axis
from sweep.engines.fused.program import Sizes, epoch_program
from sweep.engines.fused.slot import Slot
from sweep.trial import EpochReport

Tree = Any


@dataclass(frozen=True, slots=True)
class Program:
    """The compiled functions of a fusion key and a number of slots.

    Attributes:
        width: Slots.
        epoch: See `program.epoch_program`.
        take: (tree of slots, index) -> the tree of one slot.
        put: (tree of slots, index, tree of one slot) -> the tree with that slot replaced.
    """

    width: int
    epoch: Callable[..., Tree]
    take: Callable[..., Tree]
    put: Callable[..., Tree]

    @classmethod
    def of(cls, key: FusionKey, width: int, sizes: Sizes, adapter: Adapter) -> "Program":
        """Prepare the functions; they are compiled when they are first called."""
        return cls(
            width=width,
            epoch=adapter.compiled(epoch_program(key, sizes, adapter)),
            take=adapter.compiled(_take),
            put=adapter.compiled(_put),
        )


class Cohort:
    """Slots of one program, some of them empty.

    Attributes:
        key: The fusion key of its trials.
        slots: Its places; None for an empty one.
    """

    def __init__(
        self, key: FusionKey, program: Program, data: Tree, sizes: Sizes, adapter: Adapter
    ) -> None:
        """Begin with empty slots.

        Args:
            key: The fusion key.
            program: For it.
            data: The images on the device.
            sizes: Of the data.
            adapter: Of the backend.
        """
        self.key = key
        self.slots: list[Slot | None] = [None] * program.width
        self._program = program
        self._data = data
        self._sizes = sizes
        self._adapter = adapter
        self._state: Tree | None = None
        self._settings: Tree = None

    @property
    def trials(self) -> tuple[Slot, ...]:
        """The occupied slots."""
        return tuple(slot for slot in self.slots if slot is not None)

    @property
    def has_room(self) -> bool:
        """Whether a slot is empty."""
        return None in self.slots

    def enter(self, slot: Slot, state: Tree | None = None) -> None:
        """Place a trial in an empty slot; its neighbours are not touched.

        Args:
            slot: The trial.
            state: Where it goes on, arrays (1, ...); None for its beginning.
        """
        index = self.slots.index(None)
        self.slots[index] = slot
        fresh = self._adapter.to_device(slot.initial_state() if state is None else state)
        if self._state is None:
            self._state = _repeated(fresh, self._program.width)
        else:
            self._state = self._put(self._state, index, fresh)
        # Empty slots compute with the numbers of an occupied one.
        settings = [(s or slot).settings for s in self.slots]
        stacked = {name: np.stack([s[name] for s in settings]) for name in slot.settings}
        self._settings = self._adapter.to_device(stacked)

    def leave(self, slot: Slot) -> None:
        """Empty the slot of a trial."""
        self.slots[self.slots.index(slot)] = None

    def state_of(self, slot: Slot) -> Tree:
        """The state of a trial, arrays (1, ...) on the device."""
        return self._take(self._state, self.slots.index(slot))

    def warm_up(self) -> None:
        """Compile the program by running it without a step."""
        inputs, _ = self.trials[0].next_inputs()
        stacked = self._stacked([inputs] * len(self.slots))
        tally = self._fresh_tally([False] * len(self.slots))
        self._adapter.to_host(self._call(self._state, stacked, tally, 0, 0, 0)[1])

    def run_epoch(self, steps_per_call: int, move_on: Callable[[], None]) -> list[EpochReport]:
        """Train every trial that is not finished for one epoch, and validate it.

        Args:
            steps_per_call: Most training steps in one call of the program.
            move_on: Called after each call.

        Returns:
            One report for each trial trained, in the order of the slots.
        """
        started = time.perf_counter()
        drawn = {slot: slot.next_inputs() for slot in self.trials if slot.is_training}
        spare, _ = next(iter(drawn.values()))
        # What the places without a trial in training take in does not matter.
        inputs = self._stacked([drawn[slot][0] if slot in drawn else spare for slot in self.slots])
        tally = self._fresh_tally([slot in drawn for slot in self.slots])
        steps = self._sizes.steps(self.key.batch_size)
        state, val = self._state, None
        for first in range(0, steps, steps_per_call):
            last = min(first + steps_per_call, steps)
            batches = self._sizes.val_batches if last == steps else 0
            state, tally, val = self._call(state, inputs, tally, first, last, batches)
            self._adapter.to_host(tally)
            move_on()
        self._state = state
        seconds = time.perf_counter() - started
        tally, val = self._adapter.to_host(tally), self._adapter.to_host(val)
        reports = []
        for slot, (_, rate) in drawn.items():
            sums, val_sums = (_of_place(t, self.slots.index(slot)) for t in (tally, val))
            report, is_best = slot.finish_epoch(
                sums, val_sums, self._sizes.val_images, rate=rate, seconds=seconds
            )
            self._keep(slot, is_best)
            reports.append(report)
        return reports

    def _keep(self, slot: Slot, is_best: bool) -> None:
        """Put weights aside: the best so far, or the last ones before idle steps blur them."""
        is_last = slot.course.finished is not None and slot.kept is None
        if is_best or is_last:
            state = self.state_of(slot)
            slot.kept = {"weights": state["weights"], "moving": state["moving"]}

    def _call(
        self, state: Tree, inputs: Tree, tally: Tree, first: int, last: int, batches: int
    ) -> tuple[Tree, Tree, Tree]:
        bounds = self._adapter.to_device(np.asarray([first, last, batches], np.int32))
        result: tuple[Tree, Tree, Tree] = self._program.epoch(
            self._data, state, self._settings, inputs, tally, bounds
        )
        return result

    def _stacked(self, inputs: list[Tree]) -> Tree:
        stacked = {name: np.stack([i[name] for i in inputs], axis=1) for name in inputs[0]}
        return self._adapter.to_device(stacked)

    def _fresh_tally(self, is_alive: list[bool]) -> Tree:
        zeros = np.zeros(len(is_alive), self.trials[0].settings["loss_limit"].dtype)
        tally = {"loss": zeros, "correct": zeros, "images": zeros, "alive": np.asarray(is_alive)}
        return self._adapter.to_device(tally)

    def _take(self, tree: Tree, index: int) -> Tree:
        if len(self.slots) == 1:
            return tree
        return self._program.take(tree, self._adapter.to_device(np.int32(index)))

    def _put(self, tree: Tree, index: int, one: Tree) -> Tree:
        if len(self.slots) == 1:
            return one
        return self._program.put(tree, self._adapter.to_device(np.int32(index)), one)


def _repeated(one: Tree, width: int) -> Tree:
    if width == 1:
        return one
    return keras.tree.map_structure(lambda a: ops.repeat(a, width, axis=slot_axis(a)), one)


def _of_place(sums: Tree, index: int) -> dict[str, Any]:
    return {name: array[index].item() for name, array in sums.items()}


def _take(tree: Tree, index: Any) -> Tree:
    def taken(array: Any) -> Any:
        axis = slot_axis(array)
        return ops.expand_dims(ops.take(array, index, axis=axis), axis)

    return keras.tree.map_structure(taken, tree)


def _put(tree: Tree, index: Any, one: Tree) -> Tree:
    def replaced(array: Any, fresh: Any) -> Any:
        # All of one type: JAX takes a plain 0 for 64 bits when it computes in double precision.
        start = [ops.zeros_like(index)] * len(array.shape)
        start[slot_axis(array)] = index
        return ops.slice_update(array, start, fresh)

    return keras.tree.map_structure(replaced, tree, one)
