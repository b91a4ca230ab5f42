"""The dashboard's study page and the report in a real Chromium.

`SWEEP_SCREENSHOTS=DIR` keeps the screenshots for people to look at;
`SWEEP_REQUIRE_BROWSER=1` makes a missing Chromium an error instead of a skip.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from sweep.report.dashboard import make_server, url_of
from sweep.report.page import write_report
from sweep.store import Store

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FIGURES = ("activation-initializer", "momentum", "dropout", "batch-norm")
WAIT_MILLISECONDS = 120_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("SWEEP_REQUIRE_BROWSER"):
            pytest.fail("SWEEP_REQUIRE_BROWSER is set and there is no program named chromium")
        pytest.skip("needs the program chromium (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield launched
        launched.close()


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


def watch(browser: Browser, width: int, height: int) -> Watched:
    page = browser.new_page(viewport={"width": width, "height": height})
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


@pytest.fixture
def address(store: Store) -> Iterator[str]:
    server = make_server(store, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield url_of(server)
    server.stop()
    thread.join()


def test_dashboard_shows_our_figures_and_note(
    browser: Browser, store: Store, address: str, tmp_path: Path
) -> None:
    study_id = store.optuna_storage.get_study_id_from_name("cifar-deep")
    watched = watch(browser, 1600, 2900)
    page = watched.page
    page.goto(f"{address}studies/{study_id}")
    for key in FIGURES:
        page.locator(f"[id='user-defined-plot:sweep-{key}'] .main-svg").first.wait_for()
    titles = page.locator("[id^='user-defined-plot:sweep-'] .gtitle").all_text_contents()
    assert len(titles) == len(FIGURES)
    assert all("data: cifar10" in title for title in titles)
    photograph(page, "dashboard-study", tmp_path)
    page.set_viewport_size({"width": 1400, "height": 900})
    page.goto(f"{address}studies/{study_id}/note")
    page.get_by_text("Which activation wins?").first.wait_for()
    photograph(page, "dashboard-note", tmp_path)
    page.goto(f"{address}studies/{study_id}/trials?numbers=3")
    page.get_by_text("stopped: ").first.wait_for()
    photograph(page, "dashboard-trial", tmp_path)
    assert watched.hosts() == {"127.0.0.1"}
    assert watched.complaints == []


def check_titles(page: Page) -> None:
    for figure in page.locator(".plot").all():
        title = figure.locator(".gtitle")
        assert "cifar10" in (title.text_content() or "")
        frame, box = figure.bounding_box(), title.bounding_box()
        assert frame is not None
        assert box is not None
        assert box["x"] >= frame["x"]
        assert box["x"] + box["width"] <= frame["x"] + frame["width"], "the title is clipped"


def test_report_opens_from_a_file_without_a_network(
    browser: Browser, store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    write_report(store, "cifar-deep", path)
    watched = watch(browser, 1360, 900)
    page = watched.page
    page.goto(path.as_uri())
    for name, theme, width in (
        ("report", "light", "wide"),
        ("report-dark", "dark", "wide"),
        ("report-phone", "dark", "narrow"),
    ):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": 1360 if width == "wide" else 390, "height": 900})
        drawn = f"html[data-drawn='9'][data-theme='{theme}'][data-width='{width}']"
        page.locator(drawn).wait_for()
        photograph(page, name, tmp_path)
        check_titles(page)
        view = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert view[0] <= view[1], "the page scrolls sideways"
    assert watched.requests == [path.as_uri()]
    assert watched.complaints == []
