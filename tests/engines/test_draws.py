"""What a trial draws: from its seed and the epoch alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sweep.engines.draws import draw_augmentation, dropout_keys, epoch_order
from sweep.trial import TrialConfig

AUGMENTED = TrialConfig(flip=True, shift=2)

DRAWS: dict[str, Callable[[int, int], Any]] = {
    "order": lambda seed, epoch: epoch_order(seed, epoch, 100),
    "flips": lambda seed, epoch: draw_augmentation(AUGMENTED, seed, epoch, 100)[0],
    "shifts": lambda seed, epoch: draw_augmentation(AUGMENTED, seed, epoch, 100)[1],
    "dropout": lambda seed, epoch: dropout_keys(seed, epoch, 10, 3),
}


@pytest.mark.parametrize("name", DRAWS)
def test_seed_and_epoch_decide(name: str) -> None:
    draw = DRAWS[name]
    assert np.array_equal(draw(1, 1), draw(1, 1))
    assert not np.array_equal(draw(1, 1), draw(2, 1))
    assert not np.array_equal(draw(1, 1), draw(1, 2))


def test_order_is_a_permutation() -> None:
    assert sorted(epoch_order(3, 4, 57)) == list(range(57))


def test_flips_and_shifts_have_their_distributions() -> None:
    flips, shifts = draw_augmentation(AUGMENTED, 5, 1, 100_000)
    assert abs(flips.mean() - 0.5) < 5 * 0.5 / np.sqrt(100_000)
    values, counts = np.unique(shifts, return_counts=True)
    assert values.tolist() == [-2, -1, 0, 1, 2]
    assert np.abs(counts / shifts.size - 0.2).max() < 5 * 0.4 / np.sqrt(shifts.size)
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 5 / np.sqrt(100_000)


def test_augmentation_that_is_off_changes_nothing() -> None:
    flips, shifts = draw_augmentation(TrialConfig(), 5, 1, 1000)
    assert not flips.any()
    assert not shifts.any()
    # Whether images are flipped does not change how they are shifted.
    only_shifted = draw_augmentation(TrialConfig(shift=2), 5, 1, 1000)[1]
    assert np.array_equal(only_shifted, draw_augmentation(AUGMENTED, 5, 1, 1000)[1])


def test_dropout_s_keys_have_all_their_bits() -> None:
    keys = dropout_keys(8, 1, 5000, 4)
    assert keys.shape == (5000, 4, 2)
    assert keys.dtype == np.uint32
    bits = keys.reshape(-1, 1) >> np.arange(32, dtype=np.uint32) & 1
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(len(bits))
    assert len(np.unique(keys)) > 0.999 * keys.size
