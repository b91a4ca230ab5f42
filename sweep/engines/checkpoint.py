"""What a trial needs to go on after an epoch, in memory and as bytes.

The bytes: `MAGIC`, the version, a newline; the SHA-256 digest of the rest, 32 bytes; then numpy's
`.npz` of the arrays, of which `header` is JSON. Nothing damaged passes, and reading runs no code.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sweep.data import DataRef
from sweep.errors import CheckpointError
from sweep.trial import TrialTask

Array = npt.NDArray[Any]

MAGIC: Final = b"sweep checkpoint "
VERSION: Final = b"1"
_HEADER = "header"
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Owner:
    """What a checkpoint belongs to. Whatever differs here would train on to other figures.

    Attributes:
        engine: Name of the engine.
        backend: What it computes with.
        precision: Type of its numbers.
        config: Fingerprint of the trial's configuration.
        seed: The trial's seed.
        data: Fingerprint of images and splits.
    """

    engine: str
    backend: str
    precision: str
    config: str
    seed: int
    data: str

    @classmethod
    def of(
        cls, engine: str, backend: str, precision: str, task: TrialTask, data: DataRef
    ) -> "Owner":
        """The owner of a trial's checkpoints."""
        config = task.config.fingerprint()
        return cls(engine, backend, precision, config, task.seed, data.fingerprint)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trial between two epochs.

    Attributes:
        owner: What it belongs to.
        epoch: Epochs trained.
        seconds: Wall time since its first admission, breaks left out.
        device: Where it was trained, for example `cpu:0`.
        state: What else the host knows of it, in the types of JSON.
        arrays: What the device knows of it, by name.
        remark: What was unusual in its training so far; empty if nothing was.
    """

    owner: Owner
    epoch: int
    seconds: float
    device: str
    state: Mapping[str, Any]
    arrays: Mapping[str, Array]
    remark: str = ""

    def must_belong_to(self, owner: Owner) -> None:
        """Make sure that a trial of this owner can go on from here.

        Raises:
            CheckpointError: It belongs to something else.
        """
        names = [f.name for f in fields(Owner)]
        differ = [n for n in names if getattr(self.owner, n) != getattr(owner, n)]
        if differ:
            raise CheckpointError(
                "the checkpoint belongs to another " + " and ".join(differ),
                expected=", ".join(f"{n} {getattr(owner, n)}" for n in differ),
                received=", ".join(f"{n} {getattr(self.owner, n)}" for n in differ),
            )

    def arrays_like(self, expected: Mapping[str, Array]) -> dict[str, Array]:
        """Its arrays, which must have these names, shapes and types.

        Raises:
            CheckpointError: They have others.
        """
        differ = [
            name
            for name in self.arrays.keys() | expected.keys()
            if name not in self.arrays
            or name not in expected
            or self.arrays[name].shape != expected[name].shape
            or self.arrays[name].dtype != expected[name].dtype
        ]
        if differ:
            raise CheckpointError(
                "the checkpoint holds other arrays than the trial has",
                received="these differ: " + ", ".join(sorted(differ)),
            )
        return dict(self.arrays)

    def to_bytes(self) -> bytes:
        """The checkpoint as `from_bytes` takes it."""
        header = {name: getattr(self, name) for name in _HEADER_FIELDS}
        header["owner"] = {f.name: getattr(self.owner, f.name) for f in fields(Owner)}
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        body = io.BytesIO()
        np.savez(body, allow_pickle=False, **{_HEADER: text}, **self.arrays)
        payload = body.getbuffer()
        return b"".join([MAGIC, VERSION, b"\n", hashlib.sha256(payload).digest(), payload])

    @classmethod
    def from_bytes(cls, content: bytes) -> "Checkpoint":
        """Read what `to_bytes` gave.

        Raises:
            CheckpointError: The bytes are damaged, or were written by another version.
        """
        payload = _checked(content)
        try:
            with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            header = json.loads(arrays.pop(_HEADER).tobytes())
            owner = Owner(**header.pop("owner"))
            return cls(owner=owner, arrays=arrays, **header)
        except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise CheckpointError(
                "the checkpoint is not understood", received=f"{type(error).__name__}: {error}"
            ) from error


_HEADER_FIELDS = [f.name for f in fields(Checkpoint) if f.name not in ("owner", "arrays")]


def _checked(content: bytes) -> memoryview:
    """The payload of a file that has the right beginning and the right digest."""
    line, _, _ = content[: len(MAGIC) + 20].partition(b"\n")
    if not line.startswith(MAGIC):
        raise CheckpointError("the checkpoint is damaged", received="another kind of file")
    if line != MAGIC + VERSION:
        raise CheckpointError(
            "the checkpoint was written by another version of sweep",
            expected=f"format {VERSION.decode()}",
            received=f"format {line.removeprefix(MAGIC).decode(errors='replace')}",
        )
    start = len(line) + 1 + _DIGEST_BYTES
    payload = memoryview(content)[start:]
    if hashlib.sha256(payload).digest() != content[start - _DIGEST_BYTES : start]:
        raise CheckpointError("the checkpoint is damaged", received="another digest than it had")
    return payload
