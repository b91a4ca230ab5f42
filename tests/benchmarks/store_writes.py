"""What a driver's transactions cost, on SQLite and on PostgreSQL of this machine.

    python tests/benchmarks/store_writes.py [--running 64] [--finished 1000] [--rounds 40]

Per database the median milliseconds of: asking for a trial (one row of Optuna's, one parameter),
an epoch of all running trials (their learning curves and Optuna's intermediate values in one
transaction), and the end of a trial (result, attributes, state). PostgreSQL syncs to the disk at
each commit, SQLite does not: each as `sweep` uses it. Nothing else should run beside it.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna

sys.path.insert(0, str(Path(__file__).parents[1] / "store"))

from postgres_server import running_server  # noqa: E402
from store_samples import driving, report, result, task  # noqa: E402

from sweep.store import Store  # noqa: E402


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    synced = {"fsync": "on", "autovacuum": "on", "shared_buffers": "128MB"}
    with tempfile.TemporaryDirectory() as directory, running_server(synced) as server:
        yield {
            "SQLite": f"sqlite:///{directory}/sweep.db",
            "PostgreSQL": server.url(server.new_database()),
        }


def timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - begun)


def measure(url: str, running: int, finished: int, rounds: int) -> dict[str, float]:
    random.seed(0)
    with Store.open(url) as store, driving(store) as run:
        study = run.study
        study.sampler = optuna.samplers.RandomSampler(seed=0)
        took: dict[str, list[float]] = {"ask": [], "epoch": [], "end": []}
        opened: list[optuna.trial.Trial] = []

        def ask() -> None:
            with run.batch():
                trial = study.ask()
                trial.suggest_float("learning_rate", 1e-4, 0.1, log=True)
            opened.append(trial)
            run.trial_started(trial._trial_id, task(trial.number), "cpu0")

        def end() -> None:
            trial = opened.pop(0)
            with run.batch():
                run.trial_ended(trial._trial_id, result(trial.number), "cpu0")
                trial.set_user_attr("stop_reason", "completed")
                study.tell(trial, random.random())

        def epoch(number: int) -> None:
            with run.batch():
                ids = [trial._trial_id for trial in opened]
                run.epochs_finished(ids, [report(t.number, number) for t in opened])
                for trial in opened:
                    trial.report(random.random(), number)

        for _ in range(finished):
            ask()
            end()
        for _ in range(running):
            ask()
        for number in range(1, rounds + 1):
            took["epoch"].append(timed(lambda number=number: epoch(number)))
            took["end"].append(timed(end))
            took["ask"].append(timed(ask))
        return {name: statistics.median(times) for name, times in took.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--running", type=int, default=64)
    parser.add_argument("--finished", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with databases() as urls:
        for name, url in urls.items():
            found = measure(url, options.running, options.finished, options.rounds)
            print(name, {key: round(value, 1) for key, value in found.items()}, "ms")  # noqa: T201


if __name__ == "__main__":
    main()
