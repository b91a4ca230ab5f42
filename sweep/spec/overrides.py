"""`--set a.b.c=value`: one value of a study file replaced from the command line."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.errors import SpecError
from sweep.spec.document import Document, Path, dotted, parse_document, shown

_EXAMPLE = "for example --set budget.trials=20 or --set search.activation=[relu,selu]"


def apply_overrides(document: Document, overrides: Sequence[str]) -> Document:
    """Replace, add or remove values.

    Each override is `path=value`: the path joins keys and list indices by dots, the value is YAML.
    Mappings on the way are made where they are missing, an index one past the end appends, and
    `null` removes a key that is there.

    Args:
        document: The study file.
        overrides: The overrides in order; a later one wins.

    Raises:
        SpecError: An override has no `=`, or its path leads through a value that has no keys.
    """
    for text in overrides:
        path, value = _split(text)
        source = f"--set {shown(text, quoted=False)}"
        places = {
            known: place for known, place in document.places.items() if known[: len(path)] != path
        }
        for length in range(1, len(path) + 1):
            places.setdefault(path[:length], source)
        replaced = _replace(document.value, path, value, 0, source)
        document = Document(document.source, replaced, places)
    return document


def _split(text: str) -> tuple[Path, Any]:
    name, separator, value = text.partition("=")
    keys = name.strip().split(".")
    if not separator or not all(keys):
        raise SpecError(
            "an override is not understood",
            where=f"--set {shown(text, quoted=False)}",
            expected="a.b.c=value",
            next_step=_EXAMPLE,
        )
    path = tuple(int(key) if _is_index(key) else key for key in keys)
    source = f"--set {shown(text, quoted=False)}"
    return path, parse_document(value, source).value if value.strip() else ""


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) < 6


def _replace(node: Any, path: Path, value: Any, depth: int, source: str) -> Any:
    if depth == len(path):
        return value
    key = path[depth]
    if node is None:
        node = () if isinstance(key, int) else {}
    if isinstance(node, Mapping) and isinstance(key, str):
        if value is None and depth == len(path) - 1 and key in node:
            return {name: item for name, item in node.items() if name != key}
        return {**node, key: _replace(node.get(key), path, value, depth + 1, source)}
    if isinstance(node, tuple) and isinstance(key, int) and key <= len(node):
        if value is None and depth == len(path) - 1:
            return (*node[:key], *node[key + 1 :])
        old = node[key] if key < len(node) else None
        return (*node[:key], _replace(old, path, value, depth + 1, source), *node[key + 1 :])
    raise SpecError(
        f"the path of an override ends at {dotted(path[:depth]) or 'the study'}",
        where=source,
        expected=(
            f"an index from 0 to {len(node)}"
            if isinstance(node, tuple)
            else f"a value with keys at {dotted(path[:depth]) or 'the top'}"
        ),
        received=f"{dotted(path[:depth]) or 'the study'} = {shown(node)}",
        next_step=f"set {dotted(path[:depth])} as a whole" if depth else _EXAMPLE,
    )
