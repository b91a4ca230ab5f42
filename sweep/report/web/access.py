"""Who may do what on the dashboard: roles, passwords, and what a wrong one costs."""

import enum
import hashlib
import hmac
import ipaddress
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sweep.errors import UsageError

LEAST_CHARACTERS: Final = 8
_MOST_BYTES: Final = 1024

BURST: Final = 5
"""Wrong passwords in a row that an address is not made to wait for."""
PAUSE_SECONDS: Final = 30.0
"""After those, an address may be wrong once in this time."""
MOST_ADDRESSES: Final = 4096


class Role(enum.Enum):
    """What a visitor may do; the value is the user name to log in with."""

    OWNER = "owner"
    GUEST = "guest"


class Access:
    """What it takes to look, and what it takes to change something.

    Only digests of the passwords are kept, so that no dump of this object shows one.

    Attributes:
        is_open: Whoever reaches the dashboard is its owner.
        public_read: Whoever reaches the dashboard may look.
    """

    def __init__(
        self,
        owner_password: str | None = None,
        guest_password: str | None = None,
        *,
        public_read: bool = False,
    ) -> None:
        """Set the rules.

        Args:
            owner_password: Password of the user `owner`, who may do everything.
            guest_password: Password of the user `guest`, who may look.
            public_read: Let everyone look without a password.

        Raises:
            UsageError: The guest has a password and the owner has none, or the guest needs none.
        """
        if guest_password is not None and (owner_password is None or public_read):
            raise UsageError(
                "the guest's password protects nothing",
                received="a password for guests and "
                + ("--public-read" if public_read else "none for the owner"),
                next_step="give the owner a password too"
                if owner_password is None
                else "leave one of the two out",
            )
        self.public_read = public_read
        self.is_open = owner_password is None and not public_read
        passwords = {Role.OWNER: owner_password, Role.GUEST: guest_password}
        self._digests = {
            role: _digest(f"{role.value}:{password}".encode())
            for role, password in passwords.items()
            if password is not None
        }

    @property
    def has_passwords(self) -> bool:
        """Whether anyone logs in."""
        return bool(self._digests)

    def role_of(self, credentials: bytes) -> Role | None:
        """The role of `name:password`, compared in constant time; None if they are wrong."""
        given = _digest(credentials)
        found = None
        for role, digest in self._digests.items():
            if hmac.compare_digest(given, digest):
                found = role
        return found


def _digest(credentials: bytes) -> bytes:
    return hashlib.sha256(credentials).digest()


class Attempts:
    """Wrong passwords by address, so that guessing is slow.

    An address may be wrong `BURST` times, and gains one more try every `PAUSE_SECONDS`. Only the
    `MOST_ADDRESSES` that were wrong last are remembered. IPv6 addresses count by their network of
    64 bits, which one machine has to itself. May be used from several threads.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing known; `clock` gives seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        # Tries left, and when they were counted; the address that was wrong last comes last.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def judge(self, address: str, is_right: Callable[[], bool]) -> float:
        """Let an address try, unless it has to wait.

        One address's tries follow each other, so that many at once are no way round the wait.

        Args:
            address: Where the request comes from.
            is_right: Says whether the password is right; not called if the address has to wait.

        Returns:
            Seconds that the address has to wait before it may try; 0 if it was let try.
        """
        key = _network(address)
        with self._lock:
            left = self._tries_left(key)
            if left < 1:
                return (1 - left) * PAUSE_SECONDS
            if not is_right():
                self._left[key] = (left - 1, self._clock())
                self._left.move_to_end(key)
                if len(self._left) > MOST_ADDRESSES:
                    self._left.popitem(last=False)
        return 0.0

    def _tries_left(self, key: str) -> float:
        left, then = self._left.get(key, (float(BURST), 0.0))
        return min(float(BURST), left + (self._clock() - then) / PAUSE_SECONDS)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, ipaddress.IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def is_loopback(host: str) -> bool:
    """Whether an address or name is one that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def take_password(file: Path | None, variable: str) -> str | None:
    """Read a password, and remove the variable so that no child process inherits it.

    Args:
        file: Its first line is the password, if a file is given.
        variable: Name of the environment variable that holds the password instead.

    Returns:
        The password, or None if there is neither.

    Raises:
        UsageError: There are both, the file cannot be read, or the password is unfit.
    """
    value = os.environ.pop(variable, None) or None
    if file is None:
        return None if value is None else _checked(value, variable)
    if value is not None:
        raise UsageError(
            "a password is given twice",
            where=f"{file} and {variable}",
            next_step=f"unset {variable}, or leave the file out",
        )
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        # A decoder's message may quote the password.
        received = error.strerror if isinstance(error, OSError) else "bytes that are not UTF-8"
        raise UsageError(
            "the password cannot be read",
            where=str(file),
            expected="a file with the password as its one line",
            received=received,
        ) from None
    return _checked(text.rstrip("\r\n"), str(file))


def _checked(password: str, where: str) -> str:
    if not LEAST_CHARACTERS <= len(password) <= _MOST_BYTES // 4 or not password.isprintable():
        raise UsageError(
            "the password is unfit",
            where=where,
            expected=f"one line of {LEAST_CHARACTERS} to {_MOST_BYTES // 4} printable characters",
            received=f"{len(password)} characters"
            + ("" if password.isprintable() else ", some of them not printable"),
            next_step="openssl rand -base64 24 makes a good one",
        )
    return password
