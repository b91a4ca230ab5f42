"""What is computed once for a study that was read: several figures ask for the same table."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

from sweep.report.frames import StudyFrames

Result = TypeVar("Result")


def once(function: Callable[[StudyFrames], Result]) -> Callable[[StudyFrames], Result]:
    """Remember the result for each study that was read, for as long as its frames are in use.

    Args:
        function: Its result is shared by all who ask: nobody may alter it, and it must not hold
            the frames themselves.
    """
    known: WeakKeyDictionary[StudyFrames, Result] = WeakKeyDictionary()

    @wraps(function)
    def remembered(frames: StudyFrames) -> Result:
        if frames not in known:
            known[frames] = function(frames)
        return known[frames]

    return remembered
