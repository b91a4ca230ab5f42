from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import pixels, write_npz

from sweep.data import DataRef, moments, open_split, prepare, statistics
from sweep.spec.model import DataSpec, ValidationSpec


def prepared(path: Path, images: Any) -> DataRef:
    labels = np.arange(len(images)) % 2
    write_npz(path, x_train=images, y_train=labels)
    spec = DataSpec(name=str(path), validation=ValidationSpec(images=len(images) // 4))
    return prepare(spec, data_dir=None, progress=lambda _: None)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_mean_and_deviation_are_those_of_the_training_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(moments, "CHUNK_IMAGES", chunk)
    images = pixels(40, 3)
    images[30:] = 255
    ref = prepared(tmp_path / "own.npz", images)
    training = images[:30].astype(np.float64) / 255

    mean, deviation = statistics(ref, "feature")
    assert (mean.dtype, mean.shape, deviation.shape) == (np.float32, (32, 32, 3), (32, 32, 3))
    np.testing.assert_allclose(mean, training.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(deviation, training.std(axis=0), rtol=1e-6)

    mean, deviation = statistics(ref, "channel")
    assert (mean.dtype, mean.shape, deviation.shape) == (np.float32, (3,), (3,))
    np.testing.assert_allclose(mean, training.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(deviation, training.std(axis=(0, 1, 2)), rtol=1e-6)


@pytest.mark.parametrize("kind", ["feature", "channel"])
def test_pixels_that_never_change_are_not_divided_by_zero(tmp_path: Path, kind: Any) -> None:
    images = pixels(8, 0)
    images[..., 1] = 77
    mean, deviation = statistics(prepared(tmp_path / "own.npz", images), kind)
    assert (deviation[..., 1] == 1).all()
    assert (deviation > 0).all()
    np.testing.assert_allclose(mean[..., 1], 77 / 255, rtol=1e-6)


def test_sums_larger_than_64_bits_are_exact() -> None:
    """All of CIFAR-10 at full brightness, without the memory for it."""
    images = np.broadcast_to(np.uint8(255), (50_000, 32, 32, 3))
    mean, deviation = moments._moments(images, "channel")
    assert mean.tolist() == [1, 1, 1]
    assert deviation.tolist() == [1, 1, 1]


def test_they_are_kept_for_each_split_and_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = prepared(tmp_path / "own.npz", pixels(8, 0))
    first = [statistics(ref, "feature"), statistics(ref, "channel")]
    monkeypatch.setattr(moments, "_moments", None)
    for kept, (mean, deviation) in zip(
        [statistics(ref, "feature"), statistics(ref, "channel")], first, strict=True
    ):
        np.testing.assert_array_equal(kept[0], mean)
        np.testing.assert_array_equal(kept[1], deviation)


def test_a_damaged_file_of_them_is_made_anew(tmp_path: Path) -> None:
    ref = prepared(tmp_path / "own.npz", pixels(8, 0))
    mean, _ = statistics(ref, "feature")
    (file,) = ref.directory.glob("statistics-feature-*")
    for damaged in (b"", file.read_bytes()[:-1], b"text"):
        file.write_bytes(damaged)
        np.testing.assert_array_equal(statistics(ref, "feature")[0], mean)


def test_a_read_only_cache_gives_them_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = prepared(tmp_path / "own.npz", pixels(8, 0))

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(np, "save", refuse)
    assert statistics(ref, "channel")[0].shape == (3,)
    assert "were not kept" in caplog.text
    assert open_split(ref, "train").images.shape == (6, 32, 32, 3)
