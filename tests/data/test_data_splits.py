import json
from pathlib import Path

import numpy as np
import pytest
from data_files import pixels, write_npz
from hypothesis import given
from hypothesis import strategies as st

from sweep.data import DataRef, open_split, prepare
from sweep.data.preparation import _split
from sweep.errors import DataError
from sweep.spec.model import DataSpec, ValidationSpec


def run(spec: DataSpec) -> DataRef:
    return prepare(spec, data_dir=None, progress=lambda _: None)


def test_splits_are_mapped_not_read(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "own.npz", images=10, test=3)
    ref = run(DataSpec(name=str(path), validation=ValidationSpec(take="first", images=4)))
    images = pixels(10, 1)
    for name, expected in (("train", images[4:]), ("validation", images[:4])):
        split = open_split(ref, name)
        assert isinstance(split.images, np.memmap)
        assert split.images.dtype == split.labels.dtype == np.uint8
        np.testing.assert_array_equal(split.images, expected)
        assert len(split) == len(expected)
    assert open_split(ref, "train").labels.tolist() == [4, 5, 6, 7, 8, 9]


def test_a_write_to_a_split_stays_in_the_process(tmp_path: Path) -> None:
    ref = run(DataSpec(name=str(write_npz(tmp_path / "own.npz"))))
    split = open_split(ref, "train")
    split.images[:] = 0
    assert open_split(ref, "train").images.any()


def test_data_without_a_test_set_says_so(tmp_path: Path) -> None:
    ref = run(DataSpec(name=str(write_npz(tmp_path / "own.npz"))))
    with pytest.raises(DataError, match="no test split"):
        open_split(ref, "test")


@pytest.mark.parametrize("damage", ["removed", "truncated", "empty"])
def test_a_split_whose_file_is_damaged_says_what_to_remove(tmp_path: Path, damage: str) -> None:
    ref = run(DataSpec(name=str(write_npz(tmp_path / "own.npz"))))
    file = ref.directory / "train_images.npy"
    content = file.read_bytes()
    file.unlink()
    if damage != "removed":
        file.write_bytes(content[:-1] if damage == "truncated" else b"")
    with pytest.raises(DataError, match="cannot be opened") as raised:
        open_split(ref, "train")
    assert str(ref.directory) in str(raised.value.next_step)


@pytest.mark.parametrize(
    ("validation", "limit", "train", "held_out"),
    [
        ({}, None, (0, 40_000), (40_000, 50_000)),
        ({"take": "first", "images": 5_000}, None, (5_000, 50_000), (0, 5_000)),
        ({"share": 0.1}, None, (0, 45_000), (45_000, 50_000)),
        ({"share": 0.9, "images": 1}, None, (0, 49_999), (49_999, 50_000)),
        ({}, 1_000, (0, 1_000), (40_000, 50_000)),
        ({"take": "first"}, 1_000, (10_000, 11_000), (0, 10_000)),
        ({}, 45_000, (0, 40_000), (40_000, 50_000)),
    ],
)
def test_the_validation_split_is_where_it_was_asked(
    validation: dict[str, object],
    limit: int | None,
    train: tuple[int, int],
    held_out: tuple[int, int],
) -> None:
    spec = DataSpec(validation=ValidationSpec.model_validate(validation), train_images=limit)
    assert _split(spec, 50_000) == (train, held_out)


@given(
    st.integers(1, 1000),
    st.sampled_from(["first", "last"]),
    st.floats(0, 1, exclude_min=True, exclude_max=True),
    st.none() | st.integers(1, 1200),
    st.none() | st.integers(1, 1200),
)
def test_splits_share_no_image_and_leave_something(
    images: int, take: str, share: float, held_out: int | None, limit: int | None
) -> None:
    validation = ValidationSpec.model_validate({"take": take, "share": share, "images": held_out})
    spec = DataSpec(validation=validation, train_images=limit)
    asked = held_out if held_out is not None else round(share * images)
    if not 0 < asked < images:
        with pytest.raises(DataError, match="the split"):
            _split(spec, images)
        return
    (a, b), (c, d) = _split(spec, images)
    assert 0 <= a < b <= images
    assert 0 <= c < d <= images
    assert b <= c or d <= a
    assert d - c == asked
    assert limit is None or b - a <= limit


def test_the_fingerprint_covers_images_labels_and_splits(tmp_path: Path) -> None:
    images, test = pixels(10, 1), {"x_test": pixels(2, 2), "y_test": np.arange(2)}
    changed = images.copy()
    changed[9, 31, 31, 2] ^= 1
    labels = np.arange(10)
    variants = {
        "plain": ({}, {}),
        "image": ({"x_train": changed}, {}),
        "label": ({"y_train": labels[::-1]}, {}),
        "test set": (test, {}),
        "test label": (test | {"y_test": np.array([1, 0])}, {}),
        "share": ({}, {"share": 0.3}),
        "place": ({}, {"take": "first"}),
        "limit": ({}, {"limit": 3}),
    }
    fingerprints = {}
    for name, (arrays, options) in variants.items():
        path = write_npz(tmp_path / f"{name}.npz", **arrays)
        limit = options.pop("limit", None)
        spec = DataSpec(
            name=str(path),
            validation=ValidationSpec.model_validate(options),
            train_images=limit,
        )
        fingerprints[name] = run(spec).fingerprint
    assert len(set(fingerprints.values())) == len(variants), json.dumps(fingerprints, indent=1)
    copy = write_npz(tmp_path / "copy.npz", x_train=images.astype(np.float32))
    assert run(DataSpec(name=str(copy))).fingerprint == fingerprints["plain"]
