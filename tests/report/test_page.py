import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import report_studies
from plotly.offline import get_plotlyjs

from sweep.errors import StoreError, UsageError
from sweep.report.page import write_report
from sweep.store import Store

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>%%spec%%"


def packed_plotly(page: str) -> str:
    """Plotly's script as a page carries it, once."""
    (packed,) = re.findall(r'<script type="application/octet-stream"[^>]*>(.*?)</script>', page)
    return gzip.decompress(base64.b64decode(packed)).decode()


class Elements(HTMLParser):
    """The tags of a page with their attributes, and the text of each script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and self.cdata_elem:
            self.scripts.append(data)
        else:
            self.words += data


@pytest.fixture(scope="module")
def page(study_database: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "deep" / "report.html"
    with Store.open(f"sqlite:///{study_database}") as store:
        write_report(store, "cifar-deep", path)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


def test_page_holds_everything_itself(page: str) -> None:
    elements = Elements(page)
    for tag, attributes in elements.tags:
        assert tag not in ("link", "iframe", "img", "object")
        assert not {"src", "href", "srcset"} & set(attributes)
    assert packed_plotly(page) == get_plotlyjs()
    assert len(page.encode()) < 2.5e6


def test_policy_allows_the_pages_own_scripts_and_no_others(page: str) -> None:
    elements = Elements(page)
    (policy,) = (a["content"] or "" for tag, a in elements.tags if "http-equiv" in a)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    kinds = [a.get("type") for tag, a in elements.tags if tag == "script"]
    run = [s for s, kind in zip(elements.scripts, kinds, strict=True) if kind is None]
    assert len(run) == 3
    hashes = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        for script in (get_plotlyjs(), *run)
    ]
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == " ".join(f"'sha256-{one}'" for one in hashes)
    assert "connect-src" not in rules


def test_page_says_what_the_study_was(page: str, study_database: Path) -> None:
    words = Elements(page).words
    with Store.open(f"sqlite:///{study_database}") as store:
        best = max(
            (row for row in store.trial_rows("cifar-deep") if row["state"] == "COMPLETE"),
            key=lambda row: row["values"][0],
        )
    for text in (
        "cifar-deep",
        "cifar10",
        "9f86d081884c7d65",
        "0123456789abcdef",
        "tensorflow 2.21.0",
        f"validation accuracy {best['values'][0]:.4f}, trial {best['number']}",
        "ValueError: odd shape",
        "Which activation wins?",
    ):
        assert text in words
    assert "%%" not in words


def test_every_figure_has_a_text_alternative(page: str) -> None:
    elements = Elements(page)
    figures = [a for tag, a in elements.tags if tag == "div" and a.get("role") == "img"]
    captions = {a["id"] for tag, a in elements.tags if tag == "figcaption"}
    sources = [a["data-for"] for tag, a in elements.tags if tag == "script" and "data-for" in a]
    assert len(figures) == 13
    assert {a["aria-describedby"] for a in figures} == captions
    assert [a["id"] for a in figures] == sources


def test_figures_are_valid_json(page: str) -> None:
    found = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert len(found) == 14
    for source in found:
        json.loads(source)


def test_text_from_outside_is_inert(fresh_store: Store, tmp_path: Path) -> None:
    name = report_studies.fill(fresh_store, 1, description=EVIL)
    with fresh_store.driving(name, report_studies.NO_TIME) as run:
        report_studies.fail_one(run, f"ValueError: {EVIL}")
    path = tmp_path / "report.html"
    write_report(fresh_store, "cifar-deep", path)
    elements = Elements(path.read_text(encoding="utf-8"))
    assert not [tag for tag, _ in elements.tags if tag == "img"]
    assert not [script for script in elements.scripts if script.startswith("alert")]
    assert elements.words.count("onerror=alert(1)>%%spec%%") == 2


def test_page_warns_of_fallback_data(fresh_store: Store, tmp_path: Path) -> None:
    report_studies.fill(fresh_store, 3, fallback=True)
    path = tmp_path / "report.html"
    write_report(fresh_store, "cifar-deep", path)
    page = path.read_text(encoding="utf-8")
    assert '<p class="warning" role="alert"><strong>synthetic data (fallback).' in page
    for source in re.findall(r"data-for=[^>]*>(.*?)</script>", page, re.DOTALL):
        title = json.loads(source)["layout"]["title"]["text"]
        assert "synthetic data (fallback)" in title


@pytest.mark.parametrize(("trials", "objectives"), [(0, 1), (1, 2)])
def test_page_of_a_young_study(
    fresh_store: Store, tmp_path: Path, trials: int, objectives: int
) -> None:
    name = report_studies.fill(fresh_store, trials, objectives=objectives)
    write_report(fresh_store, name, tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 1e6


def test_unknown_study(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no study 'nowhere'"):
        write_report(store, "nowhere", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_page_that_cannot_be_written_leaves_the_old_one(store: Store, tmp_path: Path) -> None:
    taken = tmp_path / "report.html"
    (taken / "inside").mkdir(parents=True)
    with pytest.raises(UsageError, match="cannot be written") as caught:
        write_report(store, "cifar-deep", taken)
    assert caught.value.where == str(taken)
    assert sorted(p.name for p in tmp_path.glob("*report*")) == ["report.html"]
    assert (taken / "inside").exists()
