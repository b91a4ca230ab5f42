"""What a visitor of a page has not been sent yet."""

import re
import secrets
import threading
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MOST_GONE: Final = 1000


@dataclass(slots=True)
class _Value:
    content: Any
    changed: int


@dataclass(slots=True)
class _List:
    """Items with the version in which each became what it is."""

    items: list[Any]
    versions: list[int]
    changed: int

    def replace(self, items: Sequence[Any], version: int) -> None:
        common = 0
        for old, new in zip(self.items, items, strict=False):
            if old != new:
                break
            common += 1
        if common == len(items) == len(self.items):
            return
        self.items = list(items)
        self.versions = self.versions[:common] + [version] * (len(items) - common)
        self.changed = version

    def since(self, version: int) -> list[Any]:
        """The first place that changed after a version, and all items from there on."""
        # Versions never fall along the list: what follows a change changes with it.
        place = bisect_right(self.versions, version)
        return [place, self.items[place:]]


class Feed:
    """Values and lists by name, and which of them changed when.

    A visitor hands in the token of the last answer and is sent what has changed since: values as
    a whole, of lists the items from the first one that changed. A token that this feed did not
    give, or that is very old, is answered with everything. May be used from several threads.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._key = secrets.token_hex(4)
        self._version = 0
        self._values: dict[str, _Value] = {}
        self._lists: dict[str, _List] = {}
        self._gone: dict[str, int] = {}
        self._complete_since = 0

    def update(self, values: Mapping[str, Any], lists: Mapping[str, Sequence[Any]]) -> None:
        """What there is now; a name that is missing is gone."""
        with self._lock:
            self._version += 1
            self._forget(self._values, values)
            self._forget(self._lists, lists)
            for name, content in values.items():
                known = self._values.get(name)
                if known is None or known.content != content:
                    self._values[name] = _Value(content, self._version)
                    self._gone.pop(name, None)
            for name, items in lists.items():
                self._gone.pop(name, None)
                known_list = self._lists.setdefault(name, _List([], [], self._version))
                known_list.replace(items, self._version)

    def since(self, token: str) -> dict[str, Any]:
        """What changed since an answer.

        Args:
            token: That of the answer; empty for the first one.

        Returns:
            The new `token`, whether it is `all` there is, `values` by name, `lists` by name, each
            a place and the items that stand from there on, and the names that are `gone`.
        """
        with self._lock:
            version = self._version_of(token)
            return {
                "token": f"{self._key}.{self._version}",
                "all": version < 0,
                "values": {
                    name: value.content
                    for name, value in self._values.items()
                    if value.changed > version
                },
                "lists": {
                    name: known.since(version)
                    for name, known in self._lists.items()
                    if known.changed > version
                },
                "gone": [name for name, when in self._gone.items() if when > version >= 0],
            }

    def _version_of(self, token: str) -> int:
        key, _, digits = token.partition(".")
        if key != self._key or not re.fullmatch(r"[0-9]{1,15}", digits):
            return -1
        version = int(digits)
        return version if self._complete_since <= version <= self._version else -1

    def _forget(self, known: dict[str, Any], there: Mapping[str, Any]) -> None:
        for name in known.keys() - there.keys():
            del known[name]
            self._gone[name] = self._version
        while len(self._gone) > MOST_GONE:
            self._complete_since = self._gone.pop(next(iter(self._gone)))
