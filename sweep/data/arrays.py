"""A whole data set in memory, on its way from a source to the cache.

symbol   meaning
images   (image, row, column, channel) uint8, 0 to 255
labels   (image,) uint8, 0 to classes - 1
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IMAGE_SHAPE = (32, 32, 3)

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Arrays:
    """A decoded data set; C-contiguous, checked by whoever made it.

    Attributes:
        train: Images and labels of the training archive, validation images included.
        test: Images and labels of the test set, or None.
        classes: Number of classes.
    """

    train: tuple[Images, Labels]
    test: tuple[Images, Labels] | None
    classes: int

    def files(self) -> dict[str, NDArray[np.uint8]]:
        """The arrays by the name of their file in the cache."""
        files = {"train_images.npy": self.train[0], "train_labels.npy": self.train[1]}
        if self.test is not None:
            files |= {"test_images.npy": self.test[0], "test_labels.npy": self.test[1]}
        return files

    def digest(self) -> str:
        """Hexadecimal SHA-256 of every image and label, their shapes and the classes."""
        digest = hashlib.sha256(f"classes {self.classes}".encode())
        for name, array in self.files().items():
            digest.update(f" {name} {array.shape} ".encode())
            digest.update(array.data)
        return digest.hexdigest()
