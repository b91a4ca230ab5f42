"""Whom `sweep run` tells of what happens."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import UsageError

if TYPE_CHECKING:
    from sweep.driver.notify import Target


def notify_targets(webhook: str | None, command: str | None) -> list["Target"]:
    """The targets that the command line or the environment names.

    The key of the webhook's signature comes from `SWEEP_WEBHOOK_SECRET`, or from the file that
    `SWEEP_WEBHOOK_SECRET_FILE` names: a command line is for all users of a machine to see.

    Raises:
        UsageError: An address, a secret or its file cannot be read.
    """
    from sweep.driver.targets import Command, Webhook

    targets: list[Target] = []
    if webhook:
        targets.append(Webhook(webhook, _secret()))
    if command and command.strip():
        targets.append(Command(command))
    return targets


def _secret() -> str | None:
    path = os.environ.get("SWEEP_WEBHOOK_SECRET_FILE")
    if not path:
        return os.environ.get("SWEEP_WEBHOOK_SECRET") or None
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise UsageError(
            "the secret of the webhook cannot be read",
            where="SWEEP_WEBHOOK_SECRET_FILE",
            received=str(error),
        ) from error
