import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import batch, python2_pickle, refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.data import pickles
from sweep.errors import DataError

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.binary()
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.binary(max_size=5) | st.text(max_size=5) | st.integers(), inner)
        | st.tuples(inner, inner, inner, inner)
        | st.tuples(inner)
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(plain, st.integers(0, 5))
def test_plain_data_comes_back_as_it_was(value: object, protocol: int) -> None:
    assert pickles.load(pickle.dumps(value, protocol), "here") == value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["u1", "<i4", ">i4", "<f8", "?", "f2"])
def test_arrays_come_back_as_they_were(protocol: int, dtype: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    value = {"c": array, "fortran": np.asfortranarray(array), "again": array, "empty": array[:0]}

    loaded: Any = pickles.load(pickle.dumps(value, protocol), "here")

    for name, expected in value.items():
        assert loaded[name].dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(loaded[name], expected)


def test_the_pickles_of_python_2_are_read() -> None:
    data = np.arange(2 * 3072, dtype=np.uint16).astype(np.uint8).reshape(2, 3072)

    loaded: Any = pickles.load(python2_pickle(data, [3, 9]), "here")

    np.testing.assert_array_equal(loaded[b"data"], data)
    assert loaded[b"labels"] == [3, 9]


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_code_runs_none(tmp_path: Path, protocol: int) -> None:
    target = tmp_path / "made by the pickle"
    attack = pickle.dumps({b"data": Call(os.mkdir, str(target))}, protocol)

    with pytest.raises(DataError, match=r"posix\.mkdir") as raised:
        pickles.load(attack, "data_batch_1")

    assert not target.exists()
    assert raised.value.where == "data_batch_1"
    assert raised.value.next_step is not None
    pickle.loads(attack)
    assert target.exists(), "the attack must work on Python's own unpickler"


@pytest.mark.parametrize(
    "value",
    [
        Call(eval, "1"),
        Call(np.load, "file.npy"),
        Call(np.frombuffer, b"1234"),
        np.float64(1.5),
        np.array([object()]),
        np.zeros(2, "U3"),
        np.zeros(2, "i4,f8"),
        np.zeros(2, "M8[s]"),
        {1, 2},
        frozenset([1]),
        Path("x"),
        complex(1, 2),
        len,
        DataError,
    ],
    ids=lambda value: type(value).__name__,
)
def test_everything_else_is_refused(value: object) -> None:
    with pytest.raises(DataError):
        pickles.load(pickle.dumps(value), "here")


LIES = {
    "array larger than its bytes": (b"(I1\n(I9\nI9\nt", b"I00\nC\x01xt"),
    "array with a negative size": (b"(I1\n(I-1\nt", b"I00\nC\x01xt"),
    "array of 2^70 numbers": (b"(I1\n(I99999999999999999999999\nt", b"I00\nC\x01xt"),
}


@pytest.mark.parametrize("name", LIES)
def test_an_array_that_lies_about_its_size_is_refused(name: str) -> None:
    shape, rest = LIES[name]
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntC\x01btR"
    dtype = b"cnumpy\ndtype\n(C\x02u1I0\nI1\ntR"
    with pytest.raises(DataError):
        pickles.load(array + shape + dtype + rest + b"b.", "here")


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x80\x04]r\xff\xff\xff\x7f.",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
        b"\x80\x05\x96" + struct.pack("<Q", 2**63) + b"x.",
        b"\x80\x02\x8b\xff\xff\xff\x7fx.",
    ],
    ids=["memo", "bytes", "bytearray", "integer"],
)
def test_a_few_bytes_cannot_ask_for_much_memory(bomb: bytes) -> None:
    error = refusal(pickles.load, bomb, "here")
    assert error is None or error.where == "here"


small = pickle.dumps(batch(1, 0), 4)
old = python2_pickle(np.zeros((1, 3072), np.uint8), [1])


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from([small, old]))
def test_damaged_pickles_give_a_data_error(draw: st.DataObject, whole: bytes) -> None:
    # The pixels are not worth damaging: no pixel value is wrong.
    places = st.integers(0, 300) | st.integers(len(whole) - 200, len(whole) - 1)
    damaged = bytearray(whole)
    for place in draw.draw(st.lists(places, max_size=5)):
        damaged[place] = draw.draw(st.integers(0, 255))
    end = draw.draw(st.just(len(whole)) | places)
    error = refusal(pickles.load, bytes(damaged[:end]), "here")
    assert error is None or error.where == "here"


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_a_data_error(data: bytes) -> None:
    error = refusal(pickles.load, data, "here")
    assert error is None or error.where == "here"
