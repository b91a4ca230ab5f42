"""What networks standardise their images with."""

from sweep.data import DataRef, StatisticsKind, statistics
from sweep.network.build import Statistics
from sweep.trial import TrialConfig


class Scaling:
    """Mean and deviation of the training split, computed when a trial first needs them."""

    def __init__(self, data: DataRef) -> None:
        """Compute nothing yet."""
        self._data = data
        self._known: dict[StatisticsKind, Statistics] = {}

    def of(self, config: TrialConfig) -> Statistics | None:
        """Those that a configuration asks for; None if it takes pixels as they are."""
        if config.scaling == "unit":
            return None
        kind: StatisticsKind = "feature" if config.scaling == "feature" else "channel"
        if kind not in self._known:
            self._known[kind] = statistics(self._data, kind)
        return self._known[kind]
