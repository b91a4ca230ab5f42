"""A checkpoint as bytes: it comes back exactly, or it is refused."""

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweep.data import DataRef
from sweep.engines.checkpoint import MAGIC, Checkpoint, Owner
from sweep.errors import CheckpointError
from sweep.trial import TrialConfig, TrialTask

DATA = DataRef(Path("data"), "few", False, "da7a", (0, 5), (5, 8), classes=10)
TASK = TrialTask(3, TrialConfig(width=7), seed=11)
OWNER = Owner.of("fused", "tensorflow", "float32", TASK, DATA)


def checkpoint(**changes: object) -> Checkpoint:
    generator = np.random.default_rng(1)
    made = Checkpoint(
        owner=OWNER,
        epoch=4,
        seconds=12.5,
        device="cpu:0",
        state={"rate": 0.1 + 0.2, "best": [None, 3, 1], "large": 1 << 127, "none": None},
        arrays={
            "state/weights/first": generator.normal(size=(1, 3, 4)).astype(np.float32),
            "state/seed": np.asarray([2**63 - 1, -1]),
            "number": np.asarray(0.1),
        },
        remark="unusual: äöü",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_all_of_it_comes_back_bit_for_bit() -> None:
    written = checkpoint()
    read = Checkpoint.from_bytes(written.to_bytes())
    assert replace(read, arrays={}) == replace(written, arrays={})
    assert read.arrays.keys() == written.arrays.keys()
    for name, array in written.arrays.items():
        assert read.arrays[name].dtype == array.dtype
        assert read.arrays[name].shape == array.shape
        assert read.arrays[name].tobytes() == array.tobytes()


def test_nothing_damaged_is_read() -> None:
    content = checkpoint().to_bytes()
    dice = random.Random(5)
    damaged = [content[: dice.randrange(len(content))] for _ in range(100)]
    damaged += [content + b"\0", b"", MAGIC, b"PK\3\4" + content]
    for _ in range(300):
        place, bit = dice.randrange(len(content)), 1 << dice.randrange(8)
        damaged.append(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
    for bytes_ in damaged:
        with pytest.raises(CheckpointError):
            Checkpoint.from_bytes(bytes_)


def test_another_version_is_told_by_its_name() -> None:
    content = checkpoint().to_bytes().replace(MAGIC + b"1\n", MAGIC + b"2\n", 1)
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.from_bytes(content)
    assert caught.value.what == "the checkpoint was written by another version of sweep"
    assert (caught.value.expected, caught.value.received) == ("format 1", "format 2")


class Command:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("ran"),))


def test_reading_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="allow_pickle"):
        checkpoint(arrays={"a": np.asarray([Command()])}).to_bytes()
    savez = np.savez
    monkeypatch.setattr(
        np, "savez", lambda file, **arrays: savez(file, **(arrays | {"allow_pickle": True}))
    )
    content = checkpoint(arrays={"a": np.asarray([Command()])}).to_bytes()
    with pytest.raises(CheckpointError, match="not understood"):
        Checkpoint.from_bytes(content)
    assert not Path("ran").exists()


def test_a_header_with_other_fields_is_not_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    dumps = json.dumps
    monkeypatch.setattr(json, "dumps", lambda header: dumps(header | {"more": 1}))
    content = checkpoint().to_bytes()
    with pytest.raises(CheckpointError, match="not understood"):
        Checkpoint.from_bytes(content)


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (Owner.of("reference", "tensorflow", "float32", TASK, DATA), "engine"),
        (Owner.of("fused", "jax", "float32", TASK, DATA), "backend"),
        (Owner.of("fused", "tensorflow", "float64", replace(TASK, seed=12), DATA),
         "precision and seed"),
        (Owner.of("fused", "tensorflow", "float32", replace(TASK, config=TrialConfig()), DATA),
         "config"),
        (Owner.of("fused", "tensorflow", "float32", TASK, replace(DATA, fingerprint="0")), "data"),
    ],
)  # fmt: skip
def test_it_belongs_to_one_trial_alone(other: Owner, names: str) -> None:
    checkpoint().must_belong_to(OWNER)
    with pytest.raises(CheckpointError) as caught:
        checkpoint().must_belong_to(other)
    assert caught.value.what == f"the checkpoint belongs to another {names}"


def test_what_changes_nothing_in_training_makes_no_other_owner() -> None:
    moved = replace(DATA, directory=Path("elsewhere"))
    renumbered = replace(TASK, number=9, config=replace(TASK.config, nesterov=True), attempt=2)
    assert Owner.of("fused", "tensorflow", "float32", renumbered, moved) == OWNER


def test_other_arrays_are_refused() -> None:
    made = checkpoint()
    assert made.arrays_like(made.arrays).keys() == made.arrays.keys()
    for changes in (
        {"number": np.asarray(0.1, np.float32)},
        {"number": np.zeros(1)},
        {"more": np.zeros(1)},
    ):
        (name,) = changes
        with pytest.raises(CheckpointError) as caught:
            made.arrays_like({**made.arrays, **changes})
        assert caught.value.received == f"these differ: {name}"
