"""Where the checkpoints of a study's trials are kept: behind Optuna's artifact store interface.

In files of this machine or of a disk that many share, or in an S3-compatible store.
"""

import io
import os
import re
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from sweep.errors import CheckpointError, SweepError
from sweep.executors.s3_address import S3Address, is_s3

if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class WholeFiles(FileSystemArtifactStore):
    """Files that are complete or absent, whenever the process or the machine stops."""

    def __init__(self, directory: Path) -> None:
        """Keep files in `directory`, which is made when the first one is written."""
        super().__init__(directory)
        self._directory = directory

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Write a file beside the old one, and put it in its place when the disk has it.

        Raises:
            ValueError: The id would lead out of the directory.
        """
        _must_be_name(artifact_id)
        self._directory.mkdir(parents=True, exist_ok=True)
        partial = self._directory / f".{artifact_id}.{uuid.uuid4().hex}.partial"
        try:
            super().write(partial.name, content_body)
            _sync(partial)
            os.replace(partial, self._directory / artifact_id)
            _sync(self._directory)
        finally:
            partial.unlink(missing_ok=True)

    def remove(self, artifact_id: str) -> None:
        """Remove a file, and what writers that were killed left of it.

        Raises:
            ArtifactNotFound: There is no such file.
            ValueError: The id would lead out of the directory.
        """
        _must_be_name(artifact_id)
        for partial in self._directory.glob(f".{artifact_id}.*.partial"):
            partial.unlink(missing_ok=True)
        super().remove(artifact_id)


class Checkpoints:
    """Reads, writes and removes checkpoints by name.

    A trial has two names, used in turn: the last checkpoint is not touched while the next one is
    written, and nothing has to be listed to be removed.
    """

    def __init__(self, store: "ArtifactStore") -> None:
        """Keep them in `store`."""
        self._store = store

    @classmethod
    def at(cls, place: str) -> "Checkpoints":
        """Those in a directory, or under an address of S3.

        Raises:
            UsageError: The address cannot be read, or S3 cannot be used here.
        """
        if not is_s3(place):
            return cls(WholeFiles(Path(place)))
        from sweep.executors.s3 import S3Objects

        return cls(S3Objects(S3Address.parse(place)))

    def write(self, name: str, content: bytes) -> None:
        """Write a checkpoint over the older one of its name.

        Raises:
            CheckpointError: It cannot be written; the older one is still there.
        """
        try:
            _must_be_name(name)
            self._store.write(name, io.BytesIO(content))
        except Exception as error:
            raise _failed("a checkpoint cannot be written", name, error) from error

    def read(self, name: str) -> bytes:
        """The bytes of a checkpoint.

        Raises:
            CheckpointError: There is none, or it cannot be read.
        """
        try:
            _must_be_name(name)
            with self._store.open_reader(name) as reader:
                return reader.read()
        except ArtifactNotFound as error:
            raise CheckpointError("the checkpoint is missing", where=name) from error
        except Exception as error:
            raise _failed("the checkpoint cannot be read", name, error) from error

    def remove(self, number: int) -> None:
        """Remove all of a trial, if there are any.

        Raises:
            CheckpointError: They cannot be removed.
        """
        for name in _names(number):
            try:
                with suppress(ArtifactNotFound):
                    self._store.remove(name)
            except Exception as error:
                raise _failed("a checkpoint cannot be removed", name, error) from error


def next_name(number: int, last: str | None) -> str:
    """The name of a trial's next checkpoint.

    Args:
        number: Number of the trial.
        last: Name of its last one; None before the first.
    """
    first, second = _names(number)
    return second if last == first else first


def _names(number: int) -> tuple[str, str]:
    return f"checkpoint-{number}-a", f"checkpoint-{number}-b"


def _must_be_name(name: str) -> None:
    """Let none lead out of the store: it may come from a database that others write to."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an artifact")


def _failed(what: str, name: str, error: Exception) -> CheckpointError:
    if isinstance(error, SweepError):
        parts = (error.what, error.where, error.received)
        return CheckpointError(what, where=name, received=", ".join(filter(None, parts)))
    return CheckpointError(what, where=name, received=f"{type(error).__name__}: {error}")


def _sync(path: Path) -> None:
    """Wait until a file or the entries of a directory are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
