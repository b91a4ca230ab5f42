import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from data_files import pack, refusal, write_cifar, write_npz
from file_server import server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.data import DataRef, open_split, prepare
from sweep.data.download import Published
from sweep.errors import DataError
from sweep.spec.model import DataSpec, ValidationSpec

CIFAR10 = DataSpec(validation=ValidationSpec(images=5))


def run(
    spec: DataSpec = CIFAR10, data_dir: Path | None = None, told: list[str] | None = None
) -> DataRef:
    said: list[str] = [] if told is None else told
    return prepare(spec, data_dir=data_dir, progress=said.append)


@pytest.fixture
def small_synthetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Synthetic data of a size for tests."""
    from sweep.data import synthetic

    make = synthetic.make
    monkeypatch.setattr(synthetic, "make", lambda: make(50, 10))


# Where CIFAR-10 is found


FORMS = ("parent", "itself", "archive", "archive in it", "npz", "npz in it")


@pytest.mark.parametrize("form", FORMS)
def test_a_data_directory_may_be_any_published_form(tmp_path: Path, form: str) -> None:
    place = tmp_path / "place"
    directory = write_cifar(place)
    archive = pack(directory, place / "cifar-10-python.tar.gz")
    npz_place = tmp_path / "npz"
    npz_place.mkdir()
    npz = write_npz(npz_place / "any.npz", images=20, test=4)
    archive_place = tmp_path / "archives"
    archive_place.mkdir()
    pack(directory, archive_place / "cifar-10-python.tar.gz")
    data_dir = {
        "parent": place,
        "itself": directory,
        "archive": archive,
        "archive in it": archive_place,
        "npz": npz,
        "npz in it": npz_place,
    }[form]

    ref = run(data_dir=data_dir)

    assert (ref.name, ref.is_fallback, ref.classes) == ("cifar10", False, 10)
    assert (ref.train, ref.validation) == ((0, 15), (15, 20))
    assert len(open_split(ref, "test")) == 4
    if "npz" not in form:
        assert ref == run(data_dir=directory)


def test_the_variable_stands_in_for_the_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, other = write_cifar(tmp_path / "named", seed=1), write_cifar(tmp_path / "b", seed=2)
    monkeypatch.setenv("SWEEP_DATA_DIR", str(named))
    assert run() == run(data_dir=named)
    assert run(data_dir=other) != run(data_dir=named)


@pytest.mark.parametrize(
    "place",
    [
        "cifar-10-batches-py-target/cifar-10-batches-py",
        "cifar-10-batches-py",
        "cifar-10-batches-py-target_archive",
        "cifar-10-batches-py.tar.gz",
    ],
)
def test_the_cache_of_keras_is_used(tmp_path: Path, place: str) -> None:
    directory = write_cifar(tmp_path / "source")
    target = tmp_path / "keras" / "datasets" / place
    target.parent.mkdir(parents=True)
    if place.endswith(("_archive", ".tar.gz")):
        pack(directory, target)
    else:
        directory.rename(target)
    told: list[str] = []

    ref = run(told=told)

    assert (ref.name, ref.train) == ("cifar10", (0, 15))
    assert told == [f"decoding {target}"]


def test_keras_cache_is_in_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write_cifar(tmp_path / "home" / ".keras" / "datasets")
    assert run().name == "cifar10"


def test_a_named_directory_comes_before_the_cache_of_keras(tmp_path: Path) -> None:
    write_cifar(tmp_path / "keras" / "datasets", seed=1)
    named = write_cifar(tmp_path / "named", seed=2)
    assert run().fingerprint != run(data_dir=named).fingerprint


def test_a_damaged_cache_of_keras_is_passed_over_aloud(tmp_path: Path) -> None:
    directory = write_cifar(tmp_path / "keras" / "datasets" / "cifar-10-batches-py-target")
    (directory / "data_batch_2").write_bytes(b"")
    pack(
        write_cifar(tmp_path / "source"),
        tmp_path / "keras" / "datasets" / "cifar-10-batches-py.tar.gz",
    )
    told: list[str] = []
    assert run(told=told).name == "cifar10"
    assert any("Keras's cache is of no use" in line and "data_batch_2" in line for line in told)


def test_cifar10_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = pack(write_cifar(tmp_path / "source"), tmp_path / "x.tar.gz").read_bytes()
    told: list[str] = []
    with server(archive) as url:
        file = Published(url, hashlib.sha256(archive).hexdigest(), len(archive))
        monkeypatch.setattr("sweep.data.preparation.PUBLISHED", file)
        ref = run(told=told)
    assert told[0].startswith("downloading")
    assert run(told=(again := [])) == ref
    assert again == []
    assert not list((tmp_path / "cache").rglob("*.tar.gz"))


def test_a_download_with_another_checksum_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = pack(write_cifar(tmp_path / "source"), tmp_path / "x.tar.gz").read_bytes()
    with server(archive) as url:
        file = Published(url, "0" * 64, len(archive))
        monkeypatch.setattr("sweep.data.preparation.PUBLISHED", file)
        with pytest.raises(DataError, match="not the published one"):
            run()
    assert not list((tmp_path / "cache").rglob("*.npy"))


# When there is none


def test_without_data_the_error_says_where_it_looked_and_what_to_do() -> None:
    with pytest.raises(DataError, match="cannot be had") as raised:
        run()
    assert "Keras's cache has no copy" in str(raised.value.received)
    assert "127.0.0.1:9" in str(raised.value.received)
    assert "--data-dir" in str(raised.value.next_step)


@pytest.mark.usefixtures("small_synthetic")
def test_the_fallback_is_loud() -> None:
    told: list[str] = []
    ref = run(DataSpec(fallback="synthetic"), told=told)
    assert (ref.name, ref.is_fallback) == ("synthetic", True)
    assert any("SYNTHETIC" in line and "NOT CIFAR-10" in line for line in told)
    assert any("127.0.0.1:9" in line for line in told)
    asked = run(DataSpec(name="synthetic"))
    assert not asked.is_fallback
    assert asked.fingerprint == ref.fingerprint


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "pickle that runs code"])
def test_a_named_directory_that_is_damaged_never_falls_back(tmp_path: Path, damage: str) -> None:
    directory = write_cifar(tmp_path / "named")
    batch = directory / "data_batch_4"
    if damage == "missing":
        batch.unlink()
    elif damage == "empty":
        batch.write_bytes(b"")
    elif damage == "truncated":
        batch.write_bytes(batch.read_bytes()[:-100])
    else:
        batch.write_bytes(pickle.dumps({b"data": _Attack(tmp_path / "attacked")}))
    with pytest.raises(DataError, match="data_batch_4"):
        run(DataSpec(fallback="synthetic"), data_dir=tmp_path / "named")
    assert not (tmp_path / "attacked").exists()


class _Attack:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("content", ["nothing", "no directory", "two archives", "odd file"])
def test_a_named_place_without_data_is_an_error(tmp_path: Path, content: str) -> None:
    place = tmp_path / "named"
    if content != "no directory":
        place.mkdir()
    if content == "two archives":
        (place / "a.npz").touch()
        (place / "b.npz").touch()
    if content == "odd file":
        place = place / "data.zip"
        place.touch()
    with pytest.raises(DataError) as raised:
        run(DataSpec(fallback="synthetic"), data_dir=place)
    assert raised.value.where == str(place)


# A user's own file


def test_a_users_file_is_named_after_itself(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "own.npz", images=10, test=3)
    ref = run(DataSpec(name=str(path)))
    assert (ref.name, ref.is_fallback, ref.classes) == ("own.npz", False, 10)
    assert (ref.train, ref.validation) == ((0, 8), (8, 10))
    assert run(DataSpec(name="own.npz"), data_dir=tmp_path) == ref


@pytest.mark.parametrize("name", ["imagenet", "missing.npz"])
def test_unknown_data_is_an_error(name: str) -> None:
    with pytest.raises(DataError) as raised:
        run(DataSpec(name=name, fallback="synthetic"))
    assert raised.value.where == "data.name"


@pytest.mark.parametrize("name", ["x" * 5000 + ".npz", "a\0b.npz", "~nobody-here/own.npz"])
def test_a_name_that_no_file_can_have_is_an_error(name: str) -> None:
    with pytest.raises(DataError):
        run(DataSpec(name=name))
    with pytest.raises(DataError):
        run(data_dir=Path(name))


# Damage and the real thing


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_damage_to_a_named_directory_is_a_data_error(
    tmp_path: Path, draw: st.DataObject
) -> None:
    base = tmp_path / "damaged"
    directory = base / "cifar-10-batches-py"
    if not directory.exists():
        write_cifar(base, images=1)
    name = draw.draw(st.sampled_from(sorted(file.name for file in directory.iterdir())))
    whole = (directory / name).read_bytes()
    place = st.integers(0, len(whole) - 1)
    damaged = bytearray(whole)
    for index in draw.draw(st.lists(place, max_size=3)):
        damaged[index] = draw.draw(st.integers(0, 255))
    (directory / name).write_bytes(damaged[: draw.draw(st.just(len(whole)) | place)])
    error = refusal(run, DataSpec(validation=ValidationSpec(images=1)), base)
    (directory / name).write_bytes(whole)
    assert error is None or str(base) in str(error)


@pytest.mark.skipif(
    "SWEEP_TEST_CIFAR10" not in os.environ,
    reason="SWEEP_TEST_CIFAR10 names no directory with the real CIFAR-10",
)
def test_the_real_images_are_read() -> None:
    place = Path(os.environ["SWEEP_TEST_CIFAR10"])
    ref = run(DataSpec(), data_dir=place)
    assert (ref.train, ref.validation) == ((0, 40_000), (40_000, 50_000))
    labels = np.concatenate([open_split(ref, name).labels for name in ("train", "validation")])
    assert np.bincount(labels).tolist() == [5_000] * 10
    test = open_split(ref, "test")
    assert np.bincount(test.labels).tolist() == [1_000] * 10
    # Upright, colours in their places: the sky is up, and bluer than the ground.
    planes = test.images[test.labels == 0].astype(float).mean(axis=0)
    assert planes[:8, :, 2].mean() > planes[:8, :, 0].mean()
    ships = test.images[test.labels == 8].astype(float).mean(axis=0)
    assert ships[:4].mean() > ships[-8:].mean()
