"""The JSON Schema of study files, for completion and checks in editors."""

from typing import Any

from sweep.spec.model import StudySpec
from sweep.trial import ALIASES, FIELDS, FieldInfo

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DURATION = r"^[0-9]{1,9}(\.[0-9]{1,9})? ?[smh]$"


def json_schema() -> Schema:
    """The schema, draft 2020-12.

    It knows every field's choices, range and meaning, and the shorthands: a list for choices, a
    single value in `when` and `then`, `10m` for a duration. What depends on several places of a
    file, such as a field both fixed and searched, only `sweep check` finds.
    """
    schema = _plain(StudySpec.model_json_schema(mode="validation"))
    definitions = {
        name: definition
        for name, definition in schema.pop("$defs").items()
        if name not in ("ChoicesSpec", "RangeSpec")
    }
    for info in FIELDS.values():
        definitions[_name(info)] = _value(info)
    definitions["Conditions"] = _object(
        {name: _one_or_more(info) for name, info in FIELDS.items()}, minProperties=1
    )
    conditions = {"$ref": "#/$defs/Conditions"}
    for key, place in definitions["RuleSpec"]["properties"].items():
        definitions["RuleSpec"]["properties"][key] = _described(conditions, place)
    seconds = definitions["BudgetSpec"]["properties"]["wall_seconds"]
    seconds["anyOf"].append({"type": "string", "pattern": _DURATION})
    places = schema["properties"]
    fixed = _object({name: _reference(info) for name, info in FIELDS.items()})
    search = _object({name: _dimension(info, conditions) for name, info in FIELDS.items()})
    places["fixed"] = _described(fixed, places["fixed"])
    places["search"] = _described(search, places["search"])
    return {
        "$schema": _DIALECT,
        "title": "sweep study file",
        **schema,
        "$defs": definitions,
    }


def _plain(schema: Any) -> Any:
    """Without the titles that pydantic makes up from names."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _plain(item)
        for key, item in schema.items()
        if not (key == "title" and isinstance(item, str)) and key != "discriminator"
    }


def _object(properties: Schema, **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False, **more}


def _described(schema: Schema, place: Schema) -> Schema:
    return {**schema, "description": place["description"]}


def _name(info: FieldInfo) -> str:
    return f"field-{info.name}"


def _reference(info: FieldInfo) -> Schema:
    return {"$ref": f"#/$defs/{_name(info)}"}


def _value(info: FieldInfo) -> Schema:
    about = {"description": info.description, "default": info.default}
    if info.choices is not None:
        aliases = [alias for alias, name in ALIASES.items() if name in info.choices]
        return {"enum": [*info.choices, *aliases], **about}
    if info.type is bool:
        return {"type": "boolean", **about}
    kind = "integer" if info.type is int else "number"
    return {"type": kind, "minimum": info.low, "maximum": info.high, **about}


def _one_or_more(info: FieldInfo) -> Schema:
    return {
        "description": info.description,
        "anyOf": [
            _reference(info),
            {"type": "array", "items": _reference(info), "minItems": 1},
        ],
    }


def _dimension(info: FieldInfo, conditions: Schema) -> Schema:
    choices = {
        "type": "array",
        "items": _reference(info),
        "minItems": 1,
        "uniqueItems": True,
        "description": "the values to choose from",
    }
    listed = _object({"choices": choices, "when": conditions}, required=["choices"])
    forms = [choices, listed]
    if info.low is not None:
        kind = "integer" if info.type is int else "number"
        parts = {
            "low": _reference(info),
            "high": _reference(info),
            "log": {"type": "boolean", "default": False},
            "step": {"type": kind, "exclusiveMinimum": 0},
            "when": conditions,
        }
        forms.append(_object(parts, required=["low", "high"]))
    return {"description": info.description, "anyOf": forms}
