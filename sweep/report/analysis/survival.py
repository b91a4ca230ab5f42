r"""How long things take, where some never got there: the median of Kaplan and Meier (1958).

| symbol | meaning |
|---|---|
| d | how many reach at time t |
| n | how many had neither reached nor left before t |

The share that has not reached by time t is :math:`S(t) = \prod (1 - d_i / n_i)` over the times up
to t; the median is the first t at which it is one half or less. Its variance is Greenwood's,
:math:`S^2 \sum d_i / (n_i (n_i - d_i))`, and the interval of the median holds the times at which
the interval of S, on its logarithm, holds one half (Brookmeyer and Crowley 1982).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.report.analysis.estimate import Floats

_WIDTH = 1.959964


@dataclass(frozen=True, slots=True)
class Median:
    """A median time with its 95 % interval; infinite where it was not reached.

    Attributes:
        time: The median.
        low: Lower end.
        high: Upper end.
    """

    time: float
    low: float
    high: float


def median_time(times: Floats, reached: NDArray[np.bool_]) -> Median:
    """The median time until something is reached.

    Args:
        times: When it was reached, or else how long it was looked for; infinite for what will
            never reach it.
        reached: Whether it was.
    """
    moments, events = np.unique(times[reached], return_counts=True)
    at_risk = (times[:, None] >= moments).sum(axis=0)
    left = np.cumprod(1.0 - events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(np.cumsum(events / (at_risk * (at_risk - events))))
        spread = np.where(left > 0.0, np.exp(_WIDTH * error), 1.0)
    return Median(*(_first(moments, left * factor) for factor in (1.0, 1.0 / spread, spread)))


def _first(moments: Floats, left: Floats) -> float:
    """The first moment at which half or less is left."""
    # Sums of rounded shares miss one half by a hair.
    found = np.flatnonzero(left <= 0.5 + 1e-9)
    return float(moments[found[0]]) if len(found) else np.inf
