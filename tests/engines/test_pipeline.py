"""Batches and augmentation."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.data import DataRef, open_split
from sweep.engines.draws import draw_augmentation, epoch_order
from sweep.engines.pipeline import (
    ImageTensors,
    augment,
    training_batches,
    validation_batches,
)
from sweep.trial import TrialConfig

PICTURE = np.arange(32 * 32 * 3, dtype=np.int32).reshape(32, 32, 3) + 1


@pytest.fixture(scope="module")
def tensors(small_data: DataRef) -> ImageTensors:
    return ImageTensors.from_split(open_split(small_data, "train"))


def one(flip: bool = False, down: int = 0, right: int = 0, limit: int = 4) -> Any:
    images = PICTURE[None]
    return augment_arrays(images, np.array([flip]), np.array([[down, right]], np.int32), limit)[0]


def augment_arrays(images: Any, flips: Any, shifts: Any, limit: int) -> Any:
    return augment(tf.constant(images), tf.constant(flips), tf.constant(shifts), limit).numpy()


def test_flip_mirrors_left_and_right() -> None:
    assert np.array_equal(one(flip=True), PICTURE[:, ::-1])
    assert np.array_equal(one(flip=True, limit=0), PICTURE[:, ::-1])


def test_without_draws_nothing_moves() -> None:
    assert np.array_equal(one(), PICTURE)


def test_shift_moves_and_fills_with_black() -> None:
    moved = one(down=2, right=-3)
    assert np.array_equal(moved[2:, :-3], PICTURE[:-2, 3:])
    assert not moved[:2].any()
    assert not moved[:, -3:].any()


def test_each_image_has_its_own_draw() -> None:
    images = np.stack([PICTURE, PICTURE, PICTURE])
    flips = np.array([False, True, False])
    shifts = np.array([[0, 0], [0, 0], [4, 4]], np.int32)
    got = augment_arrays(images, flips, shifts, 4)
    assert np.array_equal(got[0], PICTURE)
    assert np.array_equal(got[1], PICTURE[:, ::-1])
    assert np.array_equal(got[2][4:, 4:], PICTURE[:-4, :-4])


@settings(deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 100), st.integers(0, 16), st.booleans())
def test_draws_are_repeatable_and_within_their_limits(
    seed: int, epoch: int, shift: int, flip: bool
) -> None:
    config = TrialConfig(flip=flip, shift=shift)
    flips, shifts = draw_augmentation(config, seed, epoch, 50)
    again = draw_augmentation(config, seed, epoch, 50)
    assert np.array_equal(flips, again[0])
    assert np.array_equal(shifts, again[1])
    assert np.abs(shifts).max() <= shift
    assert flip or not flips.any()


def test_draws_use_the_whole_range() -> None:
    flips, shifts = draw_augmentation(TrialConfig(flip=True, shift=2), 1, 1, 2000)
    assert flips.mean() == pytest.approx(0.5, abs=0.05)
    assert {tuple(pair) for pair in shifts} == {
        (down, right) for down in range(-2, 3) for right in range(-2, 3)
    }


def test_an_epoch_visits_every_image_once_in_its_order(tensors: ImageTensors) -> None:
    batches = list(training_batches(tensors, TrialConfig(batch_size=50), 3, 2))
    assert [len(labels) for _, labels in batches] == [50] * 7 + [34]
    order = epoch_order(3, 2, len(tensors))
    assert sorted(order) == list(range(384))
    images = np.concatenate([images.numpy() for images, _ in batches])
    assert np.array_equal(images, tensors.images.numpy()[order])
    labels = np.concatenate([labels.numpy() for _, labels in batches])
    assert np.array_equal(labels, tensors.labels.numpy()[order])


def test_orders_differ_between_epochs_and_seeds() -> None:
    orders = [epoch_order(seed, epoch, 100).tolist() for seed in (1, 2) for epoch in (1, 2)]
    assert len({tuple(order) for order in orders}) == 4
    assert epoch_order(1, 1, 100).tolist() == orders[0]


def test_augmented_batches_follow_from_the_draws(tensors: ImageTensors) -> None:
    config = TrialConfig(batch_size=200, flip=True, shift=2)
    got = np.concatenate([images.numpy() for images, _ in training_batches(tensors, config, 3, 2)])
    flips, shifts = draw_augmentation(config, 3, 2, len(tensors))
    plain = tensors.images.numpy()[epoch_order(3, 2, len(tensors))]
    assert np.array_equal(got, augment_arrays(plain, flips, shifts, 2))
    assert not np.array_equal(got, plain)


def test_validation_is_neither_shuffled_nor_augmented(
    small_data: DataRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.engines.pipeline.VALIDATION_BATCH", 50)
    split = open_split(small_data, "validation")
    batches = list(validation_batches(ImageTensors.from_split(split)))
    assert [len(labels) for _, labels in batches] == [50, 50, 28]
    assert np.array_equal(np.concatenate([images for images, _ in batches]), split.images)
    assert np.array_equal(np.concatenate([labels for _, labels in batches]), split.labels)
