"""The count of a study's trials and its incumbent."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from optuna.trial import FrozenTrial, TrialState

from sweep.driver.progress import BestTrial
from sweep.driver.retry import retried_numbers
from sweep.space import SearchSpace
from sweep.trial import StopReason, TrialConfig

STOP_REASON = "stop_reason"


@dataclass(slots=True)
class Standings:
    """Finished trials by kind, and the best of them by the first objective.

    Attributes:
        maximize: Whether a larger first objective is better.
        complete: Trials that ran to their end, diverged ones included.
        diverged: How many of those diverged.
        pruned: Trials pruned.
        failures: Numbers of the trials failed and not retried.
        best: The incumbent; a diverged trial never is.
    """

    maximize: bool
    complete: int = 0
    diverged: int = 0
    pruned: int = 0
    failures: set[int] = field(default_factory=set)
    best: BestTrial | None = None

    @classmethod
    def of(cls, trials: Iterable[FrozenTrial], space: SearchSpace, maximize: bool) -> "Standings":
        """The standings of a study as Optuna knows it."""
        trials = list(trials)
        standings = cls(maximize)
        for trial in trials:
            standings.count(trial, space)
        standings.failures -= retried_numbers(trials)
        return standings

    def count(self, trial: FrozenTrial, space: SearchSpace) -> None:
        """Count a trial that has ended."""
        if trial.state == TrialState.COMPLETE:
            reason = StopReason(trial.user_attrs[STOP_REASON])
            self.add(trial.number, trial.values, partial(space.config, trial.params), reason)
        elif trial.state == TrialState.PRUNED:
            self.pruned += 1
        elif trial.state == TrialState.FAIL:
            self.failures.add(trial.number)

    @property
    def failed(self) -> int:
        """Trials failed and not retried."""
        return len(self.failures)

    @property
    def finished(self) -> int:
        """Trials that count against the budget."""
        return self.complete + self.pruned + self.failed

    def add(
        self,
        number: int,
        values: Sequence[float],
        config: Callable[[], TrialConfig],
        reason: StopReason,
    ) -> bool:
        """Count a complete trial.

        Args:
            number: Its number.
            values: Its objective values.
            config: Gives its configuration; called only for a new incumbent.
            reason: Why it stopped.

        Returns:
            Whether it is the new incumbent.
        """
        self.complete += 1
        if reason is StopReason.DIVERGED:
            self.diverged += 1
            return False
        sign = 1.0 if self.maximize else -1.0
        if self.best is not None and sign * values[0] <= sign * self.best.values[0]:
            return False
        self.best = BestTrial(number, tuple(values), config())
        return True
