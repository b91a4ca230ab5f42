"""Files that are complete or absent."""

import os
from pathlib import Path

from sweep.errors import UsageError


def write_file(path: Path, content: bytes, *, what: str, force: bool = True) -> None:
    """Write a file in one step; its directory is made if missing.

    Args:
        path: The file.
        content: All of it.
        what: Its name in messages, for example `the report`.
        force: Replace a file that holds something else.

    Raises:
        UsageError: It cannot be written, or would replace another one and `force` is false.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if not force and path.is_file() and path.read_bytes() != content:
            raise UsageError(
                "a file with other content is in the way",
                where=str(path),
                next_step="name another place, or add --force",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"{what} cannot be written",
            where=str(path),
            expected="a file in a directory that can be written to",
            received=f"{type(error).__name__}: {error.strerror}",
            next_step="name another place",
        ) from error
