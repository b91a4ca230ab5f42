"""The dashboard's study page and the report in a real Chromium.

`SWEEP_SCREENSHOTS=DIR` keeps the screenshots for people to look at;
`SWEEP_REQUIRE_BROWSER=1` makes a missing Chromium an error instead of a skip.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from browser_pages import photograph, watch
from dashboard_client import served
from playwright.sync_api import Browser, Page, expect

from sweep.report.frames import study_frames
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


def test_ranges_on_the_axes_select_trials_and_a_sentence_says_how_good_they_are(
    browser: Browser, store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    write_report(store, "cifar-deep", path)
    trials = study_frames(store, "cifar-deep").valued
    watched = watch(browser, 1360, 900)
    page = watched.page
    page.goto(path.as_uri())
    page.locator("html[data-drawn='13']").wait_for()
    said, reset = page.locator(".brush [role=status]"), page.locator(".brush button")
    whole = f"All {len(trials)} trials: {spread(trials)}."
    assert said.text_content() == whole
    assert reset.is_disabled()

    # By the keyboard: lists below the figure.
    page.locator(".brush summary").click()
    page.get_by_label("activation from").select_option("selu")
    chosen = trials[trials["activation"] == "selu"]
    one = f"{len(chosen)} of {len(trials)} trials selected (activation: selu): {spread(chosen)}."
    assert said.text_content() == one
    page.get_by_label("optimizer to").select_option("adam")
    both = chosen[chosen["optimizer"] == "adam"]
    assert (said.text_content() or "").startswith(f"{len(both)} of {len(trials)} trials selected")
    page.get_by_label("optimizer to").select_option("")
    assert said.text_content() == one
    # Other colours do not forget it.
    page.emulate_media(color_scheme="dark")
    page.locator("html[data-theme='dark']").wait_for()
    assert said.text_content() == one
    reset.click()
    expect(said).to_have_text(whole)

    # By the mouse: a drag down the upper half of the last axis, which is the accuracy.
    plot = page.locator("#parallel")
    plot.scroll_into_view_if_needed()
    left, top, bottom = plot.evaluate(AXIS)
    page.mouse.move(left - 8, top)
    page.mouse.down()
    page.mouse.move(left, (top + bottom) / 2, steps=5)
    page.mouse.move(left + 8, bottom, steps=5)
    page.mouse.up()
    expect(said).to_contain_text("selected (validation accuracy: ")
    middle = (trials["value"].min() + trials["value"].max()) / 2
    better = trials[trials["value"] >= middle]
    assert 0 < len(better) < len(trials)
    assert (said.text_content() or "").startswith(
        f"{len(better)} of {len(trials)} trials selected"
    )
    assert spread(better) in (said.text_content() or "")
    photograph(page, "report-brushed", tmp_path)
    reset.click()
    expect(said).to_have_text(whole)
    assert watched.complaints == []


# The place of the last axis on the screen, and the heights 1 and 0.5 of it.
AXIS = """(plot) => {
  const { xaxis, yaxis } = plot._fullLayout;
  const box = plot.getBoundingClientRect();
  const at = (height) => box.top + yaxis._offset + yaxis.d2p(height);
  const last = plot.layout.meta.brush.axes.length - 1;
  return [box.left + xaxis._offset + xaxis.d2p(last), at(1.04), at(0.5)];
}"""


def spread(trials: pd.DataFrame) -> str:
    """Best and median as the page says them."""
    best = trials.loc[trials["value"].idxmax()]
    return (
        f"best validation accuracy {best['value']:.4g} (trial {best['number']}), "
        f"median {trials['value'].median():.4g}"
    )


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
