"""The dashboard's study page and the report in a real Chromium.

`SWEEP_SCREENSHOTS=DIR` keeps the screenshots for people to look at;
`SWEEP_REQUIRE_BROWSER=1` makes a missing Chromium an error instead of a skip.
"""

from collections.abc import Iterator
from pathlib import Path

import big_study
import pandas as pd
import pytest
from browser_pages import Watched, photograph, watch
from dashboard_client import served
from playwright.sync_api import Browser, Page, expect

from sweep.report import links
from sweep.report.frames import study_frames
from sweep.report.page import write_report
from sweep.report.web.access import Access
from sweep.store import Store

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FIGURES = ("activation-initializer", "momentum", "dropout", "batch-norm")
MOST_BYTES = 5_000_000
ALL_DRAWN = "html[data-drawn='13']"
# The figures' names in the order in which they were drawn.
RECORD_ORDER = """
window.order = [];
new MutationObserver(() => {
  for (const plot of document.querySelectorAll(".js-plotly-plot")) {
    if (!window.order.includes(plot.id)) window.order.push(plot.id);
  }
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["class"] });
"""
# What the page is when a printer has taken it, before it is put back for the screen.
RECORD_PRINT = """
window.addEventListener("afterprint", () => {
  const plots = [...document.querySelectorAll(".plot")];
  window.printed = {
    drawn: plots.filter((plot) => plot.querySelector(".main-svg")).length,
    papers: plots.map((plot) => plot._fullLayout?.paper_bgcolor),
    widest: Math.max(...plots.map((plot) => plot._fullLayout?.width ?? 0)),
    ink: getComputedStyle(document.body).color,
  };
});
"""


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


def test_a_visitor_clicks_through_optunas_pages_and_ours(
    watched: Watched, store: Store, address: str
) -> None:
    page = watched.page
    page.goto(address)
    page.get_by_text("cifar-deep").first.click()
    page.wait_for_url("**/studies/*")
    for key in FIGURES:
        page.locator(f"[id='user-defined-plot:sweep-{key}'] .main-svg").first.wait_for()
    for tab in ("analytics", "trials", "smartSelection", "note"):
        page.locator(f"a[href$='/{tab}']").first.click()
        page.wait_for_url(f"**/{tab}")
        page.get_by_text("cifar-deep").first.wait_for()
    page.get_by_text("Which activation wins?").first.wait_for()
    page.get_by_role("link", name="compare", exact=True).click()
    page.wait_for_url(f"**{links.compare('cifar-deep')}")
    page.locator("html[data-loaded='yes']").wait_for()
    page.get_by_role("link", name="Optuna's dashboard", exact=True).click()
    page.get_by_text("cifar-deep").first.wait_for()
    assert page.url.startswith(address)
    # What Optuna's parallel coordinates cost where no graphics card draws them.
    watched.complaints[:] = [one for one in watched.complaints if "GL Driver Message" not in one]
    assert watched.hosts() == {"127.0.0.1"}


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


@pytest.fixture
def report(store: Store, tmp_path: Path) -> str:
    """The address of a report on disk."""
    path = tmp_path / "report.html"
    write_report(store, "cifar-deep", path)
    return path.as_uri()


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    watched = watch(browser, 1360, 900)
    yield watched
    assert watched.complaints == []
    watched.page.context.close()


def test_figures_in_view_are_drawn_first(watched: Watched, report: str) -> None:
    page = watched.page
    page.add_init_script(RECORD_ORDER)
    # A browser that comes back to a page goes to where it was.
    page.goto(f"{report}#parallel")
    page.locator(ALL_DRAWN).wait_for()
    order = page.evaluate("window.order")
    keys = [plot.get_attribute("id") for plot in page.locator(".plot").all()]
    assert sorted(order) == sorted(keys)
    assert order[0] == "parallel" == keys[-1]
    assert order[-1] == "history" == keys[0]


def test_a_dark_page_is_printed_light_and_whole(
    watched: Watched, report: str, tmp_path: Path
) -> None:
    page = watched.page
    page.emulate_media(color_scheme="dark")
    page.add_init_script(RECORD_PRINT)
    page.goto(report)
    page.locator(ALL_DRAWN).wait_for()
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    printed = page.evaluate("window.printed")
    assert printed["drawn"] == 13
    assert set(printed["papers"]) == {"#FFFFFF"}
    assert 600 < printed["widest"] <= 700
    assert printed["ink"] == "rgb(31, 39, 48)"
    page.locator(f"{ALL_DRAWN}:not(.paper)").wait_for()
    papers = page.evaluate(
        "[...document.querySelectorAll('.plot')].map((plot) => plot._fullLayout.paper_bgcolor)"
    )
    assert set(papers) == {"#171B21"}


def test_all_but_the_figures_needs_no_script(browser: Browser, report: str) -> None:
    watched = watch(browser, 1360, 900, java_script_enabled=False)
    page = watched.page
    page.goto(report)
    expect(page.locator("noscript .warning")).to_be_visible()
    assert page.locator("figcaption").count() == 13
    for caption in page.locator("figcaption").all():
        expect(caption).to_be_visible()
        assert len(caption.inner_text()) > 20
    expect(page.get_by_role("heading", name="Best trials")).to_be_visible()
    assert watched.complaints == []
    page.context.close()


def test_a_browser_that_cannot_unpack_plotly_says_so(watched: Watched, report: str) -> None:
    page = watched.page
    page.add_init_script("delete window.DecompressionStream")
    page.goto(report)
    expect(page.locator("main > .warning")).to_contain_text("need a browser of 2023 or later")
    expect(page.locator("figcaption").first).to_be_visible()
    assert page.locator(".main-svg").count() == 0


def test_a_thousand_trials_make_a_small_page(
    watched: Watched, fresh_store: Store, tmp_path: Path
) -> None:
    name = big_study.fill(fresh_store, 1000, 50)
    path = tmp_path / "report.html"
    write_report(fresh_store, name, path)
    assert path.stat().st_size < MOST_BYTES
    watched.page.goto(path.as_uri())
    watched.page.locator(ALL_DRAWN).wait_for()
    photograph(watched.page, "report-1000", tmp_path)
