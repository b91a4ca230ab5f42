"""The password of the database's role, from a file: what containers are given as a secret."""

import os
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL

from sweep.errors import StoreError

PASSWORD_FILE: Final = "SWEEP_STORAGE_PASSWORD_FILE"


def with_password(url: URL) -> URL:
    """A URL of a server, with the password that it lacks.

    That is the one line of the file that `SWEEP_STORAGE_PASSWORD_FILE` names. If there is no such
    variable, the server's client looks for a password in its own ways.

    Raises:
        StoreError: The file cannot be read, or does not hold one line of text.
    """
    if url.password is not None or {"password", "passfile"} & {*url.query}:
        return url
    password = _read()
    return url if password is None else url.set(password=password)


def _read() -> str | None:
    name = os.environ.get(PASSWORD_FILE)
    if not name:
        return None
    try:
        lines = Path(name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        # A decoder's message may quote the password.
        received = error.strerror if isinstance(error, OSError) else "bytes that are not UTF-8"
        raise _unreadable(name, received, f"let the user {os.geteuid()} read it") from None
    if len(lines) != 1 or not lines[0]:
        raise _unreadable(name, "nothing" if not any(lines) else f"{len(lines)} lines", None)
    return lines[0]


def _unreadable(name: str, received: str | None, next_step: str | None) -> StoreError:
    return StoreError(
        "the password of the database cannot be read",
        where=f"{PASSWORD_FILE}={name}",
        expected="a file with the password as its one line",
        received=received,
        next_step=next_step,
    )
