import gzip
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import BATCHES, add, batch, pack, python2_pickle, refusal, write_cifar
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.data import cifar10
from sweep.errors import DataError


def test_images_are_in_order_and_channels_last(tmp_path: Path) -> None:
    directory = write_cifar(tmp_path, images=3, seed=5)

    arrays = cifar10.read_directory(directory)

    images, labels = arrays.train
    assert images.shape == (15, 32, 32, 3)
    assert images.flags.c_contiguous
    for number in range(5):
        content = batch(3, 5 + number)
        planes = images[number * 3 : number * 3 + 3].transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(planes.reshape(3, 3072), content[b"data"])
        assert labels[number * 3 : number * 3 + 3].tolist() == content[b"labels"]
    assert arrays.test is not None
    assert arrays.test[1].tolist() == batch(3, 10)[b"labels"]
    assert arrays.classes == 10


def test_an_archive_holds_the_same_as_the_directory(tmp_path: Path) -> None:
    directory = write_cifar(tmp_path)
    archive = pack(directory, tmp_path / "cifar-10-python.tar.gz")

    assert cifar10.read_archive(archive).digest() == cifar10.read_directory(directory).digest()


def test_the_published_files_of_python_2_are_read(tmp_path: Path) -> None:
    directory = write_cifar(tmp_path, images=2)
    data = np.arange(2 * 3072).astype(np.uint8).reshape(2, 3072)
    (directory / "data_batch_1").write_bytes(python2_pickle(data, [4, 7]))

    images, labels = cifar10.read_directory(directory).train

    assert labels[:2].tolist() == [4, 7]
    assert images[0, 0, :, 0].tolist() == data[0, :32].tolist()
    assert images[1, 31, :, 2].tolist() == data[1, -32:].tolist()


def test_without_its_description_a_batch_must_have_10_000_images(tmp_path: Path) -> None:
    directory = write_cifar(tmp_path)
    (directory / "batches.meta").unlink()
    with pytest.raises(DataError, match="wrong number of images") as raised:
        cifar10.read_directory(directory)
    assert (raised.value.expected, raised.value.received) == ("10000", "4")


@pytest.mark.parametrize("name", [*BATCHES, "test_batch"])
def test_a_missing_batch_is_named(tmp_path: Path, name: str) -> None:
    directory = write_cifar(tmp_path)
    (directory / name).unlink()
    with pytest.raises(DataError, match=f"without {name}"):
        cifar10.read_directory(directory)


def test_a_short_batch_is_refused(tmp_path: Path) -> None:
    directory = write_cifar(tmp_path)
    (directory / "data_batch_3").write_bytes(pickle.dumps(batch(3, 0)))
    with pytest.raises(DataError, match="data_batch_3") as raised:
        cifar10.read_directory(directory)
    assert (raised.value.expected, raised.value.received) == ("4", "3")


WRONG: dict[str, dict[bytes, Any]] = {
    "no pixels": {b"data": None},
    "grey pixels": {b"data": np.zeros((4, 1024), np.uint8)},
    "float pixels": {b"data": np.zeros((4, 3072))},
    "flat pixels": {b"data": np.zeros(4 * 3072, np.uint8)},
    "pixels in a list": {b"data": [[0] * 3072] * 4},
    "no labels": {b"labels": None},
    "too few labels": {b"labels": [1, 2, 3]},
    "a label of 10": {b"labels": [1, 2, 3, 10]},
    "a negative label": {b"labels": [1, 2, 3, -1]},
    "float labels": {b"labels": [1, 2, 3, 4.0]},
    "true for a label": {b"labels": [1, 2, 3, True]},
    "labels in lists": {b"labels": [[1], [2], [3], [4]]},
    "text for labels": {b"labels": "1234"},
    "huge labels": {b"labels": 10**400},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_batch_with_the_wrong_content_is_refused(tmp_path: Path, name: str) -> None:
    directory = write_cifar(tmp_path)
    (directory / "data_batch_2").write_bytes(pickle.dumps(batch(4, 0) | WRONG[name]))
    with pytest.raises(DataError, match="data_batch_2") as raised:
        cifar10.read_directory(directory)
    assert raised.value.expected
    assert raised.value.received


@pytest.mark.parametrize("value", [[1, 2], 3, b"bytes", None, np.zeros(3)], ids=repr)
def test_a_file_that_holds_no_dict_is_refused(tmp_path: Path, value: object) -> None:
    directory = write_cifar(tmp_path)
    (directory / "test_batch").write_bytes(pickle.dumps(value))
    with pytest.raises(DataError, match="no dict"):
        cifar10.read_directory(directory)


def test_a_directory_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    directory = write_cifar(tmp_path)
    (directory / "data_batch_4").unlink()
    (directory / "data_batch_4").mkdir()
    with pytest.raises(DataError, match="data_batch_4"):
        cifar10.read_directory(directory)


def test_an_archive_is_never_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = write_cifar(tmp_path / "source")
    work = tmp_path / "a" / "b"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        add(archive, "../../escaped", b"x")
        add(archive, str(tmp_path / "absolute"), b"x")
        link = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for file in directory.iterdir():
            add(archive, f"./cifar-10-batches-py/{file.name}", file.read_bytes())
    before = sorted(tmp_path.rglob("*"))

    arrays = cifar10.read_archive(path)

    assert arrays.digest() == cifar10.read_directory(directory).digest()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_batch_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "linked.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(DataError, match="without data_batch_1"):
        cifar10.read_archive(path)


def test_a_member_too_large_to_be_a_batch_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar10, "MAX_MEMBER_BYTES", 1000)
    path = pack(write_cifar(tmp_path), tmp_path / "large.tar.gz")
    with pytest.raises(DataError, match="too large"):
        cifar10.read_archive(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"not an archive", b"\x1f\x8b\x08\x00", b"\x1f\x8b" + bytes(100)],
    ids=["empty", "text", "header", "zeros"],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read") as raised:
        cifar10.read_archive(path)
    assert raised.value.where == str(path)


def _small_archive() -> bytes:
    """A gzip of members whose pixels are all zero, so that most bytes of the file matter."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        meta = {b"num_cases_per_batch": 1}
        add(archive, "cifar-10-batches-py/batches.meta", pickle.dumps(meta))
        blank = {b"data": np.zeros((1, 3072), np.uint8), b"labels": [0]}
        for name in (*BATCHES, "test_batch"):
            add(archive, f"cifar-10-batches-py/{name}", pickle.dumps(blank))
    return buffer.getvalue()


WHOLE = _small_archive()


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_damaged_archives_give_a_data_error(tmp_path: Path, draw: st.DataObject) -> None:
    damaged = bytearray(WHOLE)
    for place in draw.draw(st.lists(st.integers(0, len(WHOLE) - 1), max_size=4)):
        damaged[place] ^= 1 << draw.draw(st.integers(0, 7))
    end = draw.draw(st.just(len(WHOLE)) | st.integers(0, len(WHOLE)))
    path = tmp_path / "damaged.tar.gz"
    path.write_bytes(damaged[:end])
    error = refusal(cifar10.read_archive, path)
    assert error is None or str(path) in str(error)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_archives_of_damaged_members_give_a_data_error(
    tmp_path: Path, draw: st.DataObject
) -> None:
    """The same beneath the checksum of gzip, which hides the members from random damage."""
    blank = pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": [0]})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        add(archive, "cifar-10-batches-py/batches.meta", pickle.dumps({b"num_cases_per_batch": 1}))
        for name in (*BATCHES, "test_batch"):
            add(archive, f"cifar-10-batches-py/{name}", blank)
    damaged = bytearray(buffer.getvalue())
    for place in draw.draw(st.lists(st.integers(0, 3000), min_size=1, max_size=4)):
        damaged[place] = draw.draw(st.integers(0, 255))
    path = tmp_path / "damaged.tar.gz"
    path.write_bytes(gzip.compress(damaged, compresslevel=1))
    error = refusal(cifar10.read_archive, path)
    assert error is None or str(path) in str(error)
