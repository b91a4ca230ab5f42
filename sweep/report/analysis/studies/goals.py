"""Which of several studies pursue the same first objective."""

from collections.abc import Iterator, Sequence

from sweep.report.frames import StudyFrames

Goal = tuple[str, str]


def goal_of(frames: StudyFrames) -> Goal:
    """Metric and direction of a study's first objective."""
    return frames.metrics[0], frames.directions[0]


def goals(studies: Sequence[StudyFrames]) -> list[Goal]:
    """The different ones of several studies, in their order."""
    return list(dict.fromkeys(map(goal_of, studies)))


def sharing(studies: Sequence[StudyFrames], goal: Goal) -> Iterator[tuple[int, StudyFrames]]:
    """The studies that pursue a goal, with their places among all: their colours."""
    return ((i, frames) for i, frames in enumerate(studies) if goal_of(frames) == goal)
