"""What a page stands in: its head, its scripts, and what it may load."""

from collections.abc import Mapping
from dataclasses import dataclass
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
    """What a page stands in that needs no other file."""
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    policy += "img-src data: blob:"
    return Shell(
        policy=f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        style=f"<style>{asset('page.css')}</style>",
        scripts="\n".join(
            f"<script>{script}</script>" for script in (get_plotlyjs(), *map(asset, SCRIPTS))
        ),
        navigation="",
    )


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
