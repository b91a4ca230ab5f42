"""Pages in a real Chromium, watched."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT_MILLISECONDS = 120_000


def chromium() -> str:
    """The program; without it the test is skipped, or fails if a browser is required."""
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("SWEEP_REQUIRE_BROWSER"):
            pytest.fail("SWEEP_REQUIRE_BROWSER is set and there is no program named chromium")
        pytest.skip("needs the program chromium (Debian: apt install chromium)")
    return program


@dataclass
class Watched:
    """A page, what it asked for and what it complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def hosts(self) -> set[str | None]:
        return {
            urlsplit(url).hostname
            for url in self.requests
            if urlsplit(url).scheme not in ("blob", "data")
        }


def watch(browser: Browser, width: int, height: int, **context: Any) -> Watched:
    page = browser.new_page(viewport={"width": width, "height": height}, **context)
    page.set_default_timeout(WAIT_MILLISECONDS)
    watched = Watched(page)
    page.on("request", lambda request: watched.requests.append(request.url))
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            watched.complaints.append(message.text)
            if message.type in ("error", "warning")
            else None
        ),
    )
    return watched


def photograph(page: Page, name: str, tmp_path: Path) -> None:
    directory = Path(os.environ.get("SWEEP_SCREENSHOTS", tmp_path))
    directory.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=directory / f"{name}.png", full_page=True)
