"""How fast a study goes on, and how long the rest takes."""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from sweep.report.web.live.picture import Picture

SPAN: Final = timedelta(minutes=5)
"""How far back the speed looks."""
LONGEST_GAP: Final = timedelta(seconds=10)
LEAST_SECONDS: Final = 5.0
"""How long the runs must have lasted for their speed to mean anything."""


class Speed:
    """Epochs over time, as a follower saw them.

    A follower that has just come, or looked away for long, asks the database what went on.
    """

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._samples: deque[tuple[datetime, int]] = deque()

    def epochs_per_second(
        self, picture: Picture, reported_since: Callable[[datetime], int]
    ) -> float | None:
        """Trial-epochs a second over the last `SPAN`, or since the present runs began.

        Args:
            picture: The study now.
            reported_since: Counts the epochs reported after a time.

        Returns:
            None while no run lives, or before there is enough to tell.
        """
        samples, now, total = self._samples, picture.news.now, picture.trial_epochs
        begun = min((run["started_at"] for run in living(picture)), default=None)
        if begun is None:
            samples.clear()
            return None
        start = max(now - SPAN, begun)
        while len(samples) > 1 and samples[1][0] <= start:
            samples.popleft()
        if not samples or samples[0][0] < start - LONGEST_GAP:
            samples.clear()
            samples.append((start, total - reported_since(start)))
        samples.append((now, total))
        then, base = samples[0]
        seconds = (now - max(then, begun)).total_seconds()
        return max(0, total - base) / seconds if seconds >= LEAST_SECONDS else None


def living(picture: Picture) -> list[dict[str, Any]]:
    """Runs that did not end, and whose lease has not run out."""
    now = picture.news.now
    return [
        run
        for run in picture.news.runs
        if run["ended_at"] is None and run["expires_at"] is not None and run["expires_at"] > now
    ]


def seconds_left(
    picture: Picture, asked: int, most_epochs: int, epochs_per_second: float | None
) -> float | None:
    """The time for what is left, if trials train as long as those that have finished did.

    Args:
        picture: The study now.
        asked: Trials asked for.
        most_epochs: Of a trial, while none has finished.
        epochs_per_second: The speed.
    """
    if not epochs_per_second:
        return None
    in_training = sum(trial.epochs for trial in picture.running())
    finished = picture.finished
    per_trial = (picture.trial_epochs - in_training) / finished if finished else most_epochs
    left = (asked - finished) * per_trial - in_training
    return max(left, 0.0) / epochs_per_second
