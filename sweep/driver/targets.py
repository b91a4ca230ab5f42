"""Who can be told of what happens in a study: an address on the web, and a command."""

import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import time
from typing import Final
from urllib.parse import urlsplit

from sweep.driver.notify import DeliveryError, Notification
from sweep.errors import UsageError

TRIES: Final = 5
_BACKOFF_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 10.0
_COMMAND_SECONDS: Final = 60.0
_BUSY: Final = (429, 500, 502, 503, 504)
_SECRET_PREFIX: Final = "whsec_"
_MOST_CHARACTERS: Final = 200


class Webhook:
    """POSTs the notification as JSON, signed by the rules of Standard Webhooks, version 1.

    The headers are `webhook-id`, `webhook-timestamp` (of sending, seconds since 1970) and, with a
    secret, `webhook-signature`: `v1,` and the base64 of the HMAC-SHA256 of `id.timestamp.body`. An
    address that does not answer, or says that it is busy, is tried five times within half a
    minute. It is never followed to another one.
    """

    def __init__(
        self, url: str, secret: str | None, backoff_seconds: float = _BACKOFF_SECONDS
    ) -> None:
        """Check the address; nothing is sent.

        Args:
            url: `https://` or `http://`. It may hold a secret and is never shown as a whole.
            secret: Key of the signature; base64 after `whsec_`, otherwise any text.
            backoff_seconds: Waiting time before the second retry; it doubles with each.

        Raises:
            UsageError: The address or the secret cannot be read.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                "the address of the webhook cannot be read",
                where="--notify-webhook or SWEEP_NOTIFY_WEBHOOK",
                expected="https://HOST/PATH",
            )
        self._url = url
        self._name = f"{parts.scheme}://{parts.hostname}"
        self._key = None if secret is None else _key(secret)
        self._backoff_seconds = backoff_seconds

    def __str__(self) -> str:
        """Without what may be secret."""
        return f"the webhook at {self._name}"

    def deliver(self, notification: Notification) -> None:
        """Send it; see the class."""
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        body = json.dumps(notification.document(), allow_nan=False).encode()
        retry = Retry(
            total=TRIES - 1,
            redirect=0,
            backoff_factor=self._backoff_seconds,
            status_forcelist=_BUSY,
            allowed_methods=None,
        )
        with requests.Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=retry))
            try:
                answer = session.post(
                    self._url,
                    data=body,
                    headers=self._headers(notification, body),
                    timeout=_ANSWER_SECONDS,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                # The text of the error would show the address.
                what = type(error).__name__
                raise DeliveryError(f"no answer in {TRIES} tries, {what}") from None
        if answer.status_code >= 300:
            raise DeliveryError(f"it answered {answer.status_code} {answer.reason}")

    def _headers(self, notification: Notification, body: bytes) -> dict[str, str]:
        # Receivers refuse what was sent long ago, whenever it happened.
        timestamp = str(int(time.time()))
        headers = {
            "content-type": "application/json",
            "user-agent": "sweep",
            "webhook-id": notification.id,
            "webhook-timestamp": timestamp,
        }
        if self._key is not None:
            signed = f"{notification.id}.{timestamp}.".encode() + body
            digest = hmac.new(self._key, signed, hashlib.sha256).digest()
            headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
        return headers


class Command:
    """Runs a shell command, which gets the notification as JSON on standard input.

    `SWEEP_EVENT`, `SWEEP_STUDY` and `SWEEP_TEXT` are in its environment. After a minute it is
    killed; what it prints is dropped unless it fails.
    """

    def __init__(self, command: str, seconds: float = _COMMAND_SECONDS) -> None:
        """Remember the command; nothing is run."""
        self._command = command
        self._seconds = seconds

    def __str__(self) -> str:
        """Its first word, since the others may be secret."""
        return f"the command {self._command.split()[0]}"

    def deliver(self, notification: Notification) -> None:
        """Run it; see the class."""
        variables = {
            "SWEEP_EVENT": notification.kind,
            "SWEEP_STUDY": notification.study,
            "SWEEP_TEXT": notification.text,
        }
        process = subprocess.Popen(
            self._command,
            shell=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | variables,
            # In a group of its own it does not get Ctrl-C, and is killed with its children.
            start_new_session=True,
        )
        body = json.dumps(notification.document(), allow_nan=False).encode() + b"\n"
        try:
            _, errors = process.communicate(body, self._seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise DeliveryError(f"it ran for more than {self._seconds:g} seconds") from None
        if process.returncode:
            said = " ".join(errors.decode(errors="replace").split())[:_MOST_CHARACTERS]
            raise DeliveryError(f"it ended with status {process.returncode}: {said}")


def _key(secret: str) -> bytes:
    if not secret.startswith(_SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except ValueError:
        raise UsageError(
            "the secret of the webhook cannot be read",
            where="SWEEP_WEBHOOK_SECRET",
            expected=f"base64 after {_SECRET_PREFIX}, or a text that does not begin so",
        ) from None
