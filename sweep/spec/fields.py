"""A study's values checked against the fields of `TrialConfig`."""

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from sweep.errors import ConfigError, SpecError
from sweep.spec.document import Path, did_you_mean, dotted, shown
from sweep.spec.model import ChoicesSpec, Conditions, Dimension, RangeSpec, RuleSpec, StudySpec
from sweep.trial import FIELDS, FieldInfo, Value, check_value

Where = Callable[[Path], str]
MIN_WIDTH: Final = 1e-9
"""Smallest width of a range as a share of its larger end."""


def normalise_fields(spec: StudySpec, where: Where = dotted) -> StudySpec:
    """Check every hyperparameter that a study names and give each value its field's type.

    Args:
        spec: The study as read.
        where: Turns a key path into the place that a message names.

    Returns:
        The same study with aliases resolved and whole numbers of float fields made floats.

    Raises:
        SpecError: An unknown field, a value outside its field's range, an empty range, or a field
            that is both fixed and searched.
    """
    fixed = {
        name: field_value(name, value, ("fixed", name), where)
        for name, value in spec.fixed.items()
    }
    for name in spec.search:
        field_info(name, ("search", name), where)
        if name in fixed:
            raise SpecError(
                f"{name} is both fixed and searched",
                where=where(("search", name)),
                expected="one of the two",
                received=f"also fixed.{name} = {shown(fixed[name])}",
                next_step=f"remove one; on the command line --set search.{name}=null does",
            )
    search = {
        name: _dimension(FIELDS[name], dimension, ("search", name), where)
        for name, dimension in spec.search.items()
    }
    rules = tuple(
        RuleSpec(
            when=_conditions(rule.when, ("rules", index, "when"), where),
            then=_conditions(rule.then, ("rules", index, "then"), where),
        )
        for index, rule in enumerate(spec.rules)
    )
    return spec.model_copy(update={"fixed": fixed, "search": search, "rules": rules})


def field_info(name: str, path: Path, where: Where) -> FieldInfo:
    """The field that a key names.

    Raises:
        SpecError: There is none.
    """
    if name not in FIELDS:
        raise SpecError(
            f"`{shown(name, quoted=False)}` is not a setting of a trial",
            where=where(path),
            expected="one of " + ", ".join(FIELDS),
            received=shown(name),
            next_step=did_you_mean(name, tuple(FIELDS)),
        )
    return FIELDS[name]


def field_value(name: str, value: object, path: Path, where: Where) -> Value:
    """A value checked against the field `name`.

    Raises:
        SpecError: There is no such field, or it does not take the value.
    """
    info = field_info(name, path, where)
    try:
        return check_value(info, value)
    except ConfigError as error:
        advice = error.next_step
        if advice is None and info.choices is not None:
            advice = did_you_mean(value, info.choices)
        if advice is None and info.type is bool and isinstance(value, str):
            advice = "only `true` and `false` are true and false in YAML 1.2"
        raise SpecError(
            error.what,
            where=where(path),
            expected=error.expected,
            received=error.received if isinstance(value, int | float) else shown(value),
            next_step=advice,
        ) from error


def _conditions(conditions: Conditions, path: Path, where: Where) -> Conditions:
    return {
        name: tuple(
            field_value(name, value, (*path, name, index), where)
            for index, value in enumerate(values)
        )
        for name, values in conditions.items()
    }


def _dimension(info: FieldInfo, dimension: Dimension, path: Path, where: Where) -> Dimension:
    when = _conditions(dimension.when, (*path, "when"), where)
    if isinstance(dimension, RangeSpec):
        return _range(info, dimension, path, where).model_copy(update={"when": when})
    choices = tuple(
        field_value(info.name, value, (*path, "choices", index), where)
        for index, value in enumerate(dimension.choices)
    )
    for index, value in enumerate(choices):
        if value in choices[:index]:
            raise SpecError(
                f"{dotted(path)} lists a choice twice",
                where=where((*path, "choices", index)),
                expected="every choice once",
                received=shown(value),
            )
    return ChoicesSpec(choices=choices, when=when)


def _range(info: FieldInfo, given: RangeSpec, path: Path, where: Where) -> RangeSpec:
    if info.low is None:
        names = info.choices or ("true", "false")
        raise SpecError(
            f"{info.name} is not a number",
            where=where(path),
            expected="a list of choices among " + ", ".join(names),
            received="low and high",
        )
    ends = {
        key: field_value(info.name, getattr(given, key), (*path, key), where)
        for key in ("low", "high")
    }
    low, high = float(ends["low"]), float(ends["high"])
    if not high - low > MIN_WIDTH * max(abs(low), abs(high)):
        raise SpecError(
            f"{dotted(path)} is an empty range",
            where=where((*path, "high")),
            expected=f"high above low, which is {low!r}",
            received=f"high: {high!r}",
            next_step=f"for a single value write it under fixed.{info.name}",
        )
    if given.log and low <= 0:
        raise SpecError(
            f"{dotted(path)} has no logarithm at its lower end",
            where=where((*path, "low")),
            expected="low above 0 where log is true",
            received=f"low: {low:g}",
        )
    step = None if given.step is None else _step(info, given, high - low, path, where)
    return RangeSpec.model_validate({**ends, "log": given.log, "step": step})


def _step(
    info: FieldInfo, given: RangeSpec, width: float, path: Path, where: Where
) -> int | float:
    step: Any = given.step
    wrong = None
    if given.log:
        wrong = "no step where log is true"
    elif info.type is int and not isinstance(step, int):
        wrong = "a whole number"
    elif not (math.isfinite(step) and 0 < step <= width):
        wrong = f"above 0 and at most high - low = {width:g}"
    elif width / step > 1e6:
        wrong = f"at least {width / 1e6:g}, a millionth of the range"
    elif not _is_exact(given):
        # Optuna computes in decimals, too, and would move the upper end at every trial.
        wrong = "low and step of so few digits that every value is exact"
    if wrong:
        raise SpecError(
            f"{dotted(path)} has an impossible step",
            where=where((*path, "step")),
            expected=wrong,
            received=f"step: {shown(step)}",
        )
    return int(step) if info.type is int else float(step)


def _is_exact(dimension: RangeSpec) -> bool:
    low, high, step = (Decimal(str(x)) for x in (dimension.low, dimension.high, _gap(dimension)))
    last = low + (high - low) // step * step
    return Decimal(str(float(last))) == last


def grid_size(dimension: RangeSpec, *, whole: bool) -> int | None:
    """How many values a range has, or None if it is continuous.

    Args:
        dimension: The range.
        whole: Whether the field takes whole numbers only.
    """
    if dimension.step is None and not whole:
        return None
    low, high, step = (Decimal(str(x)) for x in (dimension.low, dimension.high, _gap(dimension)))
    return int((high - low) // step) + 1


def grid_value(dimension: RangeSpec, index: int) -> int | float:
    """The value number `index` of a range with steps, free of accumulated rounding."""
    exact = Decimal(str(dimension.low)) + index * Decimal(str(_gap(dimension)))
    return int(exact) if isinstance(dimension.low, int) else float(exact)


def grid_index(dimension: RangeSpec, value: float) -> int:
    """The number of the value of a range with steps that lies nearest to `value`."""
    return round((value - dimension.low) / _gap(dimension))


def in_range(dimension: RangeSpec, value: Value, *, whole: bool) -> bool:
    """Whether a range contains a value exactly."""
    size = grid_size(dimension, whole=whole)
    if not dimension.low <= float(value) <= dimension.high:
        return False
    index = grid_index(dimension, float(value)) if size is not None else 0
    return size is None or (index < size and grid_value(dimension, index) == value)


def _gap(dimension: RangeSpec) -> int | float:
    return dimension.step if dimension.step is not None else 1


def conditions_text(conditions: Mapping[str, tuple[Value, ...]]) -> str:
    """Conditions as text for people: `optimizer = sgd, momentum = 0 or 0.9`."""
    return ", ".join(
        f"{name} = {' or '.join(shown(value, quoted=False) for value in values)}"
        for name, values in conditions.items()
    )
