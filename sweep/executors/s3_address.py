"""Addresses of places in an S3-compatible store; needs no client of one."""

import re
from dataclasses import dataclass
from typing import Final

from sweep.errors import UsageError

_SCHEME: Final = "s3://"
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# What every such store and its tools bear in a key without quoting; `.` and `..` lead elsewhere.
_SEGMENT: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9!_.*'()=-]+")
_LONGEST_PREFIX: Final = 700  # of the 1,024 bytes of a key; the study and the file follow


def is_s3(place: str) -> bool:
    """Whether a place is named by an address of S3, right or wrong, and not by a path."""
    return place.lower().startswith(_SCHEME)


@dataclass(frozen=True, slots=True)
class S3Address:
    """An object, or a prefix of objects, in a bucket: `s3://BUCKET/SEGMENT/.../SEGMENT`.

    Attributes:
        bucket: Name of the bucket.
        segments: The parts of the key or prefix; none is empty, `.` or `..`.
    """

    bucket: str
    segments: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "S3Address":
        """Read an address.

        Raises:
            UsageError: It is none. What looks like credentials is not repeated.
        """
        rest = text[len(_SCHEME) :].removesuffix("/")
        bucket, *segments = rest.split("/")
        is_right = (
            text.startswith(_SCHEME)
            and _BUCKET.fullmatch(bucket)
            and all(_SEGMENT.fullmatch(segment) for segment in segments)
            and sum(map(len, segments)) + len(segments) <= _LONGEST_PREFIX
        )
        if not is_right:
            raise UsageError(
                "the address in S3 cannot be read",
                expected="s3://BUCKET or s3://BUCKET/PREFIX, the prefix of letters, digits and "
                f"!_.*'()=- between slashes, {_LONGEST_PREFIX} characters at most",
                received="s3://***" if re.search(r"[@?:]", rest) else text,
                next_step="credentials and endpoint belong into the environment "
                "(AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL_S3, ...) or into ~/.aws",
            )
        return cls(bucket, tuple(segments))

    @property
    def key(self) -> str:
        """Key of the object, or the prefix without its last slash."""
        return "/".join(self.segments)

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.segments[-1]

    @property
    def parent(self) -> "S3Address":
        """The prefix that an object is under."""
        return S3Address(self.bucket, self.segments[:-1])

    def under(self, name: str) -> "S3Address":
        """The address with one more part, for example a file's name.

        Raises:
            ValueError: The name would lead elsewhere.
        """
        if not _SEGMENT.fullmatch(name):
            raise ValueError(f"{name!r} is no name of an artifact")
        return S3Address(self.bucket, (*self.segments, name))

    def __str__(self) -> str:
        """The address as it is typed."""
        return _SCHEME + "/".join((self.bucket, *self.segments))
