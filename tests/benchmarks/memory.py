"""How much memory does a worker take, for itself, for each program and for each slot?

    python tests/benchmarks/memory.py --out FILE

Every figure is the resident memory of a process of its own that trains on a core as a worker
does, on random images in CIFAR-10's shape; pages of the image files, which all workers share,
are left out. Programs are compiled, not read from disk. It takes about four minutes.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from throughput_machine import machine
from throughput_trials import TRAIN_IMAGES, images

from sweep.data import DataRef

MIB = 1 << 20
SLOTS = (1, 4, 16)
PROGRAMS = 8
SAMPLE_SECONDS = 0.005


class Peak:
    """The most private memory of this process while a block runs."""

    def __enter__(self) -> "Peak":
        """Begin to look."""
        self.bytes = private_bytes()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Look a last time."""
        self._done.set()
        self._thread.join()
        self.bytes = max(self.bytes, private_bytes())

    def _look(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self.bytes = max(self.bytes, private_bytes())


def private_bytes() -> int:
    """Resident memory without pages of files."""
    _, resident, shared = Path("/proc/self/statm").read_text().split()[:3]
    return (int(resident) - int(shared)) * resource.getpagesize()


def measure_programs(data: DataRef) -> dict[str, int]:
    """Memory of a worker that has loaded all, and what each further structure adds."""
    from sweep.engines.fused.engine import FusedEngine
    from sweep.trial import StopReason, TrialConfig, TrialTask

    engine = FusedEngine(data, "cpu:0")
    ready = private_bytes()
    grown = []
    with Peak() as peak:
        for number in range(PROGRAMS):
            config = TrialConfig(width=100 + number, epochs=1)
            engine.admit(TrialTask(number, config, seed=number))
            engine.run_epoch()
            engine.retire(number, StopReason.COMPLETED, None)
            grown.append(private_bytes())
    per_program = (grown[-1] - grown[0]) // (PROGRAMS - 1)
    return {"ready": ready, "peak": peak.bytes, "per_program": per_program}


def measure_slots(data: DataRef, optimizer: str, slots: int) -> dict[str, int]:
    """Peak of an epoch of a cohort above what the process had before, and what is reckoned."""
    from sweep.engines.fused.engine import FusedEngine
    from sweep.engines.fused.footprint import slot_bytes
    from sweep.engines.fused.key import fusion_key
    from sweep.trial import StopReason, TrialConfig, TrialTask

    engine = FusedEngine(data, "cpu:0", capacity=slots)
    config = TrialConfig(optimizer=optimizer, learning_rate=1e-4, epochs=2)

    def train() -> None:
        for number in range(slots):
            engine.admit(TrialTask(number, config, seed=number))
        engine.run_epoch()
        engine.run_epoch()
        for number in range(slots):
            engine.retire(number, StopReason.COMPLETED, None)

    train()
    with Peak() as peak:
        before = peak.bytes
        train()
    reckoned = slots * slot_bytes(fusion_key(config), data.classes, 4)
    return {"before": before, "peak": peak.bytes, "reckoned": reckoned}


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def apart(function: Callable[..., dict[str, int]], *arguments: Any) -> dict[str, int]:
    """What a function gives in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--images", type=int, default=TRAIN_IMAGES, help="training images")
    arguments = parser.parse_args()
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    facts: dict[str, Any] = machine() | {"images": arguments.images}
    with tempfile.TemporaryDirectory() as scratch:
        data = images(None, arguments.images, Path(scratch))
        worker = apart(measure_programs, data)
        facts["worker"] = worker
        say(f"worker ready            {worker['ready'] / MIB:8.0f} MiB")
        say(f"its peak, {PROGRAMS} structures {worker['peak'] / MIB:10.0f} MiB")
        say(f"each further structure  {worker['per_program'] / MIB:8.1f} MiB")
        facts["slots"] = []
        for optimizer in ("sgd", "adam"):
            for slots in SLOTS:
                found = apart(measure_slots, data, optimizer, slots)
                facts["slots"].append({"optimizer": optimizer, "slots": slots, **found})
                say(
                    f"{optimizer:5}{slots:4} slots: {found['peak'] / MIB:6.0f} MiB at the peak, "
                    f"{found['reckoned'] / slots / MIB:5.1f} MiB a slot reckoned"
                )
    if arguments.out:
        arguments.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
