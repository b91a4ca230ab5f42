import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import pixels, refusal, write_npz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.data.npz import read_npz
from sweep.errors import DataError


def test_a_users_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    arrays = read_npz(write_npz(tmp_path / "own.npz", images=12, test=4))

    np.testing.assert_array_equal(arrays.train[0], pixels(12, 1))
    assert arrays.train[1].tolist() == [*range(10), 0, 1]
    assert arrays.test is not None
    np.testing.assert_array_equal(arrays.test[0], pixels(4, 2))
    assert arrays.classes == 10


def test_the_test_set_may_be_missing(tmp_path: Path) -> None:
    assert read_npz(write_npz(tmp_path / "own.npz")).test is None


SAME: dict[str, dict[str, Any]] = {
    "integers": {"x_train": pixels(10, 1).astype(np.int64)},
    "big-endian integers": {"x_train": pixels(10, 1).astype(">i2")},
    "floats to 255": {"x_train": pixels(10, 1).astype(np.float32)},
    "floats to 1": {"x_train": pixels(10, 1) / 255},
    "single floats to 1": {"x_train": (pixels(10, 1) / 255).astype(np.float32)},
    "Fortran order": {"x_train": np.asfortranarray(pixels(10, 1))},
    "column of labels": {"y_train": np.arange(10).reshape(10, 1)},
    "other arrays": {"notes": np.zeros(3)},
}


@pytest.mark.parametrize("name", SAME)
def test_other_types_of_the_same_data_decode_to_the_same(tmp_path: Path, name: str) -> None:
    plain = read_npz(write_npz(tmp_path / "plain.npz"))
    other = read_npz(write_npz(tmp_path / "other.npz", **SAME[name]))
    assert other.digest() == plain.digest()


def test_the_highest_label_of_either_set_makes_the_number_of_classes(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "own.npz", images=2, test=2, y_test=np.array([0, 6]))
    assert read_npz(path).classes == 7


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no images": ({"x_train": None}, "no array x_train"),
    "no labels": ({"y_train": None}, "no array y_train"),
    "test images alone": ({"x_test": pixels(2, 1)}, "no array y_test"),
    "test labels alone": ({"y_test": np.arange(2)}, "no array x_test"),
    "channels first": ({"x_train": np.zeros((10, 3, 32, 32), np.uint8)}, "wrong shape"),
    "grey images": ({"x_train": np.zeros((10, 32, 32), np.uint8)}, "wrong shape"),
    "no image": (
        {"x_train": np.zeros((0, 32, 32, 3), np.uint8), "y_train": np.zeros(0, int)},
        "wrong shape",
    ),
    "a number for images": ({"x_train": np.uint8(3)}, "wrong shape"),
    "text": ({"x_train": np.full((10, 32, 32, 3), "a")}, "wrong type"),
    "truth values": ({"x_train": np.ones((10, 32, 32, 3), bool)}, "wrong type"),
    "complex numbers": ({"x_train": np.zeros((10, 32, 32, 3), complex)}, "wrong type"),
    "too bright": ({"x_train": np.full((10, 32, 32, 3), 256)}, "out of range"),
    "negative": ({"x_train": np.full((10, 32, 32, 3), -1.0)}, "out of range"),
    "not a number": ({"x_train": np.full((10, 32, 32, 3), np.nan)}, "out of range"),
    "infinite": ({"x_train": np.full((10, 32, 32, 3), np.inf)}, "out of range"),
    "objects": ({"x_train": np.full((10, 32, 32, 3), None)}, "cannot be read"),
    "one-hot labels": ({"y_train": np.eye(10, dtype=int)}, "labels have the wrong shape"),
    "float labels": ({"y_train": np.arange(10.0)}, "labels have the wrong type"),
    "negative labels": ({"y_train": np.arange(10) - 1}, "labels are out of range"),
    "labels above 255": ({"y_train": np.arange(10) + 250}, "labels are out of range"),
    "one class": ({"y_train": np.zeros(10, int)}, "all labels are 0"),
    "too few labels": ({"y_train": np.arange(9)}, "differ in number"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arrays_are_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    arrays, reason = WRONG[name]
    path = write_npz(tmp_path / "own.npz", **arrays)
    with pytest.raises(DataError, match=reason) as raised:
        read_npz(path)
    assert str(path) in str(raised.value.where)


def test_more_classes_than_asked_are_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "own.npz", images=2, y_train=np.array([0, 10]))
    with pytest.raises(DataError, match="a label is out of range"):
        read_npz(path, classes=10)


def test_a_pickle_inside_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", pickle.dumps(pixels(1, 0)))
    with pytest.raises(DataError, match="cannot be read"):
        read_npz(path)


def test_a_header_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "|u1", "fortran_order": False, "shape": (2**50, 32, 32, 3)}
    )
    path = tmp_path / "own.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", buffer.getvalue())
    with pytest.raises(DataError, match="cannot be read"):
        read_npz(path)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04" + bytes(50)], ids=repr)
def test_what_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        read_npz(path)


def _whole() -> bytes:
    buffer = io.BytesIO()
    images = np.zeros((2, 32, 32, 3), np.uint8)
    np.savez_compressed(buffer, x_train=images, y_train=np.array([0, 1], np.uint8))
    return buffer.getvalue()


WHOLE = _whole()


# A damaged header may look like one that Python 2 wrote, of which numpy warns.
@pytest.mark.filterwarnings("ignore:Reading `.npy` or `.npz`:UserWarning")
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_damaged_files_give_a_data_error(tmp_path: Path, draw: st.DataObject) -> None:
    damaged = bytearray(WHOLE)
    for place in draw.draw(st.lists(st.integers(0, len(WHOLE) - 1), max_size=4)):
        damaged[place] = draw.draw(st.integers(0, 255))
    end = draw.draw(st.just(len(WHOLE)) | st.integers(0, len(WHOLE)))
    path = tmp_path / "damaged.npz"
    path.write_bytes(damaged[:end])
    error = refusal(read_npz, path)
    assert error is None or str(path) in str(error)


# As above.
@pytest.mark.filterwarnings("ignore:Reading `.npy` or `.npz`:UserWarning")
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_damaged_members_give_a_data_error(tmp_path: Path, draw: st.DataObject) -> None:
    """The same beneath the checksums of zip, which hide the headers from random damage."""
    path = tmp_path / "damaged.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in (
            ("x_train", np.zeros((2, 32, 32, 3), np.uint8)),
            ("y_train", np.array([0, 1], np.uint8)),
        ):
            buffer = io.BytesIO()
            np.save(buffer, array)
            damaged = bytearray(buffer.getvalue())
            for place in draw.draw(st.lists(st.integers(0, 127), max_size=3)):
                damaged[place] = draw.draw(st.integers(0, 255))
            archive.writestr(f"{name}.npy", bytes(damaged))
    error = refusal(read_npz, path)
    assert error is None or str(path) in str(error)
