"""Random studies: any mixture of fixed and searched fields, conditions and rules."""

from collections.abc import Sequence
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from sweep.errors import SpecError
from sweep.spec import check_study
from sweep.spec.model import StudySpec
from sweep.trial import FIELDS, FieldInfo

NUMBERS: dict[str, list[Any]] = {
    "depth": [1, 2, 3, 20],
    "shift": [0, 1, 2, 4],
    "batch_size": [32, 64, 128],
    "plateau_patience": [1, 2, 3],
    "momentum": [0.0, 0.5, 0.9, 0.99999],
    "dropout_rate": [0.05, 0.1, 0.15, 0.2],
    "l2": [0.0, 1e-5, 1e-4],
    "leaky_relu_slope": [0.01, 0.1, 0.2],
    "learning_rate": [1e-5, 1e-3, 0.1, 1.0],
    "cosine_floor": [0.0, 0.1],
}
WORDS = [name for name, info in FIELDS.items() if info.choices is not None]
FLAGS = [name for name, info in FIELDS.items() if info.type is bool]
TIED = ("activation", "kernel_initializer", "batch_norm", "dropout", "optimizer", "schedule")


def legal(info: FieldInfo) -> list[Any]:
    """Some values that a field takes."""
    if info.choices is not None:
        return list(info.choices)
    return [False, True] if info.type is bool else NUMBERS[info.name]


NAMES = [*WORDS, *FLAGS, *NUMBERS]
names = st.sampled_from([*NAMES, *TIED, *TIED])


@st.composite
def conditions(draw: st.DrawFn, near: Sequence[str], most: int = 2) -> dict[str, tuple[Any, ...]]:
    """One or two fields with values."""
    chosen = draw(st.lists(st.sampled_from(near), min_size=1, max_size=most, unique=True))
    return {
        name: tuple(
            draw(
                st.lists(st.sampled_from(legal(FIELDS[name])), min_size=1, max_size=3, unique=True)
            )
        )
        for name in chosen
    }


@st.composite
def dimensions(draw: st.DrawFn, name: str, near: Sequence[str], *, finite: bool) -> dict[str, Any]:
    """Choices, or a range where the field is a number."""
    values = legal(FIELDS[name])
    found: dict[str, Any]
    if name in NUMBERS and draw(st.booleans()):
        low, high = sorted(
            draw(st.lists(st.sampled_from(values), min_size=2, max_size=2, unique=True))
        )
        found = {"low": low, "high": high}
        if FIELDS[name].type is float and (finite or draw(st.booleans())):
            found["step"] = round((high - low) / draw(st.sampled_from([1, 2, 3, 4.5])), 9)
        elif not finite and low > 0 and draw(st.booleans()):
            found["log"] = True
    else:
        chosen = st.lists(st.sampled_from(values), min_size=1, max_size=4, unique=True)
        found = {"choices": tuple(draw(chosen))}
    if draw(st.integers(0, 3)) == 0:
        found["when"] = draw(conditions(near, most=1))
    return found


@st.composite
def studies(draw: st.DrawFn, *, finite: bool = False, most: int = 7) -> StudySpec:
    """Studies that make sense; those that do not are drawn again.

    Args:
        draw: From hypothesis.
        finite: No continuous range, and rules about fixed and searched fields alone.
        most: The most searched fields.
    """
    searched = draw(st.lists(names, min_size=1, max_size=most, unique=True))
    fixed = draw(st.lists(names.filter(lambda n: n not in searched), max_size=3, unique=True))
    near = [*searched, *fixed] if finite else [*searched, *searched, *searched, *fixed, *NAMES]
    rule = st.fixed_dictionaries({"when": conditions(near), "then": conditions(near)})
    raw = {
        "study": draw(st.from_regex(r"[a-z][a-z0-9._-]{0,9}", fullmatch=True)),
        "description": draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=30)),
        "search": {name: draw(dimensions(name, near, finite=finite)) for name in searched},
        "fixed": {name: draw(st.sampled_from(legal(FIELDS[name]))) for name in fixed},
        "rules": tuple(draw(st.lists(rule, max_size=4))),
        "budget": {"trials": draw(st.integers(1, 99))},
        "seed": draw(st.integers(0, 2**31 - 1)),
    }
    try:
        return check_study(StudySpec.model_validate(raw))
    except SpecError:
        assume(False)
        raise
