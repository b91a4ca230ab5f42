"""Which GPUs and processor cores this process may use, found without loading TensorFlow."""

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sweep.errors import ExecutorError

_log = logging.getLogger(__name__)

_QUERY_SECONDS = 20.0
_GPU_LINE = re.compile(r"^GPU (\d+): .*\(UUID: (GPU-[0-9a-f-]+)\)", re.MULTILINE)
_GPU_UUID = re.compile(r"^GPU UUID:\s*(GPU-[0-9a-f-]+)", re.MULTILINE)
# Numpy times trained networks, which must not depend on the cores beside a GPU.
_ONE_NUMPY_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
_ONE_THREAD = {
    **_ONE_NUMPY_THREAD,
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Device:
    """Where one worker trains.

    Attributes:
        worker: Name of the worker, `cpu0` or `gpu1`: counted from 0 on every machine.
        label: The device itself, `cpu:4` for processor core 4, `cpu` for any, or `gpu:1`.
        core: Logical processor that the worker is pinned to, or None for a GPU's worker.
        visible: Value of `CUDA_VISIBLE_DEVICES`.
        pinned: Whether the worker has to stay on its core.
    """

    worker: str
    label: str
    core: int | None
    visible: str
    pinned: bool = True

    def environment(self) -> dict[str, str]:
        """Variables that keep a process on this device, set before it loads anything."""
        threads = _ONE_NUMPY_THREAD if self.core is None else _ONE_THREAD
        return {"CUDA_VISIBLE_DEVICES": self.visible, **threads}


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU: its label, and the name by which CUDA finds it whatever the order."""

    label: str
    visible: str


def find_devices(workers: int | None = None) -> tuple[Device, ...]:
    """One device for each worker: the GPUs if there are any, otherwise the physical cores.

    Where a quota grants the time of some cores and does not say of which, workers are not pinned:
    all containers of a machine would choose the same ones.

    Args:
        workers: Number of workers; None for one per GPU or core. Workers in excess share devices
            in turn.

    Returns:
        At least one device.

    Raises:
        ExecutorError: `workers` is less than 1.
    """
    check_workers(workers)
    gpus = find_gpus()
    if gpus:
        shared = [gpus[index % len(gpus)] for index in range(workers or len(gpus))]
        return tuple(
            Device(f"gpu{i}", gpu.label, None, gpu.visible) for i, gpu in enumerate(shared)
        )
    cores = find_cores()
    picked = [cores[index % len(cores)] for index in range(workers or len(cores))]
    pinned = len(cores) == len(_allowed_cores())
    return tuple(
        Device(f"cpu{i}", f"cpu:{core}" if pinned else "cpu", core, "-1", pinned)
        for i, core in enumerate(picked)
    )


def check_workers(workers: int | None) -> None:
    """Make sure that a number of workers makes sense; None stands for one per device.

    Raises:
        ExecutorError: It is less than 1.
    """
    if workers is not None and workers < 1:
        raise ExecutorError(
            "there must be at least one worker", expected="1 or more", received=str(workers)
        )


def find_gpus(environment: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """The NVIDIA GPUs that this process may use; `CUDA_VISIBLE_DEVICES` is obeyed."""
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    installed = () if chosen is not None and not chosen.strip() else _installed_gpus()
    if chosen is None or not installed:
        return installed
    return tuple(_chosen_gpus(chosen, installed))


def _chosen_gpus(chosen: str, installed: tuple[Gpu, ...]) -> Iterator[Gpu]:
    """The entries of `CUDA_VISIBLE_DEVICES`; as in CUDA, the first invalid one ends the list."""
    for entry in (part.strip() for part in chosen.split(",")):
        if entry.isdigit() and int(entry) < len(installed):
            yield Gpu(f"gpu:{int(entry)}", entry)
        elif match := next((g for g in installed if entry and g.visible.startswith(entry)), None):
            yield match
        elif entry.startswith("MIG-"):
            yield Gpu(f"gpu:{entry}", entry)
        else:
            return


def _installed_gpus() -> tuple[Gpu, ...]:
    """All GPUs of the machine in the order of the bus, from the driver's tool or from /proc."""
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        try:
            listing = subprocess.run(
                [tool, "-L"], capture_output=True, text=True, timeout=_QUERY_SECONDS, check=True
            ).stdout
        except (OSError, subprocess.SubprocessError) as error:
            _log.warning("nvidia-smi cannot list the GPUs: %s", error)
        else:
            return parse_gpu_list(listing)
    return parse_gpu_directory(Path("/proc/driver/nvidia/gpus"))


def parse_gpu_list(listing: str) -> tuple[Gpu, ...]:
    """The GPUs in the output of `nvidia-smi -L`."""
    return tuple(Gpu(f"gpu:{index}", uuid) for index, uuid in _GPU_LINE.findall(listing))


def parse_gpu_directory(directory: Path) -> tuple[Gpu, ...]:
    """The GPUs that the driver shows as `<directory>/<bus address>/information`."""
    texts = (path.read_text() for path in sorted(directory.glob("*/information")))
    uuids = (match.group(1) for match in map(_GPU_UUID.search, texts) if match)
    return tuple(Gpu(f"gpu:{index}", uuid) for index, uuid in enumerate(uuids))


def find_cores() -> tuple[int, ...]:
    """One logical processor of each physical core this process may use, at least one.

    The affinity of the process and the CPU quota of its control groups are obeyed: a container
    that is granted two CPUs' time on a large machine gets two workers.
    """
    cores = _allowed_cores()
    quota = cpu_quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return cores if quota is None else cores[: max(1, int(quota))]


def _allowed_cores() -> tuple[int, ...]:
    return first_threads(os.sched_getaffinity(0), Path("/sys/devices/system/cpu"))


def first_threads(allowed: set[int], topology: Path) -> tuple[int, ...]:
    """The first allowed hardware thread of each physical core.

    Args:
        allowed: Logical processors to choose from.
        topology: Directory of the kernel's description, `/sys/devices/system/cpu`. A processor
            that is not described there counts as a core.
    """
    first: dict[str, int] = {}
    for cpu in sorted(allowed):
        siblings = topology / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        core = siblings.read_text().strip() if siblings.is_file() else f"alone {cpu}"
        first.setdefault(core, cpu)
    return tuple(first.values())


def cpu_quota(membership: Path, root: Path) -> float | None:
    """CPUs' worth of time that the control groups grant, or None without a limit.

    Args:
        membership: `/proc/self/cgroup`.
        root: Where the control groups are mounted, in version 1 or 2.
    """
    if not membership.is_file():
        return None
    quotas: list[float] = []
    for line in membership.read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / controllers if controllers else root
        inside = PurePosixPath(group.lstrip("/"))
        for part in (inside, *inside.parents):
            quotas.extend(_quotas_of(mount / part))
    return min(quotas, default=None)


def _quotas_of(group: Path) -> Iterator[float]:
    unified = group / "cpu.max"
    if unified.is_file():
        quota, period = unified.read_text().split()
        if quota != "max":
            yield int(quota) / int(period)
    quota_file, period_file = group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us"
    if quota_file.is_file() and period_file.is_file():
        microseconds = int(quota_file.read_text())
        if microseconds > 0:
            yield microseconds / int(period_file.read_text())
