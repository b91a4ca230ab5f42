"""Our pages beside Optuna's dashboard, asked for without a server unless it matters."""

import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import optuna_dashboard
import pytest
import report_studies
from dashboard_client import GUEST, LOCKED, OWNER, ask, basic, served
from plotly.offline import get_plotlyjs
from sqlalchemy import event
from wsgi_visitor import Answer, visit

from sweep.errors import StoreError
from sweep.report import links
from sweep.report.frames import StudyFrames
from sweep.report.page import study_page, write_report
from sweep.report.web.access import Access, Attempts
from sweep.report.web.guard import Application, guarded
from sweep.report.web.site import beside, site
from sweep.store import Store

STUDY = "cifar-deep"
EVIL = """<script>alert('x')</script>"&%41 ü/../x"""
PAGES = (
    links.INDEX,
    links.live(STUDY),
    links.report(STUDY),
    links.compare(STUDY),
    links.api("live", STUDY),
    links.api_trial(STUDY, 3),
)


class Elements(HTMLParser):
    """The tags of a page with their attributes, and its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def targets(self, tag: str, attribute: str) -> list[str]:
        return [
            found
            for name, attributes in self.tags
            if name == tag and (found := attributes.get(attribute))
        ]


def application(store: Store, access: Access) -> Application:
    return guarded(beside(store, optuna_dashboard.wsgi(store.optuna_storage)), access, Attempts())


@pytest.fixture
def pages(store: Store) -> Application:
    return application(store, Access())


@pytest.fixture
def look(pages: Application) -> Callable[..., Answer]:
    return lambda address, **headers: visit(pages, address, headers)


def evil_study(store: Store) -> None:
    record = replace(report_studies.record("harmless"), name=EVIL)
    store.create_study(record, ["maximize"], ["val_accuracy"])
    with store.driving(EVIL, report_studies.NO_TIME) as run:
        report_studies.fail_one(run, EVIL)
        report_studies.run_one(run)


def test_the_first_page_tells_of_every_study(store: Store, look: Callable[..., Answer]) -> None:
    report_studies.fill(store, 2, name="another", fallback=True)
    page = Elements(look(links.INDEX).text)
    words = " ".join(page.words.split())
    for row in store.study_rows():
        assert row["name"] in words
        assert f"{row['best_value']:.4f} validation accuracy, trial {row['best_number']}" in words
        for address in (links.live, links.compare, links.report):
            assert address(row["name"]) in page.targets("a", "href")
        assert links.optuna_study(row["study_id"]) in page.targets("a", "href")
    counts = store.study_rows()[0]["counts"]
    assert f"{counts['COMPLETE']} complete, {counts['PRUNED']} pruned" in words
    assert "40 of 40" in words
    assert "2 of 40" in words
    assert "(fallback)" in words


def test_the_first_page_without_a_study(fresh_store: Store) -> None:
    page = visit(application(fresh_store, Access()), links.INDEX)
    assert (page.status, "No study yet" in page.text) == (200, True)


@pytest.mark.parametrize("address", ["/", links.PREFIX, "/dashboard"])
def test_short_addresses_lead_to_a_page(look: Callable[..., Answer], address: str) -> None:
    answer = look(address)
    if address == "/dashboard":
        assert answer.status == 200
    else:
        assert (answer.status, answer.headers["location"]) == (302, links.INDEX)


@pytest.mark.parametrize("address", PAGES)
def test_pages_run_no_script_but_their_own(look: Callable[..., Answer], address: str) -> None:
    answer = look(address)
    assert answer.status == 200
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert answer.headers["cache-control"] == "no-store"
    page = Elements(answer.text)
    for name, attributes in page.tags:
        assert not any(attribute.startswith("on") for attribute in attributes), attributes
        if name == "script" and "src" not in attributes:
            assert attributes["type"] == "application/json"
    loaded = page.targets("script", "src") + page.targets("link", "href")
    for source in loaded:
        assert source.startswith(links.ASSETS)
        assert look(source).status == 200


def test_names_are_text_wherever_they_stand(store: Store) -> None:
    evil_study(store)
    with served(store, Access()) as address:
        for path in (links.INDEX, links.live(EVIL), links.report(EVIL)):
            status, text, _ = ask(address, path)
            assert status == 200, path
            page = Elements(text)
            assert EVIL in page.words
            assert links.live(EVIL) in page.targets("a", "href")
            scripts = [attributes for name, attributes in page.tags if name == "script"]
            assert all("src" in one or one.get("type") == "application/json" for one in scripts)
        status, text, _ = ask(address, links.api("live", EVIL))
        assert json.loads(text)["values"]["study"]["name"] == EVIL
        status, text, _ = ask(address, links.api_trial(EVIL, 0))
        assert json.loads(text)["error"] == EVIL


def test_what_is_not_there_is_said_with_a_way_back(look: Callable[..., Answer]) -> None:
    name = "<b>none</b>"
    for address in (links.live(name), links.report(name)):
        answer = look(address)
        assert answer.status == 404
        page = Elements(answer.text)
        assert "There is no study '<b>none</b>'" in page.words
        assert links.INDEX in page.targets("a", "href")
    assert "There is no such page" in look(f"{links.PREFIX}/nowhere").text
    for address, what in (
        (links.api("live", name), "There is no study '<b>none</b>'."),
        (links.api_trial(STUDY, 99), "There is no trial 99."),
        (links.api("nothing", STUDY), "There is no such page."),
        (f"{links.API}trial/-1/{STUDY}", "There is no such page."),
        (f"{links.API}trial/{'9' * 40}/{STUDY}", "There is no such page."),
    ):
        answer = look(address)
        assert (answer.status, answer.json) == (404, {"reason": what})


def test_a_study_that_sweep_did_not_make_has_no_page(
    store: Store, look: Callable[..., Answer]
) -> None:
    store.optuna_storage.create_new_study([], "foreign")
    assert look(links.live("foreign")).status == 404
    assert look(links.INDEX).status == 200


@pytest.mark.parametrize("address", PAGES)
def test_a_database_that_is_away_is_said(
    look: Callable[..., Answer], store: Store, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreError("cannot connect to the database server", where="secret-host")

    monkeypatch.setattr(store, "_read", away)
    monkeypatch.setattr(store, "study_rows", away)
    monkeypatch.setattr(store, "drivers", away)
    answer = look(address)
    assert answer.status == 503
    said = answer.json["reason"] if address.startswith(links.API) else answer.text
    assert "The database cannot be read just now: cannot connect" in said
    assert "secret-host" not in answer.text


def test_pages_can_only_be_read(store: Store, look: Callable[..., Answer]) -> None:
    pages = application(store, Access(**LOCKED))
    for address in PAGES:
        owner, guest = (
            visit(pages, address, basic(name, password), method="POST")
            for name, password in (("owner", OWNER), ("guest", GUEST))
        )
        assert (owner.status, guest.status) == (405, 403)
        assert "Read-only" in guest.text
    assert visit(pages, links.api("live", STUDY), method="POST").json["reason"]


def test_pages_need_the_password_and_guests_read_them_all(store: Store) -> None:
    def dump() -> list[str]:
        with sqlite3.connect(store.url.removeprefix("sqlite:///")) as connection:
            return list(connection.iterdump())

    pages, before = application(store, Access(**LOCKED)), dump()
    for address in (*PAGES, f"{links.ASSETS}page.css"):
        stranger = visit(pages, address)
        assert stranger.status == 401
        assert STUDY not in stranger.text
        for name, password in (("guest", GUEST), ("owner", OWNER)):
            assert visit(pages, address, basic(name, password)).status == 200
    assert "reason" in visit(pages, links.api("live", STUDY)).json
    assert dump() == before


def test_every_page_only_reads(store: Store) -> None:
    routes = {(route.method, re.sub("<[^>]*>", "*", route.rule)) for route in site(store).routes}
    assert {method for method, _ in routes} == {"GET"}
    # Each was read: none of these changes anything. One that is not here must be read first.
    known = {f"{links.PREFIX}/{page}/*" for page in ("live", "report", "assets")}
    known |= {"/", links.PREFIX, links.INDEX, links.COMPARE}
    known |= {f"{links.API}{part}" for part in ("live/*", "trial/*/*")}
    known |= {links.api_compare(part) for part in ("overview", "verdicts")}
    assert {rule for _, rule in routes} <= known


def test_foreign_sites_and_hosts_are_refused(store: Store, look: Callable[..., Answer]) -> None:
    cross = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    pages = application(store, Access())
    assert visit(pages, links.api("live", STUDY), cross).status == 403
    assert visit(pages, links.INDEX, {"Host": "evil.example"}).status == 403


def test_files_are_kept_until_they_change(look: Callable[..., Answer]) -> None:
    page = Elements(look(links.live(STUDY)).text)
    for address in page.targets("script", "src") + page.targets("link", "href"):
        answer = look(address)
        assert "immutable" in answer.headers["cache-control"]
        tag = answer.headers["etag"]
        again = look(address, **{"If-None-Match": tag})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == tag
        plain = address.partition("?")[0]
        for other in (plain, f"{plain}?v=0"):
            assert look(other).headers["cache-control"] == "private, no-cache"
            assert look(other, **{"If-None-Match": '"0"'}).status == 200


def test_plotly_is_that_of_the_package_and_small_on_the_way(look: Callable[..., Answer]) -> None:
    address = f"{links.ASSETS}plotly.min.js"
    packed = look(address, **{"Accept-Encoding": "gzip, br"})
    assert packed.text == look(address).text == get_plotlyjs()
    assert len(packed.body) < len(packed.text) / 3
    assert "content-encoding" not in look(address, **{"Accept-Encoding": "gzip;q=0, br"}).headers
    assert packed.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("name", ["", "../page.py", "..%2f..%2fpage.py", "live.tpl", "page.html"])
def test_no_other_file_is_served(look: Callable[..., Answer], name: str) -> None:
    assert look(f"{links.ASSETS}{name}").status == 404


def test_the_report_is_the_one_that_is_written(
    store: Store, look: Callable[..., Answer], tmp_path: Path
) -> None:
    write_report(store, STUDY, tmp_path / "report.html")
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    answer = look(links.report(STUDY))
    data = re.compile(r'<script type="application/json".*?</script>', re.DOTALL)
    assert data.findall(answer.text) == data.findall(written)
    assert len(answer.body) < len(written) / 5


def test_the_report_of_a_study_that_stays_the_same_is_made_once(
    store: Store, look: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def spy(frames: StudyFrames, *rest: Any) -> str:
        made.append(frames.study)
        return study_page(frames, *rest)

    monkeypatch.setattr("sweep.report.web.report.study_page", spy)
    pages = {look(links.report(STUDY)).text for _ in range(3)}
    assert len(pages) == 1
    assert made == [STUDY]


def test_the_live_page_s_numbers_are_strict_json(
    store: Store, look: Callable[..., Answer]
) -> None:
    evil_study(store)
    store.load_study(STUDY).tell(store.load_study(STUDY).ask(), float("inf"))
    first = look(links.api("live", STUDY)).json
    assert first["values"]["counts"]["complete"] == 20
    news = look(f"{links.api('live', STUDY)}?since={first['token']}").json
    assert not news["all"]
    assert news["pulse"]["now"] > first["values"]["best"]["ended"]


def test_details_of_a_trial_are_those_of_the_database(
    store: Store, look: Callable[..., Answer]
) -> None:
    store.log(STUDY, "warning", "careful", 3)
    for row in store.trial_rows(STUDY)[:10]:
        trial = look(links.api_trial(STUDY, row["number"])).json
        epochs = store.epoch_rows(STUDY, row["number"])
        assert trial["curves"]["val_accuracy"] == [epoch["val_accuracy"] for epoch in epochs]
        assert [value for _, value in trial["values"]] == (row["values"] or [])
        assert (trial["epochs"], trial["error"]) == (row["epochs"], row["error"])
        settings = {name: text for name, text, _ in trial["config"]}
        assert settings["activation"] == row["config"]["activation"]
        messages = [text for *_, text in trial["messages"]]
        assert messages == (["careful"] if row["number"] == 3 else [])


def test_the_first_page_takes_as_many_statements_however_many_trials(fresh_store: Store) -> None:
    statements: list[str] = []
    event.listen(
        fresh_store._database.engine,
        "before_cursor_execute",
        lambda *args: statements.append(args[2]),
    )
    pages, numbers = application(fresh_store, Access()), []
    report_studies.fill(fresh_store, 1)
    for _ in range(2):
        statements.clear()
        assert visit(pages, links.INDEX).status == 200
        numbers.append(len(statements))
        with fresh_store.driving(STUDY, report_studies.NO_TIME) as run:
            for _ in range(20):
                report_studies.run_one(run)
    assert numbers[0] == numbers[1] < 20
