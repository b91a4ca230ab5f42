"""Hyperparameter sweeps of the deep CIFAR-10 network, from a study file to an exported winner."""

import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweep.report.load import LoadedStudy

__all__ = ["__version__", "load"]

__version__ = version("sweep")


def load(study: str, storage: str | Path | None = None) -> "LoadedStudy":
    """Read a study as pandas frames, for a notebook.

    Args:
        study: Name of the study.
        storage: `sqlite:///FILE`, the path of an SQLite file, or
            `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`; by default what the environment's
            `SWEEP_STORAGE` says, and otherwise `sweep.db` in the working directory.

    Returns:
        An object with the frames `study`, `trials`, `epochs`, `workers` and `effects`, as of now.

    Raises:
        StoreError: There is no such study or database.
    """
    # Only here: `import sweep` stays light.
    from sweep.report.load import load

    return load(study, storage or os.environ.get("SWEEP_STORAGE") or "sweep.db")
