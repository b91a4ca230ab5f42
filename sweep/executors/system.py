"""What a worker asks of its operating system."""

import ctypes
import logging
import os
import resource
import signal
from pathlib import Path

_log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1


def resident_bytes() -> int:
    """Memory of this process that is not on disk; 0 where the system does not tell."""
    statistics = Path("/proc/self/statm")
    if not statistics.exists():
        return 0
    _, resident, shared = statistics.read_text().split()[:3]
    return (int(resident) - int(shared)) * resource.getpagesize()


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when the parent dies, even in the middle of C code."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        _log.warning("prctl failed: %s", os.strerror(ctypes.get_errno()))
    if os.getppid() != parent:
        os._exit(0)
