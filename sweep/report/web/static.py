"""Style sheets and scripts of our pages.

Each is linked under an address that holds a digest of its content, so that browsers keep it until
it changes. Those of the report are the same files as `sweep report` writes into its page.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from plotly.offline import get_plotlyjs

from sweep.errors import NotFoundError
from sweep.report.links import ASSETS

PLOTLY: Final = "plotly.min.js"
KINDS: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
_DIRECTORIES: Final = ("sweep.report", "sweep.report.web")
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that does not change while the server runs.

    Attributes:
        content: Its bytes.
        packed: The same, gzipped.
        kind: Its content type.
        digest: A digest of its content, hexadecimal.
    """

    content: bytes
    packed: bytes
    kind: str
    digest: str


def asset(name: str) -> Asset:
    """The style sheet or script of this name.

    Raises:
        NotFoundError: There is none.
    """
    if name not in _names():
        raise NotFoundError("there is no such file", received=name)
    return _read(name)


def asset_url(name: str) -> str:
    """The address under which it may be kept."""
    return f"{ASSETS}{name}?v={asset(name).digest}"


@cache
def _names() -> Mapping[str, str]:
    """Packages by the name of the file whose directory `assets` holds it."""
    found = {PLOTLY: ""}
    for package in _DIRECTORIES:
        for file in resources.files(package).joinpath("assets").iterdir():
            if file.name.endswith(tuple(KINDS)):
                found[file.name] = package
    return found


@cache
def _read(name: str) -> Asset:
    package = _names()[name]
    content = (
        resources.files(package).joinpath("assets", name).read_bytes()
        if package
        else get_plotlyjs().encode()
    )
    kind = KINDS[name[name.rindex(".") :]]
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    return Asset(content, gzip.compress(content, mtime=0), kind, digest)
