"""Small data sets in the published layouts, written by hand."""

import io
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.errors import DataError

BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))


def batch(images: int, seed: int) -> dict[bytes, Any]:
    """The content of one batch: random pixels, channels first, and labels."""
    rng = np.random.default_rng(seed)
    return {
        b"batch_label": f"batch {seed}".encode(),
        b"labels": [int(label) for label in rng.integers(0, 10, images)],
        b"data": rng.integers(0, 256, (images, 3072), dtype=np.uint8),
        b"filenames": [f"image_{index}.png".encode() for index in range(images)],
    }


def write_cifar(parent: Path, images: int = 4, protocol: int = 4, seed: int = 0) -> Path:
    """Write a whole `cifar-10-batches-py` of `images` per batch and return its path."""
    directory = parent / "cifar-10-batches-py"
    directory.mkdir(parents=True)
    for number, name in enumerate((*BATCHES, "test_batch")):
        content = pickle.dumps(batch(images, seed + number), protocol)
        (directory / name).write_bytes(content)
    meta = {b"num_cases_per_batch": images, b"label_names": [b"airplane"], b"num_vis": 3072}
    (directory / "batches.meta").write_bytes(pickle.dumps(meta, protocol))
    return directory


def pack(directory: Path, path: Path, folder: str = "cifar-10-batches-py") -> Path:
    """Write a `.tar.gz` with the files of `directory` in `folder`."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for file in sorted(directory.iterdir()):
            add(archive, f"{folder}/{file.name}", file.read_bytes())
    return path


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add one member to an archive."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def write_npz(path: Path, images: int = 10, test: int = 0, **replaced: object) -> Path:
    """Write a valid `.npz`, with some of its arrays replaced, or left out where None."""
    arrays: dict[str, object] = {
        "x_train": pixels(images, 1),
        "y_train": np.arange(images, dtype=np.uint8) % 10,
    }
    if test:
        arrays |= {"x_test": pixels(test, 2), "y_test": np.arange(test, dtype=np.uint8) % 10}
    arrays |= replaced
    kept: dict[str, Any] = {name: array for name, array in arrays.items() if array is not None}
    np.savez(path, **kept)
    return path


def refusal(function: Callable[..., object], *arguments: object) -> DataError | None:
    """The `DataError` that a call raises, None if it succeeds; any other error is let through."""
    try:
        function(*arguments)
    except DataError as error:
        return error
    return None


def pixels(images: int, seed: int) -> NDArray[np.uint8]:
    """Random images."""
    return np.random.default_rng(seed).integers(0, 256, (images, 32, 32, 3), dtype=np.uint8)


def python2_pickle(data: NDArray[np.uint8], labels: list[int]) -> bytes:
    """A batch as Python 2 and its numpy pickled it, protocol 2: strings are bytes."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    def integer(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    raw = data.tobytes()
    shape = integer(data.shape[0]) + integer(data.shape[1]) + b"\x86"
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + integer(0) + integer(1) + b"\x87R"
    byte_order = b"(" + integer(3) + text(b"|") + b"NNN" + integer(-1) * 2 + integer(0) + b"tb"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n"
        + (b"cnumpy\nndarray\n" + integer(0) + b"\x85" + text(b"b") + b"\x87Rq\x01")
        + (b"(" + integer(1) + shape + dtype + byte_order)
        + (b"\x89" + b"T" + struct.pack("<i", len(raw)) + raw + b"tb")
    )
    listed = b"](" + b"".join(integer(label) for label in labels) + b"e"
    return b"\x80\x02}q\x00(" + text(b"data") + array + text(b"labels") + listed + b"u."
