"""Writing a trained network to disk."""

import os
from pathlib import Path

import keras


def save_network(model: keras.Model, path: Path) -> None:
    """Write a `.keras` file that is complete or absent, even if the process is killed.

    Args:
        model: The network, made of plain Keras parts.
        path: Where it shall be; directories are made, an older file is replaced.

    Raises:
        OSError: The file cannot be written; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.keras")
    try:
        model.save(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
