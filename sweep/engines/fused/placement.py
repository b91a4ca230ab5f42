"""Which trials train together: cohorts are opened, filled, divided and closed here."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from sweep.engines.fused.adapters import Adapter
from sweep.engines.fused.cohort import Cohort
from sweep.engines.fused.footprint import slot_bytes
from sweep.engines.fused.key import FusionKey
from sweep.engines.fused.program import Sizes
from sweep.engines.fused.programs import Programs
from sweep.engines.fused.slot import Slot
from sweep.trial import EpochReport

logger = logging.getLogger(__name__)

Tree = Any
Entry = tuple[Slot, Tree | None]

_CALL_FLOPS = 3e12


class Placement:
    """The cohorts of a device.

    Attributes:
        compile_seconds: Wall time spent on compiling.
    """

    def __init__(
        self,
        data: Tree,
        sizes: Sizes,
        adapter: Adapter,
        *,
        itemsize: int,
        memory_bytes: int | None,
    ) -> None:
        """Begin without trials.

        Args:
            data: The images on the device.
            sizes: Of the data.
            adapter: Of the backend.
            itemsize: Bytes of a number.
            memory_bytes: Memory for the slots; None for no limit.
        """
        self.compile_seconds = 0.0
        self._data = data
        self._sizes = sizes
        self._adapter = adapter
        self._itemsize = itemsize
        self._memory_bytes = memory_bytes
        self._programs = Programs(sizes, adapter)
        self._waiting: list[Slot] = []
        self._cohorts: list[Cohort] = []
        self._most_slots: dict[FusionKey, int] = {}
        self._broken: dict[FusionKey, Exception] = {}

    @property
    def widest(self) -> int:
        """Slots of the widest cohort."""
        return max((len(cohort.slots) for cohort in self._cohorts), default=0)

    def wait(self, slot: Slot) -> None:
        """Let a trial wait for a place."""
        self._waiting.append(slot)

    def state_of(self, slot: Slot) -> Tree:
        """The present state of a trial, arrays (1, ...)."""
        for cohort in self._cohorts:
            if slot in cohort.slots:
                return cohort.state_of(slot)
        return self._adapter.to_device(slot.initial_state())

    def remove(self, slot: Slot) -> None:
        """Free the place of a trial."""
        if slot in self._waiting:
            self._waiting.remove(slot)
        for cohort in self._cohorts:
            if slot in cohort.slots:
                cohort.leave(slot)
        self._cohorts = [cohort for cohort in self._cohorts if cohort.trials]

    def clear(self) -> None:
        """Free all places; compiled programs are kept."""
        self._waiting.clear()
        self._cohorts.clear()

    def place(self, most_slots: int) -> list[tuple[Slot, Exception]]:
        """Give every waiting trial a place beside others of its fusion key.

        Trials for which memory does not suffice now go on waiting until others have left.

        Args:
            most_slots: Most slots of a cohort.

        Returns:
            The trials whose program cannot be compiled, with the reason.
        """
        waiting, self._waiting = self._waiting, []
        broken = []
        for key, slots in grouped(waiting).items():
            try:
                self._place_alike(key, slots, most_slots)
            except Exception as error:  # noqa: BLE001 - whatever it is, the program is of no use
                self._broken.setdefault(key, error)
                broken += [(slot, error) for slot in slots]
        return broken

    def run_epoch(self, move_on: Callable[[], None]) -> list[EpochReport]:
        """Train every placed trial that is not finished for one epoch, cohort after cohort."""
        reports: list[EpochReport] = []
        cohorts = deque(self._cohorts)
        while cohorts:
            cohort = cohorts.popleft()
            if not any(slot.is_training for slot in cohort.trials):
                continue
            try:
                reports += cohort.run_epoch(_steps_per_call(cohort), move_on)
            except Exception as error:
                width = len(cohort.slots) // 2
                if width == 0 or not self._adapter.is_out_of_memory(error):
                    raise
                states = [self._adapter.to_host(cohort.state_of(s)) for s in cohort.trials]
                entries = list(zip(cohort.trials, states, strict=True))
                self._cohorts.remove(cohort)
                cohorts.extendleft(self._opened(entries, width))
        return reports

    def _place_alike(self, key: FusionKey, slots: list[Slot], most_slots: int) -> None:
        if key in self._broken:
            raise self._broken[key]
        rest = deque(slots)
        for cohort in self._cohorts:
            while rest and cohort.key == key and cohort.has_room:
                cohort.enter(rest.popleft())
        while rest:
            width = min(_power_of_two(len(rest)), most_slots, self._most_slots.get(key, len(rest)))
            room = self._room(key)
            if room == 0:
                self._waiting += rest
                return
            width = width if room is None else min(width, room)
            entries: list[Entry] = [(rest.popleft(), None) for _ in range(min(width, len(rest)))]
            self._opened(entries, width)

    def _room(self, key: FusionKey) -> int | None:
        """Slots that memory suffices for; at least one while nothing else trains."""
        if self._memory_bytes is None:
            return None
        classes, itemsize = self._sizes.classes, self._itemsize
        taken = sum(len(c.slots) * slot_bytes(c.key, classes, itemsize) for c in self._cohorts)
        room = (self._memory_bytes - taken) // slot_bytes(key, classes, itemsize)
        return max(room, 0 if self._cohorts else 1)

    def _opened(self, entries: list[Entry], width: int) -> list[Cohort]:
        """New cohorts of a width for trials of one key; of half the width, if memory is short."""
        key = entries[0][0].key
        try:
            opened = [
                self._filled(key, entries[first : first + width], width)
                for first in range(0, len(entries), width)
            ]
        except Exception as error:
            self._programs.drop(key, width)
            if width == 1 or not self._adapter.is_out_of_memory(error):
                raise
            logger.warning("%d slots do not fit into memory, dividing them: %s", width, error)
            self._most_slots[key] = width // 2
            return self._opened(entries, width // 2)
        self._cohorts += opened
        return opened

    def _filled(self, key: FusionKey, entries: list[Entry], width: int) -> Cohort:
        """A new cohort, its program compiled: anew, if what the disk keeps may be damaged."""
        try:
            return self._compiled(key, entries, width)
        except Exception as error:
            if self._adapter.is_out_of_memory(error) or not self._adapter.forget_programs():
                raise
            logger.warning("compiling once more, without the programs on disk: %s", error)
            self._programs.drop(key, width)
            return self._compiled(key, entries, width)

    def _compiled(self, key: FusionKey, entries: list[Entry], width: int) -> Cohort:
        started = time.perf_counter()
        program, is_new = self._programs.get(key, width)
        cohort = Cohort(key, program, self._data, self._sizes, self._adapter)
        for slot, state in entries:
            cohort.enter(slot, state)
        if is_new:
            try:
                cohort.warm_up()
            finally:
                self.compile_seconds += time.perf_counter() - started
        return cohort


def grouped(slots: Iterable[Slot]) -> dict[FusionKey, list[Slot]]:
    """Trials by fusion key, both in the order of arrival."""
    groups: dict[FusionKey, list[Slot]] = {}
    for slot in slots:
        groups.setdefault(slot.key, []).append(slot)
    return groups


def _power_of_two(trials: int) -> int:
    """The next power of two, so that few widths are compiled."""
    return 1 << (trials - 1).bit_length()


def _steps_per_call(cohort: Cohort) -> int:
    """Steps of one call: an epoch, but of a giant network so few that it can be watched."""
    parameters = max(slot.parameters for slot in cohort.trials)
    flops = 6.0 * parameters * cohort.key.batch_size * len(cohort.slots)
    return max(1, int(_CALL_FLOPS / flops))
