"""Where and with what something was measured."""

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("sweep", "tensorflow", "jax", "jaxlib", "keras", "numpy", "optuna")
GPU_FIELDS = "name,driver_version,memory.total,clocks.max.sm,power.limit"


def machine() -> dict[str, Any]:
    """Hardware, versions of what is installed, commit and date."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "gpu": gpu(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "commit": _output(
            "git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"
        ),
    }


def gpu() -> str | None:
    """Name, driver, memory, clock and power limit of the GPUs; None where there is none."""
    return _output("nvidia-smi", f"--query-gpu={GPU_FIELDS}", "--format=csv,noheader")


def _processor() -> str:
    """The processor's name as the kernel gives it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _output(program: str, *arguments: str) -> str | None:
    """What a program says; None if it is missing or fails."""
    if shutil.which(program) is None:
        return None
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20)
    return done.stdout.strip() or None if done.returncode == 0 else None
