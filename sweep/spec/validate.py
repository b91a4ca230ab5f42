"""A parsed document -> a pydantic value, with errors that a person can act on."""

from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sweep.errors import SpecError
from sweep.spec.document import Document, Path, did_you_mean, dotted, shown

Model = TypeVar("Model", bound=BaseModel)

_TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping, `name: value`",
    "model_type": "a mapping, `name: value`",
    "model_attributes_type": "a mapping, `name: value`",
    "string_pattern_mismatch": "a letter or digit, then up to 99 letters, digits, `.`, `_`, `-`",
    "string_too_short": "text that is not empty",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
_TAGS = {"ChoicesSpec": "choices", "RangeSpec": "range"}
_YAML_1_1 = ("yes", "no", "on", "off")


def validate(model: type[Model], document: Document) -> Model:
    """Make `document.value` a `model`.

    Raises:
        SpecError: The first mistake, in the order of the file's keys.
    """
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        raise _translate(model, document, error.errors(include_url=False)[0]) from error


def _translate(model: type[BaseModel], document: Document, error: ErrorDetails) -> SpecError:
    path, received = _path(document.value, error["loc"])
    kind = error["type"]
    if kind in ("missing", "extra_forbidden"):
        return _wrong_key(model, document, path, error["loc"], kind)
    return SpecError(
        f"{dotted(path) or 'the file'} {_fault(kind)}",
        where=document.where(path),
        expected=_expected(error),
        received=shown(received),
        next_step=_advice(error, received),
    )


def _path(value: Any, location: tuple[int | str, ...]) -> tuple[Path, Any]:
    """The part of pydantic's location that the user wrote, and the value there."""
    path: Path = ()
    for key in location:
        if isinstance(value, dict) and key in value:
            value, path = value[str(key)], (*path, key)
        elif isinstance(value, tuple) and isinstance(key, int) and key < len(value):
            value, path = value[key], (*path, key)
    return path, value


def _wrong_key(
    model: type[BaseModel], document: Document, path: Path, location: tuple[Any, ...], kind: str
) -> SpecError:
    if kind == "missing":
        key = str(location[-1])
        return SpecError(
            f"{dotted((*path, key))} is missing",
            where=document.where(path),
            expected=f"a value for `{key}`",
            received=_keys(document.value, path),
            next_step="write a list of choices, or `low` and `high`"
            if path[:1] == ("search",)
            else None,
        )
    known = known_keys(model, location[:-1])
    return SpecError(
        f"`{shown(str(path[-1]), quoted=False)}` is not known here",
        where=document.where(path),
        expected="one of " + ", ".join(known),
        received=shown(str(path[-1])),
        next_step=did_you_mean(path[-1], known),
    )


def _keys(value: Any, path: Path) -> str:
    for key in path:
        value = value[key]
    return "only " + ", ".join(map(str, value)) if value else "nothing"


def known_keys(model: type[BaseModel], location: tuple[Any, ...]) -> tuple[str, ...]:
    """The keys that a mapping inside `model` may have.

    Args:
        model: The whole.
        location: pydantic's path to the mapping: keys, indices and the tags of unions.
    """
    found = model
    for key in location:
        if isinstance(key, int) or key not in found.model_fields:
            continue
        inner = _models(found.model_fields[key].annotation)
        tagged = [m for m in inner if _TAGS.get(m.__name__) in location]
        found = next(iter(tagged or inner), found)
    return tuple(found.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _fault(kind: str) -> str:
    if kind in _BOUNDS:
        return "is out of range"
    if kind in ("too_short", "too_long"):
        return "has the wrong number of entries"
    return "has no such choice" if kind == "literal_error" else "has the wrong type or form"


def _expected(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"{words} {context[key]:g}"
    if kind == "too_short":
        return f"at least {context['min_length']}"
    if kind == "too_long":
        return f"at most {context['max_length']}"
    if kind == "literal_error":
        return "one of " + ", ".join(_choices(error))
    union = {"bool", "int", "float", "str"} & set(map(str, error["loc"]))
    if kind.endswith("_type") and union:
        return "a number" if "range" in error["loc"] else "a single value"
    return _TYPES.get(kind, error["msg"].removeprefix("Input should be "))


def _choices(error: ErrorDetails) -> list[str]:
    text = str(error["ctx"]["expected"]).replace(" or ", ", ")
    return [word.strip("'\" ") for word in text.split(", ")]


def _advice(error: ErrorDetails, received: Any) -> str | None:
    if error["type"] == "literal_error":
        return did_you_mean(received, tuple(_choices(error)))
    if error["type"] == "bool_type" and str(received).lower() in _YAML_1_1:
        return "only `true` and `false` are true and false in YAML 1.2"
    return None
