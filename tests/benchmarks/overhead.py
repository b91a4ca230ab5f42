"""What does the service cost beside the training? A PostgreSQL server, 64 slots, 0.3 s epochs.

    python tests/benchmarks/overhead.py --out FILE

The engine sleeps for 0.3 s an epoch, in a worker process as always; space, sampler (TPE), pruner
(ASHA) and epochs are those of `studies/deep_cifar10.yaml`. Overhead is the share of the
slots' time in which nothing trains, over a minute in the middle of a run: the driver judging an
epoch while its worker waits, and slots that wait for a trial. Measured with so many earlier trials
in the study, and with many drivers in one study: those have epochs of 3 s, since they share the
cores that twenty machines would have. Beside them the same slots in a stock Optuna loop
(`ask`, `report`, `should_prune`, `tell` on `RDBStorage`, same sampler and pruner). It takes about
ten minutes, and wants the machine for itself.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path += [str(HERE.parent / "store"), str(HERE)]

import optuna  # noqa: E402
from overhead_history import add_history, suggest_all  # noqa: E402
from postgres_server import running_server  # noqa: E402
from sleeping_engine import EPOCH_VARIABLE, SLOTS_VARIABLE, accuracy_of  # noqa: E402
from throughput_machine import machine  # noqa: E402

from sweep.data import prepare  # noqa: E402
from sweep.driver import StopFlag, run_study  # noqa: E402
from sweep.driver.progress import Progress  # noqa: E402
from sweep.driver.provenance import study_record  # noqa: E402
from sweep.executors.devices import Device  # noqa: E402
from sweep.executors.process import ProcessExecutor  # noqa: E402
from sweep.space import SearchSpace  # noqa: E402
from sweep.spec import load_study  # noqa: E402
from sweep.spec.model import StudySpec  # noqa: E402
from sweep.spec.tree import most_epochs  # noqa: E402
from sweep.store import Store  # noqa: E402

WARM_UP_SECONDS = 25.0
EPOCH_SECONDS = 0.3
WORKERS_EPOCH_SECONDS = 3.0
STUDY = "overhead"


def spec_of(trials: int) -> StudySpec:
    changes = {
        "study": STUDY,
        "data": "{name: synthetic, train_images: 64}",
        "engine": "reference",
        "budget.trials": trials,
        "keep_weights": 1,
    }
    file = HERE.parents[1] / "studies" / "deep_cifar10.yaml"
    return load_study(file, [f"{key}={value}" for key, value in changes.items()])


class Clock:
    """A watcher that ends the run after a time, counted from its first epoch."""

    def __init__(self, seconds: float) -> None:
        self.stop = StopFlag()
        self.began: float | None = None
        self._seconds = seconds

    def update(self, progress: Progress) -> None:
        if self.began is None and progress.trial_epochs:
            self.began = time.monotonic()
        if self.began is not None and time.monotonic() - self.began > self._seconds:
            self.stop.request()

    def message(self, text: str) -> None:
        pass


def drive(url: str, seconds: float, name: str) -> dict[str, Any]:
    """One run of the study, of one worker, for so long; how its time was spent."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    spec = spec_of(1_000_000)
    data = prepare(spec.data, data_dir=None, progress=lambda _: None)
    watcher = Clock(seconds)
    with tempfile.TemporaryDirectory() as directory, Store.open(url, create=False) as store:
        executor = ProcessExecutor(
            spec.engine,
            data,
            devices=(Device(name, "cpu:0", None, "-1"),),
            log_dir=Path(directory),
            factory="sleeping_engine:make_engine",
        )
        progress = run_study(
            spec,
            store=store,
            executor=executor,
            data=data,
            watcher=watcher,
            artifacts=Path(directory),
            stop=watcher.stop,
        )
    split = progress.time
    return {
        "sampling_seconds": split.sampling_seconds,
        "storage_seconds": split.storage_seconds,
        "waiting_share": split.idle_seconds / split.worker_seconds,
    }


def overhead_of(url: str, slots: int, seconds: float, epoch_seconds: float) -> dict[str, float]:
    """The share of the slots' time without training, in the middle of the run."""
    with Store.open(url, create=False) as store:
        times = sorted(
            row["reported_at"]
            for row in store.epoch_rows(STUDY)
            if row["reported_at"] > datetime.now(UTC) - timedelta(hours=1)
        )
    begin = times[0] + timedelta(seconds=WARM_UP_SECONDS)
    middle = [when for when in times if begin <= when < begin + timedelta(seconds=seconds)]
    # From one report to another, lest a part of an epoch counts as none or as a whole one.
    first, last = middle[0], middle[-1]
    trained = sum(first < when for when in middle) * epoch_seconds
    whole = slots * (last - first).total_seconds()
    return {"trial_epochs": len(times), "overhead": 1.0 - trained / whole}


def ours(
    server: Any, earlier: int, workers: int, slots: int, seconds: float, epoch_seconds: float
) -> dict[str, Any]:
    url = server.url(server.new_database())
    make_study(url, earlier)
    environment = os.environ | {
        SLOTS_VARIABLE: str(slots),
        EPOCH_VARIABLE: str(epoch_seconds),
    }
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), *filter(None, sys.path)])
    length = str(WARM_UP_SECONDS + seconds + 10.0)
    commands = [
        [sys.executable, __file__, "--drive", length, "--worker", f"cpu{number}"]
        for number in range(workers)
    ]
    processes = [
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for command in commands
    ]
    outputs = [process.communicate(url)[0] for process in processes] if workers == 1 else []
    if workers > 1:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(url)
            process.stdin.close()
        outputs = [process.stdout.read() for process in processes if process.stdout]
        for process in processes:
            process.wait()
    splits = [json.loads(output) for output in outputs]
    found = overhead_of(url, slots * workers, seconds, epoch_seconds)
    mean = {key: sum(s[key] for s in splits) / len(splits) for key in splits[0]}
    what = {"earlier": earlier, "workers": workers, "slots": slots, "epoch_seconds": epoch_seconds}
    return {**what, **found, **mean}


def make_study(url: str, earlier: int) -> None:
    spec = spec_of(1_000_000)
    data = prepare(spec.data, data_dir=None, progress=lambda _: None)
    with Store.open(url) as store:
        store.create_study(study_record(spec, data), ["maximize"], ["val_accuracy"])
    add_history(url, STUDY, spec, earlier)


def stock(server: Any, earlier: int, slots: int, epochs: int) -> dict[str, Any]:
    """The same slots in a loop as Optuna's documentation has it."""
    url = server.url(server.new_database())
    make_study(url, earlier)
    sampler = optuna.samplers.TPESampler(
        seed=1, n_startup_trials=40, multivariate=True, group=True, constant_liar=True
    )
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=3, reduction_factor=3)
    most = most_epochs(spec_of(1))
    storage = optuna.storages.RDBStorage(url.replace("postgresql:", "postgresql+psycopg:"))
    study = optuna.load_study(study_name=STUDY, storage=storage, sampler=sampler, pruner=pruner)
    space = SearchSpace.from_spec(spec_of(1_000_000))
    running: dict[int, tuple[optuna.trial.Trial, int]] = {}

    def ask() -> None:
        trial = study.ask()
        suggest_all(space, trial)
        running[trial.number] = (trial, 0)

    for _ in range(slots):
        ask()
    began = time.monotonic()
    for _ in range(epochs):
        time.sleep(EPOCH_SECONDS)
        for number, (trial, epoch) in list(running.items()):
            accuracy = accuracy_of(repr(trial.params), epoch + 1)
            trial.report(accuracy, epoch + 1)
            running[number] = (trial, epoch + 1)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            elif epoch + 1 == most:
                study.tell(trial, accuracy)
            else:
                continue
            del running[number]
            ask()
    seconds = time.monotonic() - began
    return {"earlier": earlier, "overhead": 1.0 - epochs * EPOCH_SECONDS / seconds}


@contextmanager
def server_with_disk() -> Iterator[Any]:
    with running_server({"fsync": "on", "autovacuum": "on", "shared_buffers": "128MB"}) as server:
        yield server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--earlier", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 20])
    parser.add_argument("--worker-slots", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--stock-epochs", type=int, default=6)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--drive", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--worker", default="cpu0", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive is not None:
        json.dump(drive(sys.stdin.read(), options.drive, options.worker), sys.stdout)
        return
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    report: dict[str, Any] = {"machine": machine(), "one_worker": [], "many": [], "stock": []}
    with server_with_disk() as server:
        for earlier in options.earlier:
            report["one_worker"].append(
                ours(server, earlier, 1, options.slots, options.seconds, EPOCH_SECONDS)
            )
            _show("one worker", report["one_worker"][-1])
            if options.stock_epochs:
                report["stock"].append(stock(server, earlier, options.slots, options.stock_epochs))
                _show("stock Optuna", report["stock"][-1])
        for workers in options.workers:
            slots, seconds = options.worker_slots, options.seconds
            few = ours(server, 1000, workers, slots, seconds, WORKERS_EPOCH_SECONDS)
            report["many"].append(few)
            _show(f"{workers} workers", few)
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=2) + "\n")


def _show(what: str, found: dict[str, Any]) -> None:
    figures = ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in found.items()
    )
    print(f"{what}: {figures}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
