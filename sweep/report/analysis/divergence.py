r"""Where training diverges: a logistic regression on two numbers.

| symbol | meaning |
|---|---|
| x | :math:`-\log_{10}(1 - \text{momentum})` |
| y | :math:`\log_{10}` of the learning rate |
| p | chance that a trial diverges, :math:`1 / (1 + e^{-(a + b x + c y)})` |

The boundary is where p is one half. Theory says that the step grows as y + x, the logarithm of
learning rate / (1 - momentum), but not at which step training diverges: that depends on the
network, so it is fitted. Coefficients of the standardised x and y have a wide normal prior,
without which they were infinite whenever a line parts the trials. The maximum is found by Newton's
method.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sweep.report.analysis.estimate import Floats

LEAST_OF_EACH: Final = 5
_PRIOR_DEVIATION: Final = 10.0
_MOST_STEPS: Final = 100
_CLOSE: Final = 1e-10


@dataclass(frozen=True, slots=True)
class Boundary:
    """A line in the plane of x and y above which most trials diverge.

    Attributes:
        level: Its y at x = 0.
        slope: By how much y changes with x; -1 if all that matters is rate / (1 - momentum).
        right: How many of the trials are on the side where they belong.
        trials: How many there are.
    """

    level: float
    slope: float
    right: int
    trials: int

    def at(self, x: Floats) -> Floats:
        """Its y."""
        return self.level + self.slope * x


def boundary(x: Floats, y: Floats, diverged: NDArray[np.bool_]) -> Boundary | None:
    """Fit the boundary.

    Returns:
        None with fewer than five trials that diverged or five that did not, or if a higher rate
        does not make divergence likelier.
    """
    if min(diverged.sum(), (~diverged).sum()) < LEAST_OF_EACH:
        return None
    places = np.stack([x, y], axis=1)
    middle, spread = places.mean(axis=0), places.std(axis=0)
    spread = np.where(spread > 0.0, spread, 1.0)
    columns = np.column_stack([np.ones(len(x)), (places - middle) / spread])
    found = _fitted(columns, diverged.astype(float))
    level, along, up = found[0] - found[1:] @ (middle / spread), *(found[1:] / spread)
    if up <= 0.0:
        return None
    right = (level + along * x + up * y > 0.0) == diverged
    return Boundary(float(-level / up), float(-along / up), int(right.sum()), len(x))


def _fitted(columns: Floats, outcome: Floats) -> Floats:
    """Coefficients with the highest posterior density; the first has a flat prior."""
    prior = np.diag([0.0, *[_PRIOR_DEVIATION**-2.0] * (columns.shape[1] - 1)])
    found = np.zeros(columns.shape[1])
    for _ in range(_MOST_STEPS):
        p = expit(columns @ found)
        slope = columns.T @ (outcome - p) - prior @ found
        step = np.linalg.solve((columns.T * (p * (1.0 - p))) @ columns + prior, slope)
        found = found + step
        if np.abs(step).max() < _CLOSE:
            break
    return found
