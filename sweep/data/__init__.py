"""The images: found, verified, decoded once per machine, split and memory-mapped. numpy only."""

from sweep.data.moments import StatisticsKind, statistics
from sweep.data.preparation import prepare
from sweep.data.reference import DataRef, Split, SplitName, open_split

__all__ = [
    "DataRef",
    "Split",
    "SplitName",
    "StatisticsKind",
    "open_split",
    "prepare",
    "statistics",
]
