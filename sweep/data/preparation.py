"""From a study's `data` section to data that every worker can map."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from sweep.data import cifar10, locate, synthetic
from sweep.data.arrays import Arrays
from sweep.data.cache import Cache, Entry, Progress, default_cache_dir
from sweep.data.download import Published, download
from sweep.data.reference import DataRef
from sweep.errors import DataError
from sweep.spec.model import DataSpec

PUBLISHED = Published(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    size_bytes=170_498_071,
)


@dataclass(frozen=True, slots=True)
class _Nowhere:
    """CIFAR-10 cannot be had; one line for each place tried."""

    reasons: tuple[str, ...]


def prepare(
    spec: DataSpec,
    *,
    data_dir: Path | None,
    cache_dir: Path | None = None,
    progress: Progress,
) -> DataRef:
    """Find the data, decode it unless this machine has done so before, and split it.

    CIFAR-10 is looked for in `data_dir` or `SWEEP_DATA_DIR` alone if one is given, otherwise in
    Keras's cache and then at its publisher's.

    Args:
        spec: What to train on.
        data_dir: Where the user says CIFAR-10 is; None for `SWEEP_DATA_DIR` or nowhere.
        cache_dir: Where decoded data is kept; None for `SWEEP_CACHE_DIR` or the user's cache.
        progress: Told in one line whatever takes long or is not as asked.

    Raises:
        DataError: The data is missing, damaged, unsafe or of the wrong shape, or the split leaves
            nothing to train on.
    """
    cache = Cache(cache_dir or default_cache_dir())
    chosen = data_dir or os.environ.get(locate.DATA_VARIABLE) or None
    place = None if chosen is None else Path(os.path.expanduser(chosen))
    try:
        return _prepare(spec, place, cache, progress)
    except OSError as error:
        raise DataError("the data cannot be looked for", received=str(error)) from error


def _prepare(spec: DataSpec, data_dir: Path | None, cache: Cache, progress: Progress) -> DataRef:
    if spec.name == "synthetic":
        return _reference(spec, _synthetic(cache, progress), "synthetic", is_fallback=False)
    if spec.name != "cifar10":
        path = _npz_path(spec.name, data_dir)
        return _reference(
            spec, _obtain(cache, locate.npz_source(path), progress), path.name, is_fallback=False
        )
    found = _cifar10(cache, data_dir, progress)
    if isinstance(found, Entry):
        return _reference(spec, found, "cifar10", is_fallback=False)
    if spec.fallback == "none":
        raise DataError(
            "CIFAR-10 cannot be had",
            received="; ".join(found.reasons),
            next_step=f"put {cifar10.DIRECTORY} or {cifar10.ARCHIVE} into a directory and name it "
            f"with --data-dir or {locate.DATA_VARIABLE}, or use `data.fallback: synthetic`",
        )
    for reason in found.reasons:
        progress(f"no CIFAR-10: {reason}")
    progress(
        "NOT CIFAR-10: this study trains on SYNTHETIC images instead, because CIFAR-10 cannot be "
        "had; its figures say nothing about CIFAR-10"
    )
    return _reference(spec, _synthetic(cache, progress), "synthetic", is_fallback=True)


def _cifar10(cache: Cache, data_dir: Path | None, progress: Progress) -> Entry | _Nowhere:
    if data_dir is not None:
        return _obtain(cache, locate.cifar10_in(data_dir), progress)
    reasons = []
    for source in locate.cifar10_in_keras_cache():
        try:
            return _obtain(cache, source, progress)
        except DataError as error:
            reasons.append(_line(error))
            progress(f"Keras's cache is of no use: {_line(error)}")
    if not reasons:
        reasons.append("Keras's cache has no copy")

    def fetch(scratch: Path) -> Arrays:
        path = scratch / cifar10.ARCHIVE
        download(PUBLISHED, path, progress)
        progress("decoding CIFAR-10")
        return cifar10.read_archive(path)

    try:
        return cache.obtain(locate.archive_key(PUBLISHED.sha256), fetch, progress)
    except DataError as error:
        return _Nowhere((*reasons, _line(error)))


def _obtain(cache: Cache, source: locate.Source, progress: Progress) -> Entry:
    def decode(_: Path) -> Arrays:
        progress(f"decoding {source.path}")
        return source.load()

    return cache.obtain(source.key(), decode, progress)


def _synthetic(cache: Cache, progress: Progress) -> Entry:
    def make(_: Path) -> Arrays:
        progress("making synthetic images")
        return synthetic.make()

    return cache.obtain(f"synthetic-{synthetic.VERSION}", make, progress)


def _npz_path(name: str, data_dir: Path | None) -> Path:
    path = Path(os.path.expanduser(name))
    if path.suffix != ".npz":
        raise DataError(
            "there is no such data set",
            where="data.name",
            expected="cifar10, synthetic, or the path of an .npz file",
            received=name,
        )
    if not path.is_file() and data_dir is not None and (data_dir / path).is_file():
        path = data_dir / path
    if not path.is_file():
        raise DataError("the .npz file does not exist", where="data.name", received=str(path))
    return path


def _reference(spec: DataSpec, entry: Entry, name: str, *, is_fallback: bool) -> DataRef:
    train, validation = _split(spec, entry.train_images)
    text = f"{entry.digest} train {train} validation {validation}"
    return DataRef(
        directory=entry.directory,
        name=name,
        is_fallback=is_fallback,
        fingerprint=hashlib.sha256(text.encode()).hexdigest(),
        train=train,
        validation=validation,
        classes=entry.classes,
    )


def _split(spec: DataSpec, images: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and one past the last index of the training and the validation split."""
    asked = spec.validation
    held_out = asked.images if asked.images is not None else round(images * asked.share)
    if not 0 < held_out < images:
        raise DataError(
            "the split leaves nothing to train on" if held_out else "the split validates nothing",
            where="data.validation",
            expected=f"1 to {images - 1} of the {images} training images",
            received=str(held_out),
        )
    start, stop = (held_out, images) if asked.take == "first" else (0, images - held_out)
    validation = (0, held_out) if asked.take == "first" else (images - held_out, images)
    if spec.train_images is not None:
        stop = min(stop, start + spec.train_images)
    return (start, stop), validation


def _line(error: DataError) -> str:
    parts = (error.what, error.where, error.received)
    return ": ".join(part for part in parts if part)
