"""Guests, owners and foreign pages on the dashboard, in a real Chromium."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser_pages import WAIT_MILLISECONDS, Watched, photograph, watch
from dashboard_client import GUEST, LOCKED, OWNER, served
from playwright.sync_api import Browser, Page

from sweep.report.web.access import Access
from sweep.store import Store

pytestmark = [pytest.mark.browser, pytest.mark.slow]

REFUSED = "Failed to load resource: the server responded with a status of 403 (Forbidden)"
ATTACK = """<!doctype html><title>evil</title>
<form id=form method=post enctype=text/plain action={target}/api/studies/1/rename target=frame>
<input name='{{"study_name": "stolen", "x": "' value='"}}'></form>
<iframe name=frame src={target}/dashboard></iframe>
<img src={target}/api/studies/1/plot/slice>
<script>
const sent = [
  ["DELETE", "/api/studies/1", "cors"], ["POST", "/api/studies/1/rename", "no-cors"],
  ["PUT", "/api/studies/1/note", "cors"], ["GET", "/api/studies", "cors"],
].map(([method, path, mode]) => fetch("{target}" + path, {{
  method, mode, credentials: "include", body: method === "GET" ? undefined : "{{}}",
}}).then(answer => answer.text()).catch(() => "blocked"));
const frame = document.querySelector("iframe");
const loaded = () => new Promise(done => frame.addEventListener("load", done, {{once: true}}));
Promise.all([loaded(), ...sent]).then(async ([_, ...texts]) => {{
  const answered = loaded();
  document.getElementById("form").submit();
  await answered;
  document.title = "done: " + texts.join("|");
}});
</script>"""


@pytest.fixture
def locked(store: Store) -> Iterator[str]:
    with served(store, Access(**LOCKED)) as address:
        yield address


def names(store: Store) -> list[str]:
    return [study.study_name for study in store.optuna_storage.get_all_studies()]


def visit(browser: Browser, address: str, name: str, password: str) -> Watched:
    login = {"username": name, "password": password}
    watched = watch(browser, 1400, 1000, http_credentials=login)
    watched.page.goto(address)
    watched.page.get_by_text("cifar-deep").first.wait_for()
    return watched


def delete(page: Page) -> None:
    page.get_by_label("delete study").click()
    page.get_by_role("button", name="Yes").click()


def wait_until_deleted(page: Page, store: Store) -> None:
    deadline = time.monotonic() + WAIT_MILLISECONDS / 1000
    while names(store):
        assert time.monotonic() < deadline, "the study is still there"
        page.wait_for_timeout(100)


def rename(page: Page, name: str) -> None:
    page.get_by_label("rename study").click()
    page.get_by_label("Study name").fill(name)
    page.wait_for_timeout(700)  # The page takes the text over after half a second.
    page.get_by_role("button", name="Rename").click()


def test_a_guest_looks_and_changes_nothing(
    browser: Browser, store: Store, locked: str, tmp_path: Path
) -> None:
    watched = visit(browser, locked, "guest", GUEST)
    page = watched.page
    page.goto(f"{locked}studies/1")
    page.locator("[id='user-defined-plot:sweep-momentum'] .main-svg").first.wait_for()
    for tab in ("analytics", "trials", "trialTable", "note"):
        page.goto(f"{locked}studies/1/{tab}")
        page.get_by_text("cifar-deep").first.wait_for()
    assert watched.complaints == []
    page.goto(locked)
    delete(page)
    page.get_by_text("Failed to delete study").wait_for()
    photograph(page, "dashboard-guest", tmp_path)
    rename(page, "stolen")
    page.get_by_text("Failed to rename study").wait_for()
    assert names(store) == ["cifar-deep"]
    assert watched.complaints == [REFUSED] * 2
    page.context.close()


def test_the_owner_deletes_and_is_kept_from_renaming(
    browser: Browser, store: Store, locked: str
) -> None:
    watched = visit(browser, locked, "owner", OWNER)
    page = watched.page
    rename(page, "renamed")
    page.get_by_text("Failed to rename study").wait_for()
    assert names(store) == ["cifar-deep"]
    assert [line for line in watched.complaints if "409" not in line] == []
    watched.complaints.clear()
    page.reload()
    delete(page)
    wait_until_deleted(page, store)
    assert watched.complaints == []
    page.context.close()


def test_an_owner_logs_in_to_a_public_dashboard(browser: Browser, store: Store) -> None:
    with served(store, Access(OWNER, public_read=True)) as address:
        watched = visit(browser, address, "owner", OWNER)
        page = watched.page
        page.goto(address.replace("/dashboard/", "/login"))
        page.get_by_text("cifar-deep").first.wait_for()
        assert page.url.startswith(address)
        delete(page)
        wait_until_deleted(page, store)
        assert watched.complaints == []
        page.context.close()


def test_a_foreign_page_changes_and_reads_nothing(browser: Browser, store: Store) -> None:
    class Evil(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(ATTACK.format(target=self.server.target).encode())  # type: ignore[attr-defined]

        def log_message(self, *_: object) -> None:
            pass

    evil = ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    thread = threading.Thread(target=evil.serve_forever)
    thread.start()
    try:
        for access in (Access(), Access(**LOCKED)):
            with served(store, access) as address:
                evil.target = f"http://{urlsplit(address).netloc}"  # type: ignore[attr-defined]
                watched = visit(browser, address, "owner", OWNER)
                page = watched.page
                page.goto(f"http://localhost:{evil.server_port}/")
                page.wait_for_function("document.title.startsWith('done')")
                assert page.title() == "done: blocked|blocked|blocked|blocked"
                assert names(store) == ["cifar-deep"]
                page.context.close()
    finally:
        evil.shutdown()
        evil.server_close()
        thread.join()
