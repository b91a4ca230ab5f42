"""Where CIFAR-10 and other data may be on this machine."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sweep.data import cifar10
from sweep.data.arrays import Arrays
from sweep.data.npz import read_npz
from sweep.errors import DataError

DATA_VARIABLE = "SWEEP_DATA_DIR"


@dataclass(frozen=True, slots=True)
class Source:
    """A place that seems to hold a data set.

    Attributes:
        path: File or directory.
        kind: How it is decoded; part of the key.
        files: The files whose content decides what it decodes to.
        load: Decodes it; raises `DataError`.
    """

    path: Path
    kind: str
    files: tuple[Path, ...]
    load: Callable[[], Arrays]

    def key(self) -> str:
        """Kind and SHA-256 of the content; of a single file, the file's own SHA-256.

        Raises:
            DataError: A file cannot be read.
        """
        try:
            digests = [_sha256(file) for file in self.files]
        except OSError as error:
            raise DataError(
                "a data file cannot be read", where=str(self.path), received=str(error)
            ) from error
        if len(digests) > 1:
            digests = [hashlib.sha256(" ".join(digests).encode()).hexdigest()]
        return f"{self.kind}-{digests[0]}"


def npz_source(path: Path) -> Source:
    """A user's own `.npz` file."""
    return Source(path, "npz", (path,), lambda: read_npz(path))


def archive_key(sha256: str) -> str:
    """The key of a CIFAR-10 archive with this checksum."""
    return f"cifar10-archive-{sha256}"


def cifar10_in(path: Path) -> Source:
    """CIFAR-10 in a place that the user named.

    Args:
        path: `cifar-10-batches-py` or the directory that holds it, the `.tar.gz` or the `.npz`,
            or a directory that holds one of these.

    Raises:
        DataError: There is nothing of the kind, or more than one.
    """
    if path.is_file():
        return _file_source(path)
    for directory in (path / cifar10.DIRECTORY, path):
        if any((directory / name).is_file() for name in cifar10.MEMBERS):
            return _directory_source(directory)
    for pattern in (cifar10.ARCHIVE, "*.tar.gz", "*.npz"):
        found = sorted(file for file in path.glob(pattern) if file.is_file())
        if len(found) == 1:
            return _file_source(found[0])
        if found:
            raise DataError(
                "it is not clear which file is meant",
                where=str(path),
                expected=f"one {pattern}",
                received=", ".join(file.name for file in found)[:200],
                next_step="name the file itself",
            )
    raise DataError(
        "the data directory holds no CIFAR-10",
        where=str(path),
        expected=f"{cifar10.DIRECTORY}, {cifar10.ARCHIVE} or an .npz file",
        received="nothing of the kind" if path.is_dir() else "no such file or directory",
        next_step=f"correct --data-dir or {DATA_VARIABLE}, or leave it out to download CIFAR-10",
    )


def cifar10_in_keras_cache() -> list[Source]:
    """What Keras may have left behind, newest layout first; `KERAS_HOME` is respected."""
    home = os.environ.get("KERAS_HOME") or os.path.join("~", ".keras")
    datasets = Path(os.path.expanduser(home)) / "datasets"
    unpacked = (
        datasets / f"{cifar10.DIRECTORY}-target" / cifar10.DIRECTORY,
        datasets / cifar10.DIRECTORY,
    )
    archives = (
        datasets / f"{cifar10.DIRECTORY}-target_archive",
        datasets / f"{cifar10.DIRECTORY}.tar.gz",
        datasets / cifar10.ARCHIVE,
    )
    return [
        *(
            _directory_source(path)
            for path in unpacked
            if any((path / name).is_file() for name in cifar10.MEMBERS)
        ),
        *(_archive_source(path) for path in archives if path.is_file()),
    ]


def _file_source(path: Path) -> Source:
    if path.name.endswith(".npz"):
        return Source(
            path, "cifar10-npz", (path,), lambda: read_npz(path, classes=cifar10.CLASSES)
        )
    if path.name.endswith((".tar.gz", ".tgz")):
        return _archive_source(path)
    raise DataError(
        "the data file has an unknown name",
        where=str(path),
        expected="a name that ends in .tar.gz, .tgz or .npz",
    )


def _archive_source(path: Path) -> Source:
    return Source(path, "cifar10-archive", (path,), lambda: cifar10.read_archive(path))


def _directory_source(path: Path) -> Source:
    files = tuple(path / name for name in cifar10.MEMBERS if (path / name).exists())
    return Source(path, "cifar10-directory", files, lambda: cifar10.read_directory(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
