"""Which of several studies have values that say something about each other."""

from collections.abc import Callable, Sequence

from sweep.report.analysis.studies.comparable import comparability
from sweep.report.frames import StudyFrames


def comparable_groups(studies: Sequence[StudyFrames]) -> list[list[int]]:
    """Places of studies by what their objective's values may be compared with.

    Returns:
        Groups in the order of their first study, which all others of a group go with.
    """
    return _groups(studies, lambda one, two: not comparability(one, two).obstacles)


def groups_of_images(studies: Sequence[StudyFrames]) -> list[list[int]]:
    """Places of studies by the images that they were validated on, whatever their objective."""
    return _groups(studies, lambda one, two: comparability(one, two).same_images)


def _groups(
    studies: Sequence[StudyFrames], goes_with: Callable[[StudyFrames, StudyFrames], bool]
) -> list[list[int]]:
    groups: list[list[int]] = []
    for place, frames in enumerate(studies):
        for group in groups:
            if goes_with(studies[group[0]], frames):
                group.append(place)
                break
        else:
            groups.append([place])
    return groups
