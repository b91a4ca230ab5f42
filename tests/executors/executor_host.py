"""A program that trains on two workers until it is killed or interrupted.

Arguments: the data as JSON, with the address of a Ray cluster if it trains there; the thread that
drives (`main` or `other`); the work of the trials. It has no `__main__` guard: a worker that
imported it again would start workers of its own.
"""

import json
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import softmax_engine as faults
from executor_contract import task

from sweep.data import DataRef
from sweep.executors.base import CohortReported, Directive, Executor, WorkerReady
from sweep.executors.process import ProcessExecutor
from sweep.executors.ray import RayExecutor

DEPTHS = {"fast": 20, "slow": faults.SLOW, "holds-interpreter": faults.HOLDS_INTERPRETER}


def report(pids: list[int]) -> None:
    sys.stdout.write(json.dumps(pids) + "\n")
    sys.stdout.flush()


interrupted = threading.Event()


def drive(setup: dict[str, object], depth: int) -> None:
    data = DataRef(
        directory=Path(str(setup["directory"])),
        name="colours",
        is_fallback=False,
        fingerprint="",
        train=tuple(setup["train"]),
        validation=tuple(setup["validation"]),
        classes=3,
    )
    pids: dict[str, int] = {}
    kind: Callable[..., Executor] = ProcessExecutor
    if "address" in setup:
        kind = partial(RayExecutor, address=setup["address"])
    with kind(
        "faulty",
        data,
        workers=2,
        log_dir=Path(str(setup["log_dir"])),
        factory="softmax_engine:make_engine",
    ) as executor:

        def obey() -> None:
            for event in executor.poll(0.2):
                match event:
                    case WorkerReady(worker=worker, pid=pid):
                        pids[worker] = pid
                        trial = task(len(pids), depth=depth, epochs=100_000)
                        executor.direct(worker, Directive(admit=(trial,)))
                        if len(pids) == 2:
                            report(list(pids.values()))
                    case CohortReported(worker=worker):
                        heard.add(worker)
                        executor.direct(worker, Directive())
                    case _:
                        raise RuntimeError(event)

        heard: set[str] = set()
        while not interrupted.is_set():
            obey()
        sys.stdout.write("interrupted\n")
        heard.clear()
        while len(heard) < 2:
            obey()
        report(list(pids.values()))


signal.signal(signal.SIGINT, lambda number, frame: interrupted.set())
arguments = (json.loads(sys.argv[1]), DEPTHS[sys.argv[3]])
if sys.argv[2] == "main":
    drive(*arguments)
else:
    threading.Thread(target=drive, args=arguments).start()
