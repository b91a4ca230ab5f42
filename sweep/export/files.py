"""Files that are complete or absent, and that overwrite nothing by accident."""

import os
import tempfile
from pathlib import Path

from sweep.errors import SweepError, UsageError


def write_file(path: Path, content: bytes, *, force: bool) -> None:
    """Write a file in one step; its directory is made if missing.

    Args:
        path: The file.
        content: All of it.
        force: Overwrite a file that holds something else.

    Raises:
        UsageError: A file with other content is there, and `force` is false.
        SweepError: It cannot be written.
    """
    try:
        if path.is_file() and not force and path.read_bytes() != content:
            raise UsageError(
                "a file with other content is in the way",
                where=str(path),
                next_step="name another file, or remove this one first",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise SweepError(
            "the file cannot be written", where=str(path), received=str(error)
        ) from error


def _umask() -> int:
    """The process's mask of permissions, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
