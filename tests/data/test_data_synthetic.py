import numpy as np
from numpy.typing import NDArray

from sweep.data import synthetic


def test_everyone_gets_the_same_images() -> None:
    """A changed digest means other data for every study that fell back: raise VERSION too."""
    arrays = synthetic.make(300, 100)
    assert arrays.digest()[:16] == "c18a247b0b9aa9e4"
    assert synthetic.VERSION == 1


def test_the_set_looks_like_cifar10() -> None:
    arrays = synthetic.make(2000, 500)
    assert arrays.test is not None
    for (images, labels), count in ((arrays.train, 2000), (arrays.test, 500)):
        assert images.shape == (count, 32, 32, 3)
        assert images.dtype == labels.dtype == np.uint8
        assert 100 < images.mean() < 156
        assert 25 < images.std() < 80
        assert np.bincount(labels, minlength=10).min() > count / 10 * 0.6
    assert arrays.classes == 10


def test_no_plane_separates_the_classes_but_neighbours_tell_them() -> None:
    """A linear classifier gets some way; the nearest images of the training set, which no plane
    can express, much further.
    """
    arrays = synthetic.make(4000, 500)
    assert arrays.test is not None
    mean = arrays.train[0].mean(axis=0)
    train, test = (_flat(images, mean) for images in (arrays.train[0], arrays.test[0]))
    labels, expected = arrays.train[1], arrays.test[1]

    targets = np.eye(10, dtype=np.float32)[labels] - 0.1
    ridge = train.T @ train + 1000 * np.eye(train.shape[1], dtype=np.float32)
    weights = np.linalg.solve(ridge, train.T @ targets)
    linear = (np.argmax(test @ weights, axis=1) == expected).mean()

    distances = (train**2).sum(axis=1) - 2 * test @ train.T
    nearest = labels[np.argpartition(distances, 5, axis=1)[:, :5]]
    votes = np.array([np.bincount(row, minlength=10) for row in nearest])
    neighbours = (votes.argmax(axis=1) == expected).mean()

    assert 0.2 < linear < 0.6
    assert neighbours > linear + 0.25


def _flat(images: NDArray[np.uint8], mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """Every second pixel of every second row, which waves this smooth survive."""
    flat = (images - mean)[:, ::2, ::2].reshape(len(images), -1)
    return (flat / 32).astype(np.float32)
