"""Compiled programs kept on this machine's disk, shared by its workers and by all runs.

A program that another worker or an earlier run has compiled is read in a fraction of the time.
XLA writes a file for each and finds it by what was to be compiled; a file is complete or absent.
"""

import hashlib
import logging
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from sweep.data.cache import default_cache_dir

_log = logging.getLogger(__name__)

_MOST_BYTES = 2 << 30


def program_cache(backend: str, cache_dir: Path | None = None) -> Path | None:
    """The directory for the programs of this machine's processors, which is made if missing.

    Programs hold instructions of the processor that they were compiled on, so every kind of
    processor and every version of the backend has a directory of its own. The programs used least
    recently are removed when the directory has grown beyond two gibibytes.

    Args:
        backend: `tensorflow` or `jax`.
        cache_dir: The user's cache; None for `SWEEP_CACHE_DIR` or the system's place for it.

    Returns:
        The directory, or None if it cannot be written to: then every worker compiles for itself.
    """
    root = default_cache_dir() if cache_dir is None else cache_dir
    directory = root / "programs" / f"{backend}-{version(backend)}-{_processor()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _trim(directory)
    except OSError as error:
        _log.warning("compiled programs are not kept: %s", error)
        return None
    if not os.access(directory, os.W_OK):
        _log.warning("compiled programs are not kept: %s cannot be written to", directory)
        return None
    return directory


def cache_environment(
    backend: str, directory: Path, inherited: Mapping[str, str]
) -> dict[str, str]:
    """Variables that let a worker on a processor core use the directory.

    Args:
        backend: `tensorflow` or `jax`.
        directory: What `program_cache` returned.
        inherited: The environment that these are added to.
    """
    if backend == "jax":
        return {
            "JAX_COMPILATION_CACHE_DIR": str(directory),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
    flags = (
        inherited.get("TF_XLA_FLAGS", ""),
        f"--tf_xla_persistent_cache_directory={directory}",
        "--tf_xla_persistent_cache_device_types=CPU",
    )
    return {"TF_XLA_FLAGS": " ".join(flags).strip()}


def _processor() -> str:
    """A name for what programs compiled here need of a processor."""
    information = Path("/proc/cpuinfo")
    text = platform.machine()
    if information.exists():
        lines = information.read_text().splitlines()
        text += "".join(sorted({line for line in lines if line.startswith(("model", "flags"))}))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _trim(directory: Path) -> None:
    files = [(entry.stat(), entry.path) for entry in os.scandir(directory) if entry.is_file()]
    files.sort(key=lambda file: max(file[0].st_atime, file[0].st_mtime))
    excess = sum(status.st_size for status, _ in files) - _MOST_BYTES
    for status, path in files:
        if excess <= 0:
            return
        Path(path).unlink(missing_ok=True)
        excess -= status.st_size
