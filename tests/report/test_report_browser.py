"""The dashboard's study page and the report in a real Chromium.

`SWEEP_SCREENSHOTS=DIR` keeps the screenshots for people to look at;
`SWEEP_REQUIRE_BROWSER=1` makes a missing Chromium an error instead of a skip.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_pages import photograph, watch
from dashboard_client import served
from playwright.sync_api import Browser, Page

from sweep.report.page import write_report
from sweep.report.web.access import Access
from sweep.store import Store

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FIGURES = ("activation-initializer", "momentum", "dropout", "batch-norm")


@pytest.fixture
def address(store: Store) -> Iterator[str]:
    with served(store, Access()) as url:
        yield url


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
        assert box["y"] >= frame["y"]
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
        drawn = f"html[data-drawn='13'][data-theme='{theme}'][data-width='{width}']"
        page.locator(drawn).wait_for()
        photograph(page, name, tmp_path)
        check_titles(page)
        view = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert view[0] <= view[1], "the page scrolls sideways"
    assert watched.requests == [path.as_uri()]
    assert watched.complaints == []
