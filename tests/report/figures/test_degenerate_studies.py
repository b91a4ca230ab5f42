"""Every figure of a report of every study at the edge: something to see, and words for it."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser_pages import watch
from degenerate import DEGENERATE
from playwright.sync_api import Browser
from several_studies import spec_of

from sweep.report.analysis.effects import effects
from sweep.report.analysis.studies.comparison import overview, verdicts
from sweep.report.figures.catalogue import report_charts
from sweep.report.figures.style import Chart
from sweep.report.frames import StudyFrames
from sweep.report.page.comparison import comparison_body
from sweep.report.page.shell import document, self_contained
from sweep.report.page.study import study_body

# Words that no reader should meet.
STRAY = re.compile(r"\b(nan|inf|infinity|none type|null|-0\.0+)\b", re.IGNORECASE)


def flat(values: Any) -> list[Any]:
    if isinstance(values, list):
        return [one for value in values for one in flat(value)]
    return [values]


def check(chart: Chart) -> None:
    drawn = json.loads(chart.figure.to_json())
    layout, traces = drawn["layout"], drawn["data"]
    assert chart.text.endswith("."), chart.text
    assert not STRAY.search(chart.text), chart.text
    assert not STRAY.search(layout["title"]["text"])
    if not traces:
        (reason,) = layout["annotations"]
        assert reason["text"], chart.key
        return
    shown = [trace for trace in traces if trace.get("visible", True)]
    points = [trace.get("z", trace.get("y")) for trace in shown]
    places = [trace.get("x") for trace in shown]
    for kind in (points, places):
        known = [value for value in flat(kind) if value is not None]
        assert known, f"{chart.key} has axes and nothing on them"
    for name, axis in layout.items():
        if re.fullmatch(r"[xy]axis\d*", name) and "range" in axis:
            low, high = axis["range"]
            assert math.isfinite(low), (chart.key, name)
            assert math.isfinite(high), (chart.key, name)
            assert low != high, (chart.key, name)


@pytest.mark.parametrize("name", DEGENERATE)
def test_every_figure_shows_something_or_says_why_not(name: str) -> None:
    frames = DEGENERATE[name]()
    charts = report_charts(frames)
    assert len({chart.key for chart in charts}) == len(charts) >= 13
    for chart in charts:
        check(chart)


def texts(name: str) -> dict[str, str]:
    return {chart.key: chart.text for chart in report_charts(DEGENERATE[name]())}


def test_what_is_said_is_so() -> None:
    failed, pruned, endless = texts("all failed"), texts("all pruned"), texts("without numbers")
    for key in ("effects", "parallel", "curves", "dropout", "batch-norm"):
        assert texts("empty")[key].startswith("No "), key
        assert failed[key] == "All of the 6 ended trials failed."
        assert endless[key] == "None of the 8 ended trials has a finite value."
    assert "12 pruned; none has completed" in pruned["history"]
    assert pruned["rank"] == pruned["cost"] == "No trial has completed with a finite value."
    assert texts("in no time")["gantt"] == "No time has been spent on a trial yet."
    alone = texts("one level")
    assert "split by" not in alone["curves"] + alone["layers"]
    assert "the gradient keeps its norm" in alone["layers"]


@pytest.mark.parametrize("name", ["constant", "all diverged"])
def test_of_equal_values_no_effect_is_beyond_chance(name: str) -> None:
    table = effects(DEGENERATE[name]())
    assert len(table)
    assert not table["clear"].any()
    assert texts(name)["effects"].startswith("No value's effect")


def prefixed(studies: list[StudyFrames]) -> list[str]:
    return [
        study_body(frames, None, report_charts(frames), f"study-{place}-")
        for place, frames in enumerate(studies)
    ]


@pytest.mark.browser
@pytest.mark.slow
def test_chromium_draws_all_of_them_without_a_complaint(browser: Browser, tmp_path: Path) -> None:
    sections = prefixed([make() for make in DEGENERATE.values()])
    path = tmp_path / "page.html"
    path.write_text(document("edges", "".join(sections), self_contained()), encoding="utf-8")
    count = sum(section.count('role="img"') for section in sections)
    assert count == sum(section.count("<figcaption") for section in sections)
    for width in (1360, 390):
        watched = watch(browser, width, 900)
        watched.page.goto(path.as_uri())
        watched.page.locator(f"html[data-drawn='{count}']").wait_for()
        view = watched.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert view[0] <= view[1], "the page scrolls sideways"
        assert watched.complaints == []
        watched.page.close()


def test_a_page_of_all_of_them_compared_has_words_for_each_figure() -> None:
    studies = [
        replace(make(), study=f"s{place}", spec=spec_of(f"s{place}"))
        for place, make in enumerate(DEGENERATE.values())
    ]
    body = comparison_body(overview(studies), verdicts(studies), prefixed(studies))
    described = re.findall(r'aria-describedby="([^"]+)"', body)
    words = dict(re.findall(r'<figcaption id="([^"]+)">([^<]*)</figcaption>', body))
    assert set(described) == set(words)
    assert all(text.endswith(".") for text in words.values())
    assert not any(STRAY.search(text) for text in words.values())
