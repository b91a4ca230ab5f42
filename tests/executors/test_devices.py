import os
import stat
from pathlib import Path

import pytest

from sweep.errors import ExecutorError
from sweep.executors import devices
from sweep.executors.devices import (
    Gpu,
    cpu_quota,
    find_cores,
    find_devices,
    find_gpus,
    first_threads,
    parse_gpu_directory,
)

UUIDS = [f"GPU-{number}2ab8b5d-1111-2222-3333-00000000000{number}" for number in range(4)]
LISTING = "".join(
    f"GPU {i}: NVIDIA H100 80GB HBM3 (UUID: {uuid})\n" for i, uuid in enumerate(UUIDS)
)
ALL = tuple(Gpu(f"gpu:{i}", uuid) for i, uuid in enumerate(UUIDS))


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A driver's tool that knows four GPUs; the path of the program."""
    (tmp_path / "listing").write_text(LISTING)
    program = tmp_path / "nvidia-smi"
    program.write_text(f'#!/bin/sh\ntest "$1" = -L && exec cat {tmp_path}/listing\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return program


@pytest.mark.usefixtures("nvidia_smi")
@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (None, ALL),
        ("", ()),
        ("-1", ()),
        ("2", (Gpu("gpu:2", "2"),)),
        ("3, 1", (Gpu("gpu:3", "3"), Gpu("gpu:1", "1"))),
        ("0,-1,1", (Gpu("gpu:0", "0"),)),
        ("0,9,1", (Gpu("gpu:0", "0"),)),
        ("GPU-22ab", (ALL[2],)),
        (UUIDS[1] + "," + UUIDS[0], (ALL[1], ALL[0])),
        ("MIG-55", (Gpu("gpu:MIG-55", "MIG-55"),)),
        ("none", ()),
    ],
)
def test_the_visible_gpus(chosen: str | None, expected: tuple[Gpu, ...]) -> None:
    environment = {} if chosen is None else {"CUDA_VISIBLE_DEVICES": chosen}
    assert find_gpus(environment) == expected


@pytest.mark.usefixtures("nvidia_smi")
def test_one_worker_for_each_gpu_or_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = find_devices()
    assert [(d.worker, d.label, d.core) for d in found] == [
        (f"gpu{i}", f"gpu:{i}", None) for i in range(4)
    ]
    assert found[3].environment() == {
        "CUDA_VISIBLE_DEVICES": UUIDS[3],
        "OPENBLAS_NUM_THREADS": "1",
    }
    assert [d.label for d in find_devices(6)][3:] == ["gpu:3", "gpu:0", "gpu:1"]
    assert [d.worker for d in find_devices(2)] == ["gpu0", "gpu1"]


def test_a_driver_that_fails_leaves_the_kernels_list(
    nvidia_smi: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nvidia_smi.write_text("#!/bin/sh\nexit 9\n")
    kernel = (Gpu("gpu:0", UUIDS[0]),)
    monkeypatch.setattr(devices, "parse_gpu_directory", lambda directory: kernel)
    assert find_gpus({}) == kernel
    assert "nvidia-smi cannot list the GPUs" in caplog.text


def test_the_kernels_list_of_gpus(tmp_path: Path) -> None:
    for address, uuid in (("0000:41:00.0", UUIDS[1]), ("0000:01:00.0", UUIDS[0])):
        (tmp_path / address).mkdir()
        text = f"Model: \t\t NVIDIA H100\nIRQ:   \t\t 99\nGPU UUID: \t {uuid}\n"
        (tmp_path / address / "information").write_text(text)
    assert parse_gpu_directory(tmp_path) == ALL[:2]
    assert parse_gpu_directory(tmp_path / "missing") == ()


def test_cores_are_shared_in_turn_by_workers_in_excess() -> None:
    cores = find_cores()
    assert set(cores) <= os.sched_getaffinity(0)
    found = find_devices(len(cores) + 1)
    assert [d.core for d in found] == [*cores, cores[0]]
    assert [d.worker for d in found] == [f"cpu{i}" for i in range(len(cores) + 1)]
    assert found[-1].environment()["CUDA_VISIBLE_DEVICES"] == "-1"


def test_workers_with_a_quota_are_not_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.executors.devices.first_threads", lambda *_: (0, 1, 2, 3))
    for quota, labels in (
        (None, ["cpu:0", "cpu:1", "cpu:2", "cpu:3"]),
        (4.0, ["cpu:0", "cpu:1", "cpu:2", "cpu:3"]),
        (2.5, ["cpu", "cpu"]),
        (0.5, ["cpu"]),
    ):
        monkeypatch.setattr("sweep.executors.devices.cpu_quota", lambda *_, quota=quota: quota)
        found = find_devices()
        assert [device.label for device in found] == labels
        assert {device.pinned for device in found} == {labels[0] != "cpu"}


def test_no_worker_is_too_few() -> None:
    with pytest.raises(ExecutorError, match="at least one worker"):
        find_devices(0)


def test_one_hardware_thread_of_each_core(tmp_path: Path) -> None:
    for cpu, siblings in enumerate(["0,4", "1,5", "2,6", "3,7"] * 2):
        (tmp_path / f"cpu{cpu}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list").write_text(siblings + "\n")
    assert first_threads(set(range(8)), tmp_path) == (0, 1, 2, 3)
    assert first_threads({5, 1, 6, 7}, tmp_path) == (1, 6, 7)
    assert first_threads({8, 9}, tmp_path) == (8, 9), "undescribed"


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/pod/box\n", {"pod/box/cpu.max": "max 100000"}, None),
        ("0::/pod/box\n", {"pod/cpu.max": "150000 100000", "pod/box/cpu.max": "max 100000"}, 1.5),
        ("0::/\n", {"cpu.max": "400000 100000"}, 4.0),
        (
            "5:cpu,cpuacct:/box\n4:memory:/box\n0::/\n",
            {
                "cpu,cpuacct/box/cpu.cfs_quota_us": "200000",
                "cpu,cpuacct/box/cpu.cfs_period_us": "100000",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            2.0,
        ),
    ],
)
def test_the_quota_of_the_control_groups(
    tmp_path: Path, membership: str, files: dict[str, str], expected: float | None
) -> None:
    (tmp_path / "membership").write_text(membership)
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text + "\n")
    assert cpu_quota(tmp_path / "membership", tmp_path / "root") == expected
    assert cpu_quota(tmp_path / "missing", tmp_path / "root") is None
