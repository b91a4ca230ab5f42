"""The page that compares studies in a real Chromium, beside a real `sweep dashboard`."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import parse_qs, urlsplit

import big_study
import pytest
from browser_pages import Watched, photograph
from live_run import dashboard, free_port
from playwright.sync_api import Page, expect

from sweep.report import links
from sweep.store import Store

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

STUDIES = {"one": 40, "two": 25}
MOST_TABS = 40
# Plotly's own reading of what it drew, by figure.
DRAWN = """() => Object.fromEntries([...document.querySelectorAll(".plot")].map((plot) => [
  plot.id,
  plot._fullData.map(({ name, x, y }) => ({ name, x: Array.from(x), y: Array.from(y) })),
]))"""
VALUES = """
SELECT trials.number, trials.state, trial_values.value
FROM studies
JOIN trials ON trials.study_id = studies.study_id
JOIN sweep_trials ON sweep_trials.trial_id = trials.trial_id
JOIN trial_values ON trial_values.trial_id = trials.trial_id
WHERE studies.study_name = ? AND trials.state IN ('COMPLETE', 'PRUNED')
ORDER BY trials.number
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a database of two studies lies."""
    made = tmp_path_factory.mktemp("compare")
    with Store.open(f"sqlite:///{made / 'sweep.db'}") as store:
        for place, (name, trials) in enumerate(STUDIES.items()):
            big_study.fill(store, trials, 12, name=name, seed=place, first_id=1 + 1000 * place)
    return made


@pytest.fixture(scope="module")
def address(directory: Path) -> Iterator[str]:
    port = free_port()
    with dashboard(directory, port):
        yield f"http://127.0.0.1:{port}"


def values(directory: Path, study: str) -> list[tuple[int, str, float]]:
    """Number, state and objective of the trials that have one."""
    with closing(sqlite3.connect(directory / "sweep.db")) as connection:
        return list(connection.execute(VALUES, (study,)))


def compared(page: Page) -> dict[str, list[dict[str, Any]]]:
    """What is drawn, once all is."""
    page.locator("html[data-loaded='yes']").wait_for()
    count = page.locator(".plot").count()
    page.locator(f"html[data-drawn='{count}']").wait_for()
    drawn: dict[str, list[dict[str, Any]]] = page.evaluate(DRAWN)
    assert len(drawn) == count
    return drawn


def near(number: float) -> Any:
    """Figures have five digits."""
    return pytest.approx(number, rel=1e-4)


def test_figures_and_table_say_what_the_database_holds(
    watched: Watched, address: str, directory: Path, tmp_path: Path
) -> None:
    page = watched.page
    page.goto(f"{address}{links.COMPARE}")
    for name in STUDIES:
        page.get_by_role("checkbox", name=name, exact=True).check()
    page.get_by_role("button", name="Compare").click()
    drawn = compared(page)
    photograph(page, "compare", tmp_path)
    best_so_far = {trace["name"]: trace for trace in drawn["best-so-far-0"]}
    distribution = {trace["name"].split()[0]: trace for trace in drawn["distribution-0"]}
    marks = [trace for trace in drawn["studies-0"] if len(set(trace["y"])) == 1][1::2]
    assert set(best_so_far) == set(distribution) == set(STUDIES)
    shown = page.locator("[data-table=summary] tbody th").all_inner_texts()
    assert sorted(shown) == sorted(STUDIES)
    for name in STUDIES:
        rows = values(directory, name)
        complete = {number: value for number, state, value in rows if state == "COMPLETE"}
        best = max(complete.values())
        for number, value in zip(best_so_far[name]["x"], best_so_far[name]["y"], strict=True):
            assert value == near(max(v for n, v in complete.items() if n <= number))
        assert best_so_far[name]["x"][0] == min(complete)
        assert best_so_far[name]["y"][-1] == near(best)
        every = sorted(value for _, _, value in rows)
        assert distribution[name]["name"] == f"{name} ({len(every)})"
        assert distribution[name]["x"][1:] == [near(value) for value in every]
        assert distribution[name]["y"][-1] == 1
        mark = marks[shown.index(name)]
        assert mark["x"] == [near(median(every)), near(best)]
        row = page.locator("[data-table=summary] tbody tr").nth(shown.index(name))
        expect(row).to_contain_text(f"{best:.4f}")
        number = next(n for n, value in complete.items() if value == best)
        assert row.locator("td").nth(1).inner_text() == str(number)


def test_an_address_brings_the_selection_back(watched: Watched, address: str) -> None:
    page = watched.page
    page.goto(f"{address}{links.compare('one', 'two')}")
    first = compared(page)
    boxes = page.locator("input[name=study]")
    assert [box.get_attribute("value") for box in boxes.all()] == ["one", "two"]
    assert all(box.is_checked() for box in boxes.all())
    expect(page.get_by_role("heading", level=1)).to_have_text("one · two")
    page.reload()
    assert compared(page) == first
    page.get_by_role("link", name="as the first").click()
    page.wait_for_url(f"**{links.compare('two', 'one')}")
    expect(page.get_by_role("heading", level=1)).to_have_text("two · one")
    assert compared(page) != first
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("one · two")
    assert compared(page) == first


def tab_to(page: Page, what: str) -> None:
    """Go on with the Tab key until an element has the focus."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", what):
            outline = "getComputedStyle(document.activeElement).outlineStyle"
            assert page.evaluate(outline) != "none", "the focus cannot be seen"
            return
    raise AssertionError(f"the Tab key does not lead to {what}")


def test_studies_are_chosen_with_the_keyboard(watched: Watched, address: str) -> None:
    page = watched.page
    page.goto(f"{address}{links.COMPARE}")
    # The newest study stands first.
    for name in ("two", "one"):
        tab_to(page, f"input[value={name}]")
        page.keyboard.press("Space")
    tab_to(page, "button[type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_url("**study=**")
    assert parse_qs(urlsplit(page.url).query)["study"] == ["two", "one"]
    compared(page)
    tab_to(page, "#overview .scroll")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1360, 390])
def test_the_page_fits_wide_dark_and_on_a_telephone(
    watched: Watched, address: str, tmp_path: Path, theme: Any, width: int
) -> None:
    page = watched.page
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{address}{links.compare('one', 'two')}")
    compared(page)
    photograph(page, f"compare-{theme}-{width}", tmp_path)
    papers = page.evaluate(
        "[...document.querySelectorAll('.plot')].map((plot) => plot._fullLayout.paper_bgcolor)"
    )
    assert set(papers) == {"#171B21" if theme == "dark" else "#FFFFFF"}
    view = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert view[0] <= view[1], "the page scrolls sideways"
    for title in page.locator(".gtitle").all():
        box = title.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width, "the title is clipped"


def test_figures_can_be_read_without_seeing_them(watched: Watched, address: str) -> None:
    page = watched.page
    page.goto(f"{address}{links.compare('one', 'two')}")
    compared(page)
    for figure in page.locator("figure").all():
        told = figure.locator(".plot").get_attribute("aria-describedby")
        assert len(page.locator(f"#{told}").inner_text()) > 20
    for table in page.locator("table").all():
        assert table.locator("caption").text_content()
    expect(page.get_by_text("The study files say the same.")).to_be_visible()
    expect(page.locator("#verdicts li").first).to_have_text(re.compile("two against one"))
