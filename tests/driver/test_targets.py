"""Webhooks against a real server, and real commands."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hook_server import Hook, hook_server
from processes import is_gone, wait_until

from sweep.driver.notify import DeliveryError, Notification
from sweep.driver.targets import TRIES, Command, Webhook
from sweep.errors import UsageError

TOLD = Notification("new_best", "colours", "trial 3 is the best so far", {"trial": 3})


@pytest.fixture
def hook() -> Iterator[Hook]:
    with hook_server() as served:
        yield served


def webhook(hook: Hook, secret: str | None = None) -> Webhook:
    return Webhook(hook.url, secret, backoff_seconds=0.01)


def test_a_webhook_gets_json(hook: Hook) -> None:
    webhook(hook).deliver(TOLD)
    ((headers, _),) = hook.requests
    assert hook.documents == [
        {
            "event": "new_best",
            "study": "colours",
            "time": TOLD.time.isoformat(timespec="milliseconds"),
            "text": "trial 3 is the best so far",
            "trial": 3,
        }
    ]
    assert headers["content-type"] == "application/json"
    assert headers["webhook-signature"] is None


@pytest.mark.parametrize(
    ("secret", "key"),
    [("a long word", b"a long word"), ("whsec_" + base64.b64encode(b"\0key").decode(), b"\0key")],
)
def test_the_signature_is_that_of_standard_webhooks(hook: Hook, secret: str, key: bytes) -> None:
    webhook(hook, secret).deliver(TOLD)
    ((headers, body),) = hook.requests
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_webhook_is_tried_again_with_the_same_id(hook: Hook, status: int) -> None:
    hook.answers += [status, status]
    webhook(hook, "secret").deliver(TOLD)
    assert [headers["webhook-id"] for headers, _ in hook.requests] == [TOLD.id] * 3


def test_a_webhook_that_stays_busy_is_given_up(hook: Hook) -> None:
    hook.answers += [503] * 20
    with pytest.raises(DeliveryError, match=f"no answer in {TRIES} tries") as caught:
        webhook(hook).deliver(TOLD)
    assert len(hook.requests) == TRIES
    assert "T0K3N" not in str(caught.value)


@pytest.mark.parametrize("status", [302, 307, 400, 404])
def test_an_answer_that_means_no_is_not_tried_again(hook: Hook, status: int) -> None:
    hook.answers += [status]
    with pytest.raises(DeliveryError, match=f"it answered {status}"):
        webhook(hook).deliver(TOLD)
    assert len(hook.requests) == 1


def test_a_webhook_that_is_not_there_keeps_its_address_to_itself() -> None:
    target = Webhook("http://user:pa55@127.0.0.1:9/T0K3N?key=s3cret", None, backoff_seconds=0.001)
    with pytest.raises(DeliveryError) as caught:
        target.deliver(TOLD)
    assert str(caught.value) == f"no answer in {TRIES} tries, ConnectionError"
    assert str(target) == "the webhook at http://127.0.0.1"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("url", ["", "ftp://host/x", "https://", "/run/notify"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Webhook(url, None)


def test_a_secret_that_is_no_base64_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        Webhook("https://host/", "whsec_!!")
    assert "!!" not in str(caught.value)


def test_a_command_gets_json_and_variables(tmp_path: Path) -> None:
    out = tmp_path / "out"
    Command(f'(cat; echo "$SWEEP_EVENT|$SWEEP_STUDY|$SWEEP_TEXT") > "{out}"').deliver(TOLD)
    document, variables = out.read_text().splitlines()
    assert json.loads(document) == TOLD.document()
    assert variables == "new_best|colours|trial 3 is the best so far"


def test_a_command_that_fails_says_how() -> None:
    with pytest.raises(DeliveryError, match="status 3: no such person$"):
        Command("echo no such person >&2; exit 3").deliver(TOLD)


def test_a_command_that_does_not_read_is_no_failure() -> None:
    Command("true").deliver(Notification("failure", "s", "x" * 1000, {"error": "y" * 300_000}))


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    out = tmp_path / "pid"
    with pytest.raises(DeliveryError, match=r"more than 0\.5 seconds"):
        Command(f'sleep 60 & echo $! > "{out}"; wait', seconds=0.5).deliver(TOLD)
    assert wait_until(lambda: is_gone(int(out.read_text())), seconds=10)


def test_a_command_is_named_without_its_arguments() -> None:
    assert str(Command("mail -s pa55word me")) == "the command mail"
