"""What the dashboard answers to whom: real requests to a real server."""

import logging
import re
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import optuna_dashboard
import pytest
from dashboard_client import GUEST, LOCKED, OWNER, ask, basic, served, speak

from sweep.errors import UsageError
from sweep.report.web.access import BURST, Access
from sweep.report.web.guard import HARMLESS
from sweep.report.web.server import MOST_BODY_BYTES, MOST_HEADER_BYTES, Certificate, make_server
from sweep.store import Store

# Each was read: none of these changes anything. One that is not here must be read first.
READING = {
    "/",
    "/dashboard<:re:(/.*)?>",
    "/api/meta",
    "/api/studies",
    "/api/studies/<study_id:int>",
    "/api/studies/<study_id:int>/param_importances",
    "/api/studies/<study_id:int>/plot/<plot_type>",
    "/csv/<study_id:int>",
    "/favicon.ico",
    "/static/<filename:path>",
    "/incompatible-rdb-schema",
    "/artifacts/<study_id:int>/<artifact_id:re:[0-9a-fA-F-]+>",
    "/artifacts/<study_id:int>/<trial_id:int>/<artifact_id:re:[0-9a-fA-F-]+>",
}
EXAMPLES = {"artifact_id": "0a-1b", "plot_type": "slice", "filename": "bundle.js"}


@pytest.fixture
def locked(store: Store) -> Iterator[str]:
    with served(store, Access(**LOCKED)) as address:
        yield address


@pytest.fixture
def public(store: Store) -> Iterator[str]:
    with served(store, Access(OWNER, public_read=True)) as address:
        yield address


@pytest.fixture
def unlocked(store: Store) -> Iterator[str]:
    with served(store, Access()) as address:
        yield address


def dump(store: Store) -> list[str]:
    with sqlite3.connect(store.url.removeprefix("sqlite:///")) as connection:
        return list(connection.iterdump())


def names(store: Store) -> list[str]:
    return [study.study_name for study in store.optuna_storage.get_all_studies()]


def example(rule: str) -> str:
    path = rule.replace("<:re:(/.*)?>", "/studies/1")
    return re.sub(r"<(\w+)(:[^>]*)?>", lambda part: EXAMPLES.get(part[1], "1"), path)


def routes(store: Store) -> list[tuple[str, str]]:
    application = optuna_dashboard.wsgi(store.optuna_storage)
    return [(route.method, route.rule) for route in application.routes]


def test_every_route_is_known(store: Store) -> None:
    assert {rule for method, rule in routes(store) if method in HARMLESS} == READING


def test_a_guest_reads_all_and_changes_nothing(store: Store, locked: str) -> None:
    before = dump(store)
    for method, rule in routes(store):
        body = '{"study_name": "mine", "directions": ["minimize"], "version": 9, "body": "x"}'
        status, text, _ = ask(
            locked,
            example(rule),
            basic("guest", GUEST) | {"Content-Type": "application/json"},
            method=method,
            body=None if method in HARMLESS else body,
        )
        if method in HARMLESS:
            assert status in (200, 302, 400, 404), (method, rule, text)
            assert "Read-only" not in text
        else:
            assert (status, "Read-only" in text) == (403, True), (method, rule)
    assert dump(store) == before


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "delete", "get", "TRACE", "PROXY"])
def test_unknown_methods_are_the_owner_s(locked: str, method: str) -> None:
    assert ask(locked, "/api/studies/1", basic("guest", GUEST), method=method)[0] in (400, 403)


def test_the_owner_may_change(store: Store, locked: str) -> None:
    owner = basic("owner", OWNER) | {"Content-Type": "application/json"}
    status, _, _ = ask(locked, "/api/studies/1", owner, method="DELETE", body="{}")
    assert status == 204
    assert names(store) == []


def test_a_study_is_not_renamed_since_that_would_lose_its_epochs(
    store: Store, locked: str
) -> None:
    owner = basic("owner", OWNER) | {"Content-Type": "application/json"}
    before = dump(store)
    path = "/api/studies/1/rename"
    status, text, _ = ask(locked, path, owner, method="POST", body='{"study_name": "renamed"}')
    assert status == 409
    assert "without its epochs" in text
    assert dump(store) == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("owner", "wrong"),
        basic("guest", OWNER),
        basic("Owner", OWNER),
        basic("", OWNER),
        {"Authorization": "Basic"},
        {"Authorization": "Basic ????"},
        {"Authorization": f"Bearer {OWNER}"},
        {"Authorization": OWNER},
        {"Cookie": f"password={OWNER}"},
    ],
)
def test_without_the_password_nothing_is_shown(locked: str, headers: dict[str, str]) -> None:
    for path in ("/", "/dashboard", "/api/studies", "/static/bundle.js", "/favicon.ico", "/login"):
        status, text, answer = ask(locked, path, headers)
        # Who is wrong too often waits.
        assert status in (401, 429)
        assert "cifar" not in text
        if status == 401:
            assert answer["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize(("name", "password"), [("owner", OWNER), ("guest", GUEST)])
def test_with_the_password_it_is_shown(locked: str, name: str, password: str) -> None:
    assert "cifar-deep" in ask(locked, "/api/studies", basic(name, password))[1]
    lower = {"Authorization": basic(name, password)["Authorization"].replace("Basic", "basic ")}
    assert ask(locked, "/dashboard/studies/1", lower)[0] == 200


def test_whoever_guesses_has_to_wait(locked: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        guesses = [ask(locked, "/", basic(f"n{i}", f"hunter{i}"))[0] for i in range(BURST + 3)]
        assert guesses == [401] * BURST + [429] * 3
        status, text, headers = ask(locked, "/api/studies", basic("owner", OWNER))
    assert status == 429
    assert 0 < int(headers["retry-after"]) <= 30
    assert "wait" in text
    assert caplog.text.count("from 127.0.0.1 failed") == BURST
    for secret in ("hunter", "n1", OWNER, basic("n1", "hunter1")["Authorization"].split()[1]):
        assert secret not in caplog.text
    assert ask(locked, "/")[0] == 401


def test_everyone_looks_at_a_public_dashboard(store: Store, public: str) -> None:
    before = dump(store)
    assert "cifar-deep" in ask(public, "/api/studies")[1]
    status, text, _ = ask(public, "/api/studies/1", method="DELETE")
    assert (status, "Read-only" in text) == (403, True)
    assert dump(store) == before
    assert ask(public, "/", basic("owner", "wrong"))[0] == 401
    assert ask(public, "/api/studies/1", basic("owner", OWNER), method="DELETE")[0] == 204


def test_nobody_changes_a_public_dashboard_without_an_owner(store: Store) -> None:
    with served(store, Access(public_read=True)) as address:
        assert ask(address, "/api/studies")[0] == 200
        assert ask(address, "/api/studies/1", basic("owner", "None"), method="DELETE")[0] == 401
        assert ask(address, "/api/studies/1", method="DELETE")[0] == 403


def test_login_asks_for_the_owner(locked: str, public: str) -> None:
    assert ask(public, "/login")[0] == 401
    assert ask(locked, "/login", basic("guest", GUEST))[0] == 401
    for address in (locked, public):
        status, _, headers = ask(address, "/login", basic("owner", OWNER))
        assert (status, headers["location"]) == (303, "/dashboard/")


CROSS = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
LINK = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
FRAME = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}


@pytest.mark.parametrize(
    "headers",
    [
        CROSS,
        CROSS | {"Sec-Fetch-Site": "same-site"},
        CROSS | LINK,
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Origin": ""},
        CROSS | {"Origin": "{self}"},
    ],
)
def test_another_site_cannot_change_anything_for_the_owner(
    store: Store, locked: str, unlocked: str, headers: dict[str, str]
) -> None:
    before = dump(store)
    for address in (locked, unlocked):
        ours = f"http://{urlsplit(address).netloc}"
        sent = {name: value.replace("{self}", ours) for name, value in headers.items()}
        for method in ("DELETE", "POST", "PUT"):
            owner = basic("owner", OWNER) | sent
            status, text, _ = ask(address, "/api/studies/1", owner, method=method)
            assert (status, "site" in text) == (403, True)
    assert dump(store) == before


def test_another_site_costs_the_owner_no_tries(locked: str) -> None:
    for _ in range(BURST + 1):
        assert ask(locked, "/api/studies", basic("owner", "wrong") | CROSS)[0] == 403
    assert ask(locked, "/api/studies", basic("owner", OWNER))[0] == 200


def test_another_site_may_link_but_not_embed(unlocked: str) -> None:
    assert ask(unlocked, "/dashboard", CROSS | LINK)[0] == 200
    assert ask(unlocked, "/dashboard", CROSS | FRAME)[0] == 403
    assert ask(unlocked, "/api/studies/1/plot/slice", CROSS)[0] == 403


@pytest.mark.parametrize("site", ["same-origin", "none", None])
def test_the_page_itself_may_change(locked: str, site: str | None) -> None:
    headers = basic("owner", OWNER) | {"Origin": f"http://{urlsplit(locked).netloc.upper()}"}
    if site is not None:
        headers["Sec-Fetch-Site"] = site
    assert ask(locked, "/api/studies/1", headers, method="DELETE")[0] == 204


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "192.168.1.7", "[::", ""])
def test_a_foreign_host_name_is_refused_where_there_is_no_password(
    unlocked: str, host: str
) -> None:
    assert ask(unlocked, "/api/studies", {"Host": host})[0] == 403
    assert ask(unlocked, "/api/studies/1", {"Host": host}, method="DELETE")[0] == 403


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080"])
def test_names_of_this_machine_are_served(unlocked: str, host: str) -> None:
    assert ask(unlocked, "/api/studies", {"Host": host})[0] == 200


def test_with_a_password_any_name_is_served(locked: str) -> None:
    headers = {"Host": "sweep.example", "Origin": "https://sweep.example"}
    assert ask(locked, "/dashboard", basic("guest", GUEST) | headers)[0] == 200
    owner = basic("owner", OWNER) | headers
    assert ask(locked, "/api/studies/1", owner, method="DELETE")[0] == 204


@pytest.mark.parametrize(
    ("path", "cache"),
    [
        ("/dashboard", "no-store"),
        ("/api/studies", "no-store"),
        ("/csv/1", "no-store"),
        ("/static/bundle.js", "private, no-cache"),
        ("/nowhere", "no-store"),
        ("/artifacts/1/0a", "no-store"),
    ],
)
def test_every_answer_is_fenced(locked: str, path: str, cache: str) -> None:
    for credentials in (basic("guest", GUEST), {}):
        _, _, headers = ask(locked, path, credentials)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == cache
        assert headers["server"] == "sweep"
        assert "access-control-allow-origin" not in headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy or "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy


@pytest.mark.parametrize(
    "path",
    [
        "/static/../index.html",
        "/static/..%2f_app.py",
        "/static/%2e%2e/_app.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/bundle.js%00.html",
        "/static/" + "x" * 5000,
        "/artifacts/1/..%2f..%2fetc%2fpasswd",
        "/csv/1%00",
    ],
)
def test_paths_lead_nowhere_else(locked: str, path: str) -> None:
    status, text, _ = ask(locked, path, basic("guest", GUEST))
    assert status in (400, 403, 404, 500)
    assert "root:" not in text
    assert "import " not in text


def test_a_body_that_is_not_read_is_not_the_next_request(locked: str) -> None:
    hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    for framing in (
        b"Content-Length: %d\r\n\r\n%s" % (len(hidden), hidden),
        b"Transfer-Encoding: chunked\r\n\r\n%s" % hidden,
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s" % hidden,
    ):
        words = b"POST /api/studies HTTP/1.1\r\nHost: a\r\n" + framing
        assert speak(locked, words).count(b"HTTP/1.1") == 1


def test_a_refusal_of_head_has_no_body(locked: str) -> None:
    answer = speak(locked, b"HEAD /dashboard HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401")
    assert answer.endswith(b"\r\n\r\n")


def test_what_is_too_large_is_refused(locked: str) -> None:
    fat = {"X-Fat": "x" * MOST_HEADER_BYTES}
    assert ask(locked, "/", fat)[0] == 413
    headers = basic("owner", OWNER) | {"Content-Length": str(MOST_BODY_BYTES + 1)}
    assert ask(locked, "/api/studies", headers, method="POST")[0] == 413


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "example.org", "::", ""])
def test_other_machines_need_a_password(store: Store, host: str) -> None:
    with pytest.raises(UsageError, match="without a password") as caught:
        make_server(store, host, 0, access=Access())
    assert caught.value.received == repr(host)


@pytest.mark.parametrize("access", [Access(OWNER), Access(public_read=True)])
def test_with_a_rule_other_machines_are_served(store: Store, access: Access) -> None:
    with served(store, access, host="0.0.0.0") as address:
        headers = basic("owner", OWNER) if access.has_passwords else {}
        assert ask(address, "/api/studies", headers)[0] == 200


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    directory = tmp_path_factory.mktemp("tls")
    files = Certificate(directory / "certificate.pem", directory / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        + ["-keyout", str(files.key), "-out", str(files.certificate), "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    return files


@pytest.fixture
def encrypted(store: Store, certificate: Certificate) -> Iterator[str]:
    with served(store, Access(**LOCKED), certificate=certificate) as address:
        yield address


def test_tls(encrypted: str, certificate: Certificate) -> None:
    assert encrypted.startswith("https://127.0.0.1:")
    authority = certificate.certificate
    guest = basic("guest", GUEST)
    assert "cifar-deep" in ask(encrypted, "/api/studies", guest, authority=authority)[1]
    _, _, headers = ask(encrypted, "/", guest, authority=authority)
    assert headers["location"] == "/sweep/"


def test_a_silent_or_plain_client_keeps_nobody_from_tls(
    encrypted: str, certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    parts = urlsplit(encrypted)
    assert parts.port is not None
    with socket.create_connection(("127.0.0.1", parts.port)):
        assert b"sweep" not in speak(encrypted, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        started = time.monotonic()
        status, _, _ = ask(encrypted, "/", authority=certificate.certificate)
        assert status == 401
        assert time.monotonic() - started < 8
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_unfit_certificates_are_explained(
    store: Store, certificate: Certificate, tmp_path: Path
) -> None:
    none, text = tmp_path / "none.pem", tmp_path / "text.pem"
    text.write_text("no certificate")
    for files, message in (
        (Certificate(none, certificate.key), "no such file"),
        (Certificate(certificate.certificate, text), "cannot be used"),
        (Certificate(text, certificate.key), "cannot be used"),
    ):
        with pytest.raises(UsageError, match=message):
            make_server(store, "127.0.0.1", 0, access=Access(), certificate=files)
