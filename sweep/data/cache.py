"""Decoded data sets on this machine's disk, one copy of each, whatever source it came from.

    sources/KEY.json       which data set a source decodes to
    data/DIGEST/           the arrays as .npy files, with `entry.json`
    tmp/                   what a writer is at work on; rubbish if nobody holds the lock
    lock                   held by the one writer; the kernel lets go of it when the writer dies

Readers take no lock: a directory in `data/` is complete from the moment it has its name.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs

from sweep.data.arrays import Arrays
from sweep.errors import DataError

CACHE_VARIABLE = "SWEEP_CACHE_DIR"
FORMAT = 1

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A decoded data set in the cache.

    Attributes:
        directory: Holds the `.npy` files.
        digest: `Arrays.digest` of the whole data set.
        train_images: Number of images in the training archive.
        classes: Number of classes.
    """

    directory: Path
    digest: str
    train_images: int
    classes: int


def default_cache_dir() -> Path:
    """`SWEEP_CACHE_DIR`, or the user's cache directory of this system."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(os.path.expanduser(chosen)) if chosen else platformdirs.user_cache_path("sweep")


class Cache:
    """The cache in one directory, used by any number of processes at the same time."""

    def __init__(self, root: Path) -> None:
        """Use `root`, which is made when the first data set is written."""
        self.root = root

    def find(self, key: str) -> Entry | None:
        """The data set that the source `key` decodes to, if it is here and whole."""
        source = _read_json(self._source_path(key))
        digest = source.get("data")
        return self._entry(digest) if isinstance(digest, str) else None

    def obtain(self, key: str, load: Callable[[Path], Arrays], progress: Progress) -> Entry:
        """The data set of the source `key`, loaded and written if it is not here yet.

        Args:
            key: Digest of the source's content; a file name.
            load: Makes the arrays; it is given an empty directory for its own temporary files.
            progress: Told in one line what takes long.

        Raises:
            DataError: `load` failed, or the cache directory cannot be written.
        """
        found = self.find(key)
        if found is not None:
            return found
        try:
            with self._lock(progress):
                found = self.find(key)
                return found if found is not None else self._write(key, load)
        except OSError as error:
            raise DataError(
                "the data cache cannot be written",
                where=str(self.root),
                received=str(error),
                next_step=f"set {CACHE_VARIABLE} to a directory with room for 400 MB",
            ) from error

    def _write(self, key: str, load: Callable[[Path], Arrays]) -> Entry:
        temporary = self.root / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        scratch, staged = temporary / "scratch", temporary / "staged"
        scratch.mkdir(parents=True)
        staged.mkdir()
        arrays = load(scratch)
        digest = arrays.digest()
        if self._entry(digest) is None:
            for name, array in arrays.files().items():
                with (staged / name).open("wb") as file:
                    np.save(file, array, allow_pickle=False)
                    file.flush()
                    os.fsync(file.fileno())
            _write_json(
                staged / "entry.json",
                {
                    "digest": digest,
                    "train_images": len(arrays.train[0]),
                    "classes": arrays.classes,
                    "bytes": {name: (staged / name).stat().st_size for name in arrays.files()},
                },
            )
            directory = self._directory(digest)
            directory.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(directory, ignore_errors=True)
            staged.rename(directory)
        source = temporary / "source.json"
        _write_json(source, {"data": digest})
        self._source_path(key).parent.mkdir(parents=True, exist_ok=True)
        source.rename(self._source_path(key))
        shutil.rmtree(temporary)
        entry = self._entry(digest)
        if entry is None:
            raise DataError("the data cache lost what was just written", where=str(self.root))
        return entry

    def _entry(self, digest: str) -> Entry | None:
        directory = self._directory(digest)
        match _read_json(directory / "entry.json"):
            case {
                "digest": str(whole),
                "train_images": int(train_images),
                "classes": int(classes),
                "bytes": dict(sizes),
            } if whole == digest and all(
                _size(directory / name) == size for name, size in sizes.items()
            ):
                return Entry(directory, digest, train_images, classes)
        return None

    def _directory(self, digest: str) -> Path:
        return self.root / "data" / digest

    def _source_path(self, key: str) -> Path:
        return self.root / "sources" / f"{key}-v{FORMAT}.json"

    @contextmanager
    def _lock(self, progress: Progress) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress("waiting for another process that prepares data")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _read_json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write_json(path: Path, value: dict[str, object]) -> None:
    with path.open("wb") as file:
        file.write(json.dumps(value).encode())
        file.flush()
        os.fsync(file.fileno())
