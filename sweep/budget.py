"""When a study ends: its budget, shared by all of its runs; and how it stands."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sweep.space import SearchSpace
from sweep.spec.model import StudySpec
from sweep.store import Outlook, Wanted

_SECONDS_PER_HOUR = 3600.0


class Ending(StrEnum):
    """Why a run ended; the words complete the sentence `the run ended: ...`."""

    TRIALS = "all trials are finished"
    TARGET = "the target is reached"
    WALL = "its wall time is over"
    GPU_HOURS = "its GPU hours are used up"
    INTERRUPTED = "interrupted"
    PAUSED = "paused"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    NOTHING_LEFT = "other runs hold the trials that are left"


SHARED_ENDINGS: Final = (Ending.TRIALS, Ending.TARGET, Ending.WALL, Ending.GPU_HOURS)
"""Those of the study: all of its runs end with it."""

WANTED_ENDINGS: Final = {
    Wanted.PAUSE: Ending.PAUSED,
    Wanted.STOP: Ending.STOPPED,
    Wanted.CANCEL: Ending.CANCELLED,
}
"""How a run ends by what is to become of its study."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a study may cost, and what it is to reach, over all of its runs.

    Attributes:
        trials: Finished trials asked for; no more than a grid has.
        wall_seconds: Time during which it is driven, or None without a limit.
        gpu_hours: Time of GPUs, added up, or None without a limit.
        target: Value of the first objective that ends it, or None.
        maximize: Whether a larger first objective is better.
    """

    trials: int
    wall_seconds: float | None
    gpu_hours: float | None
    target: float | None
    maximize: bool

    @classmethod
    def of(cls, spec: StudySpec) -> "Budget":
        """The budget of a study."""
        budget, trials = spec.budget, spec.budget.trials
        if spec.sampler.name == "grid":
            combinations = SearchSpace.from_spec(spec).combinations()
            trials = trials if combinations is None else min(trials, combinations)
        return cls(
            trials,
            budget.wall_seconds,
            budget.gpu_hours,
            budget.target,
            spec.objectives[0].direction == "maximize",
        )

    def ending(self, best_value: float | None, outlook: Outlook) -> Ending | None:
        """What else than the number of trials ends the study, or None if nothing does.

        Args:
            best_value: First objective value of the best trial, or None.
            outlook: What the study has cost.
        """
        if self.target is not None and best_value is not None:
            is_reached = best_value >= self.target if self.maximize else best_value <= self.target
            if is_reached:
                return Ending.TARGET
        if self.wall_seconds is not None and outlook.wall_seconds >= self.wall_seconds:
            return Ending.WALL
        hours = outlook.gpu_seconds / _SECONDS_PER_HOUR
        if self.gpu_hours is not None and hours >= self.gpu_hours:
            return Ending.GPU_HOURS
        return None


def state_of(wanted: Wanted, *, is_over: bool, is_driven: bool) -> str:
    """How a study stands, in a word or two; one that was cancelled is so to its end."""
    if is_over and wanted is not Wanted.CANCEL:
        return "finished"
    if wanted is Wanted.RUN:
        return "running" if is_driven else "not running"
    now, then = _ENDS[wanted]
    return now if is_driven else then


_ENDS: Final = {
    Wanted.PAUSE: ("pausing", "paused"),
    Wanted.STOP: ("stopping", "stopped"),
    Wanted.CANCEL: ("cancelling", "cancelled"),
}
