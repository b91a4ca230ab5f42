"""Trials asked for ahead, so that no slot waits for the sampler."""

from collections.abc import Callable, Collection, Hashable
from typing import Final

from sweep.driver.source import OpenTrial

MOST_OVERTAKEN: Final = 8


class ReadyQueue:
    """Trials that wait for a slot, in the order in which they were asked for.

    For Optuna they run. A run that ends before they start leaves them to the next one.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self._trials: list[OpenTrial] = []

    def __len__(self) -> int:
        """Trials that wait."""
        return len(self._trials)

    def add(self, trial: OpenTrial) -> None:
        """A trial was asked for."""
        self._trials.append(trial)

    def put_first(self, trials: list[OpenTrial]) -> None:
        """Trials start again, before all others."""
        self._trials[:0] = trials

    def take(self, count: int, rank: Callable[[Hashable], int]) -> list[OpenTrial]:
        """Take trials for one worker.

        Args:
            count: How many at most.
            rank: How well a group of trials suits the worker, 0 for the best. Among equals the
                order of asking holds; a trial that was overtaken `MOST_OVERTAKEN` times comes
                before every other.
        """

        def suits(place: int) -> int:
            trial = self._trials[place]
            return -1 if trial.overtaken >= MOST_OVERTAKEN else rank(trial.group)

        places = sorted(range(len(self._trials)), key=suits)[:count]
        taken = [self._trials[place] for place in places]
        for place, trial in enumerate(self._trials[: max(places, default=0)]):
            trial.overtaken += place not in places
        self._trials = [t for place, t in enumerate(self._trials) if place not in places]
        return taken

    def drop(self, numbers: Collection[int]) -> None:
        """Forget trials, by number, that are others' now."""
        self._trials = [trial for trial in self._trials if trial.task.number not in numbers]

    def take_all(self) -> list[OpenTrial]:
        """Take all trials that wait."""
        taken, self._trials = self._trials, []
        return taken
