"""Prepared data that is quick to make and to learn."""

from pathlib import Path

import numpy as np

from sweep.data import DataRef


def write_data(directory: Path, images: int, side: int) -> DataRef:
    """Images of three classes that differ in their mean colour, with noise."""
    random = np.random.default_rng(20)
    labels = random.integers(0, 3, images).astype(np.uint8)
    noise = random.integers(0, 200, (images, side, side, 3))
    noise[np.arange(images), :, :, labels] += 40
    np.save(directory / "train_images.npy", noise.astype(np.uint8))
    np.save(directory / "train_labels.npy", labels)
    last = images // 5 * 4
    return DataRef(
        directory=directory,
        name="colours",
        is_fallback=False,
        fingerprint=f"{images}-{side}",
        train=(0, last),
        validation=(last, images),
        classes=3,
    )
