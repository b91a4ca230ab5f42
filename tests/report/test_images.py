"""Figures as image files: by a real Chromium where one draws, without it where none is reached."""

import asyncio
import json
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from browser_pages import chromium
from PIL import Image
from playwright.sync_api import Browser
from report_studies import frames_of, trial_row

import sweep
from sweep.cli.commands import report as report_command
from sweep.errors import SweepError, UsageError
from sweep.report import images
from sweep.report.figures.catalogue import report_charts
from sweep.report.figures.style import Chart
from sweep.report.frames import study_frames
from sweep.report.images import page_charts, still, write_images
from sweep.store import Store

# What Chromium's log calls whatever would reach another machine.
SENT = {
    "DNS_TRANSACTION",
    "HOST_RESOLVER_SYSTEM_TASK",
    "TCP_CONNECT_ATTEMPT",
    "UDP_BYTES_SENT",
    "SOCKET_BYTES_SENT",
}
# Texts of an SVG that is shown by itself which are not wholly in it, and how many there are.
OUTSIDE = """() => {
  const frame = document.documentElement.getBoundingClientRect();
  const texts = [...document.querySelectorAll("text")].filter((t) => t.textContent.trim());
  const leaves = (box) => box.left < frame.left || box.right > frame.right
    || box.top < frame.top || box.bottom > frame.bottom;
  return [
    texts.filter((t) => leaves(t.getBoundingClientRect())).map((t) => t.textContent),
    texts.length,
  ];
}"""


@pytest.fixture(scope="module")
def charts(study_database: Path) -> dict[str, Chart]:
    with Store.open(f"sqlite:///{study_database}") as store:
        return page_charts([study_frames(store, "cifar-deep")])


def some(charts: dict[str, Chart], *names: str) -> dict[str, Chart]:
    return {name: charts[name] for name in names}


def watched_chromium(directory: Path) -> Path:
    """A program that notes each start and has Chromium log what it asks the network."""
    program = directory / "chromium"
    program.write_text(
        f"#!/bin/sh\necho started >> {directory}/starts\n"
        f'exec {chromium()} --log-net-log={directory}/network.json "$@"\n'
    )
    program.chmod(0o755)
    return program


@pytest.mark.browser
@pytest.mark.slow
def test_one_browser_writes_all_figures_in_all_formats_and_asks_no_network(
    charts: dict[str, Chart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(watched_chromium(tmp_path)))
    told: list[Path] = []
    directory = tmp_path / "deep" / "images"
    files = write_images(charts, directory, ("png", "svg", "pdf"), wrote=told.append)
    assert (tmp_path / "starts").read_text().splitlines() == ["started"]
    assert list(files) == list(charts)
    assert told == [path for paths in files.values() for path in paths]
    assert sorted(told) == sorted(directory.iterdir())
    for name, (png, svg, pdf) in files.items():
        assert (png.name, svg.name, pdf.name) == (f"{name}.png", f"{name}.svg", f"{name}.pdf")
        figure = still(charts[name])
        size = (figure.layout.width, figure.layout.height)
        with Image.open(png) as image:
            assert image.size == (2 * size[0], 2 * size[1])
            corners = {image.getpixel((x, y)) for x in (0, image.width - 1) for y in (1, 40)}
            assert corners == {(255, 255, 255, 255)}, "paper is white"
            assert len(image.convert("RGB").getcolors(1 << 24)) > 50, "something is drawn"
        drawn = svg.read_text(encoding="utf-8")
        assert re.search(rf'<svg [^>]*width="{size[0]}" height="{size[1]}"', drawn), name
        assert "data: cifar10" in drawn
        assert pdf.read_bytes().startswith(b"%PDF-")
    assert asked(tmp_path / "network.json") == set()


def asked(log: Path) -> set[str]:
    """Kinds of events in Chromium's log that reach for another machine."""
    text = log.read_text()
    assert "cdn" not in text, "plotly.js and MathJax are not asked for"
    # A browser that is closed while it writes leaves the log open.
    document = json.loads(text if text.rstrip().endswith("}") else text.rstrip(", \n") + "]}")
    names = {number: name for name, number in document["constants"]["logEventTypes"].items()}
    assert document["events"]
    return {names[event["type"]] for event in document["events"]} & SENT


@pytest.mark.browser
@pytest.mark.slow
def test_no_text_leaves_its_image(
    browser: Browser, charts: dict[str, Chart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", chromium())
    files = write_images(charts, tmp_path, ["svg"])
    page = browser.new_page(viewport={"width": 1200, "height": 1400})
    for name, (path,) in files.items():
        page.goto(path.as_uri())
        outside, texts = page.evaluate(OUTSIDE)
        assert texts > 5
        assert outside == [], name
    page.close()


@pytest.mark.browser
@pytest.mark.slow
def test_a_notebook_writes_images_while_its_own_loop_runs(
    study_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", chromium())
    study = sweep.load("cifar-deep", study_database)
    monkeypatch.setitem(
        study.__dict__, "_frames", frames_of([trial_row(0), trial_row(1, values=[0.6])])
    )
    assert list(study.figures) == [chart.key for chart in report_charts(study._frames)]
    (tmp_path / "history.svg").write_text("older")

    async def cell() -> list[Path]:
        return study.write_figures(tmp_path, ["svg"])

    # Tests of pages leave a loop that runs in this thread.
    with ThreadPoolExecutor(1) as pool:
        files = pool.submit(lambda: asyncio.run(cell())).result()
    assert [path.name for path in files] == [f"{name}.svg" for name in study.figures]
    assert "Validation accuracy by trial" in files[0].read_text(encoding="utf-8")


def test_the_command_knows_every_format() -> None:
    assert report_command.IMAGE_FORMATS == get_args(images.ImageFormat)


def test_images_of_several_studies_have_a_directory_each(store: Store) -> None:
    frames = study_frames(store, "cifar-deep")
    read = [frames, replace(frames, study="../outside")]
    names = list(page_charts(read))
    own = [chart.key for chart in report_charts(read[0])]
    shared = [name for name in names if "/" not in name]
    assert {"quality-0", "studies-0", "best-so-far-0", "distribution-0"} <= set(shared)
    assert names[len(shared) :][: len(own)] == [f"cifar-deep/{key}" for key in own]
    directories = {Path(name).parts[0] for name in names if "/" in name}
    assert len(directories) == 2
    assert ".." not in "".join(directories)


def test_an_image_shows_nothing_to_click_and_the_page_keeps_it(charts: dict[str, Chart]) -> None:
    chart = charts["curves"]
    assert chart.figure.layout.updatemenus
    assert not still(chart).layout.updatemenus
    assert chart.figure.layout.updatemenus
    assert (still(chart).layout.width, chart.figure.layout.width) == (700, None)
    assert still(charts["parallel"]).layout.width == 1100


def test_without_kaleido_the_message_says_what_helps(
    charts: dict[str, Chart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(UsageError, match="need Kaleido") as caught:
        write_images(charts, tmp_path / "images")
    assert caught.value.next_step == "pip install 'sweep[images]'"
    assert not (tmp_path / "images").exists()


def test_without_a_browser_the_message_says_what_helps(
    charts: dict[str, Chart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="need Chrome or Chromium") as caught:
        write_images(charts, tmp_path / "images")
    assert caught.value.received == f"BROWSER_PATH={tmp_path / 'nowhere'}"
    assert "apt install chromium" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", ["exit 1", "exec sleep 60"])
def test_a_program_that_is_no_browser_is_named(
    charts: dict[str, Chart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    program = tmp_path / "browser"
    program.write_text(f"#!/bin/sh\n{words}\n")
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER_PATH", str(program))
    monkeypatch.setattr(images, "START_SECONDS", 1.0)
    with pytest.raises(SweepError, match="does not start") as caught:
        write_images(charts, tmp_path / "images")
    assert caught.value.where == str(program)
    assert "BROWSER_PATH" in str(caught.value)
    assert not (tmp_path / "images").exists()


@pytest.mark.browser
def test_a_place_that_cannot_be_written_is_named(
    charts: dict[str, Chart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", chromium())
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="an image cannot be written") as caught:
        write_images(some(charts, "history"), tmp_path / "file")
    assert caught.value.where == str(tmp_path / "file" / "history.png")


@pytest.mark.browser
def test_a_figure_that_the_browser_cannot_draw_is_named(
    charts: dict[str, Chart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", chromium())
    monkeypatch.setattr(images, "SCALES", {"png": 1e6})
    with pytest.raises(SweepError, match="did not draw") as caught:
        write_images(some(charts, "history"), tmp_path)
    assert caught.value.where == "history.png"
    assert list(tmp_path.iterdir()) == []


def test_chromium_is_found_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("needs the program chromium")
    from choreographer.browsers import Chromium

    monkeypatch.delenv("BROWSER_PATH", raising=False)
    assert Chromium.find_browser(skip_local=True)
