import math

import numpy as np
import pytest

from sweep.report.analysis.survival import Median, median_time

# Weeks of remission of 42 children with leukaemia (Freireich and others 1963).
TREATED = [6, 6, 6, 7, 10, 13, 16, 22, 23]
STILL_WELL = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
CONTROL = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


@pytest.mark.parametrize(
    ("reached", "censored", "median"),
    [
        # As R's `survfit` has them.
        (TREATED, STILL_WELL, Median(23.0, 16.0, math.inf)),
        (CONTROL, [], Median(8.0, 4.0, 12.0)),
        ([], [3, math.inf], Median(math.inf, math.inf, math.inf)),
        ([5, 5], [], Median(5.0, 5.0, 5.0)),
        # What never gets there keeps the median from those that did.
        ([1, 2], [math.inf] * 2, Median(2.0, 1.0, math.inf)),
    ],
)
def test_median(reached: list[float], censored: list[float], median: Median) -> None:
    times = np.array([*reached, *censored], dtype=float)
    events = np.arange(len(times)) < len(reached)
    assert median_time(times, events) == median
