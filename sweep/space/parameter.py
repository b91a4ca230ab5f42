"""One Optuna parameter: what is left of a field in one branch of the search space."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweep.spec.branches import Atom, Domain, Mark
from sweep.spec.fields import grid_index, grid_size, grid_value
from sweep.spec.model import ChoicesSpec, RangeSpec
from sweep.trial import Value

MAX_LISTED: Final = 200
MAX_NAME: Final = 120
MAX_WORDS: Final = 40


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named distribution.

    Attributes:
        name: The field's name, followed by what is left of it if that is not everything.
        distribution: Optuna's distribution, the same for every use of the name.
        choices: The values of a categorical distribution.
        dimension: The range that is sampled, if it is one.
        excluded: Values of the range that rules forbid in this branch.
    """

    name: str
    distribution: BaseDistribution
    choices: tuple[Value, ...] = ()
    dimension: RangeSpec | None = None
    excluded: tuple[Value, ...] = ()

    def final(self, value: Value) -> Value:
        """The field's value for a sampled one.

        A value of a range with steps is rounded to its exact decimal. In the rare case that a
        range too long to list has forbidden points, these move to the next value that is free.
        """
        if self.dimension is None:
            return value
        size = grid_size(self.dimension, whole=isinstance(self.distribution, IntDistribution))
        if size is None:
            return next(x for x in self._outward(float(value)) if x not in self.excluded)
        index = grid_index(self.dimension, float(value))
        free = (
            grid_value(self.dimension, near)
            for distance in range(size)
            for near in (index + distance, index - distance)
            if 0 <= near < size
        )
        return next(candidate for candidate in free if candidate not in self.excluded)

    def values(self) -> Iterator[Value]:
        """Every value of a finite parameter."""
        if self.dimension is None:
            yield from self.choices
            return
        whole = isinstance(self.distribution, IntDistribution)
        for index in range(grid_size(self.dimension, whole=whole) or 0):
            value = grid_value(self.dimension, index)
            if value not in self.excluded:
                yield value

    def _outward(self, number: float) -> Iterator[float]:
        """A number of the range, those above it, then those below."""
        above = number
        while self.dimension is not None and above <= self.dimension.high:
            yield above
            above = math.nextafter(above, math.inf)
        while True:
            number = math.nextafter(number, -math.inf)
            yield number


def parameter(domain: Domain, atoms: Sequence[Atom], whole: bool) -> Parameter | Value:
    """What to sample of a searched field.

    Args:
        domain: The field's domain.
        atoms: What of it is left in this branch.
        whole: Whether the field takes whole numbers only.

    Returns:
        A parameter, or the one value that is left.
    """
    dimension = domain.dimension
    if not isinstance(dimension, RangeSpec):
        every = dimension.choices if isinstance(dimension, ChoicesSpec) else domain.named
        return _categorical(domain.name, every, domain.values(atoms))
    size = grid_size(dimension, whole=whole)
    excluded = tuple(value for value in domain.named if value not in atoms)
    if Mark.OTHER not in atoms:
        return _categorical(domain.name, None, tuple(sorted(domain.values(atoms))))
    if excluded and size is not None and size <= MAX_LISTED:
        every = tuple(grid_value(dimension, index) for index in range(size))
        left = tuple(value for value in every if value not in excluded)
        return _categorical(domain.name, every, left, always_named=True)
    return Parameter(
        domain.name, _numeric(dimension, whole, size), dimension=dimension, excluded=excluded
    )


def _numeric(dimension: RangeSpec, whole: bool, size: int | None) -> BaseDistribution:
    low, high = dimension.low, dimension.high
    if size is not None:
        high = grid_value(dimension, size - 1)
    if whole:
        return IntDistribution(int(low), int(high), dimension.log, int(dimension.step or 1))
    step = None if dimension.step is None else float(dimension.step)
    return FloatDistribution(float(low), float(high), dimension.log, step)


def _categorical(
    name: str,
    every: tuple[Value, ...] | None,
    left: tuple[Value, ...],
    *,
    always_named: bool = False,
) -> Parameter | Value:
    if len(left) == 1:
        return left[0]
    if left != every or always_named:
        name = _branch_name(name, every, left)
    return Parameter(name, CategoricalDistribution(left), choices=left)


def _branch_name(name: str, every: tuple[Value, ...] | None, left: tuple[Value, ...]) -> str:
    """A name that says what is left, or what is missing if that is shorter."""
    words = ", ".join(map(_word, left))
    if every is not None:
        missing = "without " + ", ".join(_word(value) for value in every if value not in left)
        words = missing if len(missing) < len(words) and len(words) > MAX_WORDS else words
    text = f"{name}[{words}]"
    if len(text) <= MAX_NAME:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[: MAX_NAME - 13]}... {digest}]"


def _word(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
