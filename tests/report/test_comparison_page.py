import json
import re
from pathlib import Path

import pytest
import report_studies
from plotly.offline import get_plotlyjs
from test_page import EVIL, Elements, packed_plotly

from sweep.errors import StoreError
from sweep.report.page import write_comparison
from sweep.store import Store

NAMES = ["one", "two", "three"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("comparison")
    with Store.open(f"sqlite:///{directory / 'sweep.db'}") as store:
        report_studies.fill(store, 20, name="one")
        report_studies.fill(store, 15, name="two", description=EVIL)
        report_studies.fill(store, 3, name="three", fallback=True)
        write_comparison(store, NAMES, directory / "report.html")
    return (directory / "report.html").read_text(encoding="utf-8")


def test_one_page_holds_everything_itself_and_plotly_once(page: str) -> None:
    for tag, attributes in Elements(page).tags:
        assert tag not in ("link", "iframe", "img", "object")
        assert not {"src", "srcset"} & set(attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert packed_plotly(page) == get_plotlyjs()
    assert page.count("Content-Security-Policy") == 1


def test_every_id_is_one_elements_alone_and_every_link_leads_somewhere(page: str) -> None:
    tags = Elements(page).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for tag, attributes in tags if tag == "a"]
    assert links == ["#comparison", "#study-0", "#study-1", "#study-2"]
    assert {link[1:] for link in links} <= set(ids)


def test_every_figure_has_a_text_alternative(page: str) -> None:
    tags = Elements(page).tags
    figures = [a for tag, a in tags if tag == "div" and a.get("role") == "img"]
    captions = {a["id"] for tag, a in tags if tag == "figcaption"}
    assert {a["aria-describedby"] for a in figures} == captions
    sources = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert len(sources) == len(figures) + 1
    for source in sources:
        json.loads(source)


def test_the_page_says_what_was_found(page: str) -> None:
    words = Elements(page).words
    assert "two against one, all trials: " in words
    assert "three against one: their values say nothing about each other." in words
    assert "synthetic data of three (fallback)." in words
    assert "Both reached a validation accuracy of" in words
    assert "%%" not in words.replace("%%spec%%", "")


def test_text_from_outside_is_inert(page: str) -> None:
    elements = Elements(page)
    assert not [script for script in elements.scripts if script.startswith("alert")]
    assert "onerror=alert(1)>%%spec%%" in elements.words


def test_an_unknown_study_leaves_no_page(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no study 'nowhere'"):
        write_comparison(store, ["cifar-deep", "nowhere"], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
