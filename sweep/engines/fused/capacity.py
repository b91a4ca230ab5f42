"""How many slots a device is given: as many as still make it faster."""

import logging
from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

WIDTHS = (16, 64, 256, 512)
_WORTHWHILE = 1.1


def choose_capacity(measure: Callable[[int], float | None], widths: Sequence[int] = WIDTHS) -> int:
    """The number of slots after which more of them bring less than a tenth.

    Args:
        measure: Trial-steps per second of a cohort of that many slots; None if it does not fit
            into the device's memory.
        widths: Numbers of slots to try, rising.

    Returns:
        One of `widths`, or 1 if not even the first of them fits.
    """
    chosen, fastest = 1, 0.0
    for width in widths:
        speed = measure(width)
        logger.info("%d slots: %s trial-steps per second", width, speed)
        if speed is None or (chosen > 1 and speed < _WORTHWHILE * fastest):
            break
        chosen, fastest = width, speed
    return chosen
