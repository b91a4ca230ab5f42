"""The programs that a worker has compiled."""

from collections import OrderedDict

from sweep.engines.fused.adapters import Adapter
from sweep.engines.fused.cohort import Program
from sweep.engines.fused.key import FusionKey
from sweep.engines.fused.program import Sizes

MOST_PROGRAMS = 64


class Programs:
    """Keeps the programs used last, so that a structure is compiled once."""

    def __init__(self, sizes: Sizes, adapter: Adapter) -> None:
        """Begin with none."""
        self._sizes = sizes
        self._adapter = adapter
        self._kept: OrderedDict[tuple[FusionKey, int], Program] = OrderedDict()

    def get(self, key: FusionKey, width: int) -> tuple[Program, bool]:
        """The program of a structure for so many slots, and whether it is yet to be compiled."""
        program = self._kept.get((key, width))
        is_new = program is None
        if program is None:
            program = Program.of(key, width, self._sizes, self._adapter)
            self._kept[key, width] = program
            if len(self._kept) > MOST_PROGRAMS:
                self._kept.popitem(last=False)
        self._kept.move_to_end((key, width))
        return program, is_new

    def drop(self, key: FusionKey, width: int) -> None:
        """Forget a program that cannot be compiled or does not fit into memory."""
        self._kept.pop((key, width), None)
