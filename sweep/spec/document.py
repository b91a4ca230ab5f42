"""YAML text -> plain values that remember where they were written.

The dialect is the core of YAML 1.2: only `true` and `false` are booleans, `1e-4` is a number, and
`on`, `off`, `yes` and `no` are text. Tags are refused, duplicate keys too. Depth, size and the
nodes that aliases expand to are limited, so that no text can exhaust the machine.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

import yaml

from sweep.errors import SpecError

Path = tuple[str | int, ...]
Scalar = bool | int | float | str | None

MAX_CHARACTERS: Final = 256 * 1024
MAX_DEPTH: Final = 24
MAX_NODES: Final = 20_000
MAX_INTEGER: Final = 2**63

_BOOL_TAG, _INT_TAG, _FLOAT_TAG, _NULL_TAG = (
    f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "null")
)
RESOLVERS: Final = (
    (_BOOL_TAG, re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    (_INT_TAG, re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), "-+0123456789"),
    (
        _FLOAT_TAG,
        re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
        "-+.0123456789",
    ),
    (_NULL_TAG, re.compile(r"(?:~|null|Null|NULL|)$"), ("~", "n", "N", "")),
)


class _Loader(yaml.SafeLoader):
    """PyYAML's scanner and parser with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}


class _Dumper(yaml.SafeDumper):
    """Quotes exactly the text that `_Loader` would not read back as text."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def ignore_aliases(self, data: Any) -> bool:
        """Write every value out: people read these files."""
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Escape what is not printable: YAML knows more line ends than Python's text does."""
        style = None if data.isprintable() else '"'
        return yaml.ScalarNode("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)

for _tag, _pattern, _first in RESOLVERS:
    _Loader.add_implicit_resolver(_tag, _pattern, list(_first))
    _Dumper.add_implicit_resolver(_tag, _pattern, list(_first))


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file.

    Attributes:
        source: Name of the file, for messages.
        value: Mappings are `dict`, sequences `tuple`, the rest is a scalar.
        places: `file:line` or `--set ...` by key path; a path without an entry lies where its
            longest known prefix does.
    """

    source: str
    value: Any
    places: Mapping[Path, str] = field(default_factory=dict)

    def where(self, path: Path) -> str:
        """The place of a key path as messages show it: `studies/a.yaml:7, budget.trials`."""
        known = next((path[:n] for n in range(len(path), -1, -1) if path[:n] in self.places), None)
        place = self.source if known is None else self.places[known]
        return f"{place}, {dotted(path)}" if path else place


def dotted(path: Path) -> str:
    """A key path as `--set` takes it: `objectives.0.metric`."""
    return ".".join(shown(str(key), quoted=False) for key in path)


def shown(value: object, *, quoted: bool = True) -> str:
    """A value as messages show it: on one line and never long."""
    if isinstance(value, dict):
        text = "a mapping" if value else "an empty mapping"
    elif isinstance(value, tuple):
        text = (
            "[" + ", ".join(shown(item) for item in value[:6]) + (", ...]" if value[6:] else "]")
        )
    elif value is None:
        text = "nothing"
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, str) and value.isprintable() and not quoted:
        text = value
    else:
        text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def did_you_mean(word: object, known: Iterator[str] | tuple[str, ...]) -> str | None:
    """A suggestion for a word that is not known, or None if nothing comes near it."""
    text = str(word)[:100]
    near = get_close_matches(text.lower().replace("-", "_"), list(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else None


def parse_document(text: str, source: str) -> Document:
    """Read one YAML document.

    Args:
        text: The whole file.
        source: Name of the file, for messages.

    Raises:
        SpecError: The text is no YAML, or leaves the dialect described above.
    """
    if len(text) > MAX_CHARACTERS:
        raise SpecError(
            "the file is too long",
            where=source,
            expected=f"at most {MAX_CHARACTERS} characters",
            received=f"{len(text)} characters",
        )
    try:
        return _Composer(text, source).document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecError(
            "this is not valid YAML: a character is not allowed",
            where=f"{source}:{line}",
            expected="printable characters",
            received=f"U+{error.character:04X}",
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SpecError(
            f"this is not valid YAML: {error.problem or error.context}",
            where=f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source,
            expected=error.context and error.problem and f"a correct end {error.context}",
            next_step="check indentation, brackets, quotes and colons on this line and above it",
        ) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML lets Python's own errors through for escapes and directives out of range.
        raise SpecError(
            "this is not valid YAML", where=source, received=str(error).splitlines()[0]
        ) from error


def dump_document(value: Any) -> str:
    """YAML text that `parse_document` reads back as `value`; lists may come as tuples."""
    return yaml.dump(_lists(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=99)


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple | list) else value


class _Composer:
    """Builds values from PyYAML's events, one node at a time."""

    def __init__(self, text: str, source: str) -> None:
        self._loader = _Loader(text)
        self._source = source
        self._nodes = 0
        self._places: dict[Path, str] = {}
        self._anchors: dict[str, tuple[Any, int] | None] = {}

    def document(self) -> Document:
        self._next()  # start of the stream
        if isinstance(self._next(), yaml.StreamEndEvent):
            raise SpecError(
                "the file is empty",
                where=self._source,
                next_step="`sweep init` writes a commented study file to begin with",
            )
        value = self._node(self._next(), ())
        self._next()  # end of the document
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._error(event, "the file holds more than one document", "a single document")
        return Document(self._source, value, self._places)

    def _next(self) -> Any:
        return self._loader.get_event()  # type: ignore[no-untyped-call]  # types-pyyaml

    def _place(self, event: Any) -> str:
        return f"{self._source}:{event.start_mark.line + 1}"

    def _error(self, event: Any, what: str, expected: str, **parts: str | None) -> SpecError:
        return SpecError(what, where=self._place(event), expected=expected, **parts)

    def _count(self, event: Any, nodes: int, path: Path) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self._error(event, "the file has too many values", f"at most {MAX_NODES}")
        if len(path) > MAX_DEPTH:
            raise self._error(
                event, "the file is nested too deeply", f"at most {MAX_DEPTH} levels"
            )

    def _node(self, event: Any, path: Path) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        self._count(event, 1, path)
        self._places.setdefault(path, self._place(event))
        if event.tag is not None:
            raise self._error(event, "tags are not allowed", "a plain value", received=event.tag)
        first, anchor = self._nodes, event.anchor
        if anchor is not None:
            self._anchors[anchor] = None
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(path)
        else:
            value = self._mapping(path)
        if anchor is not None:
            self._anchors[anchor] = (value, self._nodes - first + 1)
        return value

    def _alias(self, event: Any, path: Path) -> Any:
        known = self._anchors.get(event.anchor)
        if known is None:
            raise self._error(
                event,
                f"the alias *{event.anchor} has nothing to stand for",
                f"a complete value marked &{event.anchor} above this line",
            )
        self._count(event, known[1], path)
        self._places.setdefault(path, self._place(event))
        return known[0]

    def _sequence(self, path: Path) -> tuple[Any, ...]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return tuple(items)

    def _mapping(self, path: Path) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
                raise self._error(event, "a key is not a plain word", "`name: value`")
            key = self._text(event)
            if key in items:
                raise SpecError(
                    f"the key `{shown(key, quoted=False)}` appears twice",
                    where=f"{self._place(event)}, {dotted((*path, key))}",
                    expected="every key once",
                    received=f"a first value at {self._places[*path, key]}",
                    next_step="remove one of the two",
                )
            self._places[*path, key] = self._place(event)
            items[key] = self._node(self._next(), (*path, key))
        return items

    def _scalar(self, event: Any) -> Scalar:
        text = self._text(event)
        tag = self._loader.resolve(  # type: ignore[no-untyped-call]  # types-pyyaml
            yaml.ScalarNode, text, event.implicit
        )
        if tag == _BOOL_TAG:
            return text.lower() == "true"
        if tag == _NULL_TAG:
            return None
        if tag == _INT_TAG:
            base = {"0o": 8, "0x": 16}.get(text[:2], 10)
            number = int(text, base) if len(text) < 40 else MAX_INTEGER
            if abs(number) >= MAX_INTEGER:
                raise self._error(
                    event, "the number is too large", "64 bits", received=shown(text)
                )
            return number
        if tag == _FLOAT_TAG:
            if not math.isfinite(float(text)):
                raise self._error(event, "the number is too large", "below 1.8e308")
            return float(text)
        return text

    def _text(self, event: Any) -> str:
        text: str = event.value
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise self._error(event, "the text has half a character", "whole Unicode characters")
        return text
