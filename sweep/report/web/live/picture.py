"""A study as a follower knows it: what has ended is kept, what is open is read again."""

import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sweep.report.frames import outcome_of
from sweep.store.live import News, Seen

MOST_MESSAGES: Final = 100
ENDED: Final = ("complete", "diverged", "pruned", "failed")
_TAKEN: Final = (
    "values",
    "worker",
    "attempt",
    "started",
    "ended",
    "stop_reason",
    "error",
    "remark",
)


@dataclass(slots=True)
class LiveTrial:
    """A trial.

    Attributes:
        number: Its number.
        outcome: As in `sweep.report.frames`.
        values: One for each objective; none before it has them.
        epochs: Epochs trained.
        worker: Name of the worker that trained it last.
        run_id: The run that holds it, while it is open.
        attempt: 1, or more if a worker was lost while it trained.
        started: Start of the last attempt.
        ended: When it ended.
        stop_reason: Why it stopped.
        error: Why it failed.
        remark: What was unusual in its training.
    """

    number: int
    outcome: str
    values: list[float]
    epochs: int
    worker: str | None
    run_id: int | None
    attempt: int | None
    started: datetime | None
    ended: datetime | None
    stop_reason: str | None
    error: str | None
    remark: str | None


@dataclass(slots=True)
class Curve:
    """A learning curve.

    Attributes:
        accuracies: Validation accuracy after each epoch; None where it is not known.
        losses: Validation loss after each epoch.
        seconds: Wall time of the last epoch.
        reported_at: When the last epoch was reported.
    """

    accuracies: list[float | None] = field(default_factory=list)
    losses: list[float | None] = field(default_factory=list)
    seconds: float | None = None
    reported_at: datetime | None = None

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in an epoch, in the place of all from it on."""
        self.cut(row["epoch"] - 1)
        missing = row["epoch"] - 1 - len(self.accuracies)
        self.accuracies += [*[None] * missing, row["val_accuracy"]]
        self.losses += [*[None] * missing, row["val_loss"]]
        self.seconds, self.reported_at = row["seconds"], row["reported_at"]

    def cut(self, epochs: int) -> None:
        """Forget what comes after so many epochs."""
        del self.accuracies[epochs:], self.losses[epochs:]


@dataclass(frozen=True, slots=True)
class Step:
    """A trial that was the best when it ended.

    Attributes:
        number: Its number.
        value: Its first objective.
        ended: When it ended.
        place: Its place among the ended trials, in the order of their end, from 0.
    """

    number: int
    value: float
    ended: datetime | None
    place: int


class Picture:
    """All that is known of a study.

    Attributes:
        news: The last news.
        trials: Every trial by number.
        ended: Numbers of the trials that have ended, in the order in which that became known.
        counts: Trials by outcome.
        retried: Numbers of failed trials that another trial repeats.
        steps: The incumbents, in order.
        curves: Learning curves of trials that are open, or ended while they were followed.
        messages: The last messages.
    """

    def __init__(self, news: News) -> None:
        """Begin with news that begin at the beginning."""
        self.news = news
        self.trials: dict[int, LiveTrial] = {}
        self.ended: list[int] = []
        self.counts: Counter[str] = Counter()
        self.retried: set[int] = set()
        self.steps: list[Step] = []
        self.curves: dict[int, Curve] = {}
        self.messages: deque[Mapping[str, Any]] = deque(maxlen=MOST_MESSAGES)
        self._maximize = news.record["objectives"][0]["direction"] == "maximize"
        self._numbers: dict[int, int] = {}
        self._open: dict[int, tuple[int | None, int]] = {}
        self._ended_epochs = 0
        self._last_id = 0
        self._log_id = 0
        self.add(news)

    @property
    def seen(self) -> Seen:
        """What need not be read again."""
        return Seen(
            study=self.news.study,
            trial_id=self._last_id,
            open_trials=self._open,
            log_id=self._log_id,
        )

    @property
    def trial_epochs(self) -> int:
        """Epochs trained, over all trials."""
        return self._ended_epochs + sum(epochs for _, epochs in self._open.values())

    @property
    def finished(self) -> int:
        """Trials that count against the budget."""
        return len(self.ended) - len(self.retried)

    @property
    def best(self) -> Step | None:
        """The incumbent."""
        return self.steps[-1] if self.steps else None

    def running(self) -> Iterator[LiveTrial]:
        """Trials in training, by number."""
        open_numbers = sorted(self._numbers[trial_id] for trial_id in self._open)
        return (t for n in open_numbers if (t := self.trials[n]).outcome == "running")

    def add(self, news: News) -> None:
        """Take in what is new."""
        self.news = news
        ended = []
        for row in news.trials:
            trial = self._place(row, news)
            if trial.outcome in ENDED:
                ended.append(trial)
        for row in news.epochs:
            self.curves.setdefault(self._numbers[row["trial_id"]], Curve()).add(row)
        for trial_id, length in news.lengths.items():
            if (curve := self.curves.get(self._numbers[trial_id])) is not None:
                curve.cut(length)
        for trial in sorted(ended, key=_when):
            self._end(trial)
        for message in news.messages:
            self.messages.append(message)
            self._log_id = message["log_id"]

    def _place(self, row: Mapping[str, Any], news: News) -> LiveTrial:
        """Put a trial in the place of what was known of it."""
        number, trial_id = row["number"], row["trial_id"]
        outcome = outcome_of(row["state"], row["stop_reason"])
        length = news.lengths[trial_id]
        if (known := self.trials.get(number)) is not None:
            self.counts[known.outcome] -= 1
        self.counts[outcome] += 1
        self._numbers[trial_id] = number
        self._last_id = max(self._last_id, trial_id)
        self._open.pop(trial_id, None)
        if outcome not in ENDED:
            self._open[trial_id] = (row["attempt"], length)
        if row["retry_of"] is not None:
            self.retried.add(row["retry_of"])
        trial = LiveTrial(
            number=number,
            outcome=outcome,
            epochs=length,
            run_id=news.holders.get(trial_id),
            **{name: row[name] for name in _TAKEN},
        )
        self.trials[number] = trial
        return trial

    def _end(self, trial: LiveTrial) -> None:
        self.ended.append(trial.number)
        self._ended_epochs += trial.epochs
        if trial.outcome != "complete" or not trial.values or not math.isfinite(trial.values[0]):
            return
        value, best = trial.values[0], self.best
        if best is None or self._is_better(trial.number, value, best):
            self.steps.append(Step(trial.number, value, trial.ended, len(self.ended) - 1))

    def _is_better(self, number: int, value: float, best: Step) -> bool:
        if value == best.value:
            # Of equal ones, the store calls the first by number the best.
            return number < best.number
        return value > best.value if self._maximize else value < best.value


def _when(trial: LiveTrial) -> tuple[bool, datetime, int]:
    """A key that sorts trials by their end; those whose end is not known come first."""
    known = trial.ended is not None
    return (known, trial.ended or datetime.min.replace(tzinfo=UTC), trial.number)
