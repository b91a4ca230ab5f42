"""Passwords, and what a wrong one costs."""

import os
import pickle
from pathlib import Path

import pytest

from sweep.errors import UsageError
from sweep.report.web.access import (
    BURST,
    MOST_ADDRESSES,
    PAUSE_SECONDS,
    Access,
    Attempts,
    Role,
    is_loopback,
    take_password,
)

VARIABLE = "SWEEP_DASHBOARD_PASSWORD"


def test_the_password_decides_the_role() -> None:
    access = Access("owner's secret", "guest's: secret")
    assert access.role_of(b"owner:owner's secret") is Role.OWNER
    assert access.role_of(b"guest:guest's: secret") is Role.GUEST
    for wrong in (
        b"",
        b"owner:",
        b"guest:owner's secret",
        b"owner:guest's: secret",
        b":",
        b"\xff",
    ):
        assert access.role_of(wrong) is None
    assert Access("owner's secret").role_of(b"guest:None") is None


def test_passwords_are_not_kept() -> None:
    kept = pickle.dumps(Access("owner's secret", "guest's secret").__dict__)
    assert b"secret" not in kept


@pytest.mark.parametrize(
    ("access", "is_open", "has_passwords"),
    [
        (Access(), True, False),
        (Access(public_read=True), False, False),
        (Access("a password", public_read=True), False, True),
        (Access("a password"), False, True),
    ],
)
def test_only_a_dashboard_without_rules_is_open(
    access: Access, is_open: bool, has_passwords: bool
) -> None:
    assert (access.is_open, access.has_passwords) == (is_open, has_passwords)


@pytest.mark.parametrize(("owner", "public"), [(None, False), (None, True), ("a password", True)])
def test_a_guest_s_password_must_protect_something(owner: str | None, public: bool) -> None:
    with pytest.raises(UsageError, match="protects nothing"):
        Access(owner, "another password", public_read=public)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(attempts: Attempts, address: str, times: int) -> list[float]:
    return [attempts.judge(address, lambda: False) for _ in range(times)]


def test_guessing_is_slow_and_forgiven() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    assert fail(attempts, "192.0.2.1", BURST + 2) == [0.0] * BURST + [PAUSE_SECONDS] * 2
    assert attempts.judge("192.0.2.1", lambda: pytest.fail("a waiting address was let try")) > 0
    assert attempts.judge("192.0.2.2", lambda: True) == 0
    clock.now += PAUSE_SECONDS
    assert fail(attempts, "192.0.2.1", 2) == [0.0, PAUSE_SECONDS]
    clock.now += PAUSE_SECONDS * BURST * 10
    assert fail(attempts, "192.0.2.1", BURST + 1) == [0.0] * BURST + [PAUSE_SECONDS]


def test_right_passwords_cost_nothing() -> None:
    attempts = Attempts(Clock())
    assert {attempts.judge("192.0.2.1", lambda: True) for _ in range(100)} == {0.0}


def test_an_ipv6_network_counts_as_one_address() -> None:
    attempts = Attempts(Clock())
    fail(attempts, "2001:db8::1", BURST)
    assert attempts.judge("2001:db8::2:3", lambda: True) > 0
    assert attempts.judge("2001:db8:0:1::1", lambda: True) == 0
    fail(attempts, "::ffff:192.0.2.9", BURST)
    assert attempts.judge("192.0.2.9", lambda: True) > 0
    assert attempts.judge("fe80::1%eth0", lambda: True) == 0


def test_memory_is_bounded_and_keeps_the_latest() -> None:
    attempts = Attempts(Clock())
    fail(attempts, "192.0.2.1", BURST)
    for number in range(MOST_ADDRESSES - 1):
        fail(attempts, f"address {number}", 1)
    assert attempts.judge("192.0.2.1", lambda: True) > 0
    fail(attempts, "one more", 1)
    assert len(attempts._left) == MOST_ADDRESSES
    assert attempts.judge("192.0.2.1", lambda: True) == 0


def test_the_variable_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    assert take_password(None, VARIABLE) is None
    monkeypatch.setenv(VARIABLE, "a good password")
    assert take_password(None, VARIABLE) == "a good password"
    assert VARIABLE not in os.environ


def test_a_file_holds_one_line(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes("größer als zwölf\r\n".encode())
    assert take_password(file, VARIABLE) == "größer als zwölf"


def test_two_passwords_are_one_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "a good password")
    with pytest.raises(UsageError, match="given twice") as caught:
        take_password(tmp_path / "password", VARIABLE)
    assert "a good password" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"short", b"two lines\nof password", b"z" * 2000, b"\xff\xfe\xfd" * 9]
)
def test_unfit_passwords_are_refused_and_not_repeated(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        take_password(file, VARIABLE)
    message = str(caught.value)
    assert str(file) in message
    assert "short" not in message
    assert "two lines" not in message
    assert "zzz" not in message
    assert "xff" not in message
    assert caught.value.__cause__ is None


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            take_password(path, VARIABLE)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.168.1.7", "localhost.evil", "host"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)
