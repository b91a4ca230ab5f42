"""What a page stands in: its head, its scripts, and what it may load."""

import base64
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from plotly.offline import get_plotlyjs

from sweep.report.figures.style import template
from sweep.report.text import escaped, script_json

# After Plotly, in this order.
SCRIPTS: Final = ("brush.js", "page.js")


@dataclass(frozen=True, slots=True)
class Shell:
    """HTML for the head and the end of a page.

    Attributes:
        policy: The content security policy, where no server sends one.
        style: Its style sheets.
        scripts: Plotly and the script that draws.
        navigation: Links to other pages.
    """

    policy: str
    style: str
    scripts: str
    navigation: str


def self_contained() -> Shell:
    """What a page stands in that needs no other file; its policy names each script by its hash."""
    plotly, packed = _plotly()
    scripts = [asset(name) for name in ("unpack.js", *SCRIPTS)]
    hashes = " ".join(f"'{_hash(script)}'" for script in (plotly, *scripts))
    policy = f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
    policy += "img-src data: blob:"
    return Shell(
        policy=f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        style=f"<style>{asset('page.css')}</style>",
        scripts="\n".join(
            (
                f'<script type="application/octet-stream" id="plotly">{packed}</script>',
                *(f"<script>{script}</script>" for script in scripts),
            )
        ),
        navigation="",
    )


@cache
def _plotly() -> tuple[str, str]:
    """Plotly's script, and the same gzipped and in base64: a third of its size."""
    script: str = get_plotlyjs()
    packed = gzip.compress(script.encode(), mtime=0)
    return script, base64.b64encode(packed).decode("ascii")


def _hash(script: str) -> str:
    """How a policy names a script."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def document(title: str, body: str, shell: Shell) -> str:
    """The HTML of a page.

    Args:
        title: Text for the browser's tab.
        body: HTML of what the page says.
        shell: What it stands in.
    """
    parts = {
        "title": escaped(title),
        "policy": shell.policy,
        "style": shell.style,
        "scripts": shell.scripts,
        "navigation": shell.navigation,
        "body": body,
        "templates": script_json({"light": template(), "dark": template(dark=True)}),
    }
    return filled("page.html", parts)


def filled(name: str, parts: Mapping[str, str]) -> str:
    """An asset with HTML in the places named between `%%`.

    It is split rather than replaced one after the other: nothing in a value is read as a place.
    """
    pieces = asset(name).split("%%")
    return "".join(parts[p] if index % 2 else p for index, p in enumerate(pieces))


def asset(name: str) -> str:
    """The text of a file of the report."""
    return resources.files("sweep.report").joinpath("assets", name).read_text(encoding="utf-8")
