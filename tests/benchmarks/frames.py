"""How long do frames take, and how much memory, beside Optuna's own ways to the same trials?

    python tests/benchmarks/frames.py [--trials 1000 10000] [--epochs 50] [--rounds 3] --out FILE

One database holds Optuna's rows and ours, as a run leaves them. Each reading is a process of its
own, that opens the database anew: `frames` (trials, epochs and workers by `sweep`), `effects`
(the same and all effects), `trials_dataframe` (Optuna's, which holds no epochs), `history`
(`optuna.visualization.plot_optimization_history`) and `curves`
(`plot_intermediate_values`: what `frames` holds as epochs). Time from opening the database on,
imports left out, by the clock and by the processor, whose time others disturb less; the ratios are
of the latter. Memory is the peak of the process above what it had after its imports.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import optuna
from memory import MIB, Peak, apart, say
from throughput_machine import machine

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "report"), str(TESTS / "store")]

STUDY = "big"


def read_frames(url: str) -> None:
    """Ours."""
    import sweep

    sweep.load(STUDY, url)


def read_effects(url: str) -> None:
    """Ours, and every effect."""
    import sweep

    sweep.load(STUDY, url).effects  # noqa: B018 - computed when it is asked for


def read_trials_dataframe(url: str) -> None:
    """Optuna's."""
    optuna.load_study(study_name=STUDY, storage=url).trials_dataframe()


def read_history(url: str) -> None:
    """Optuna's figure of all trials."""
    study = optuna.load_study(study_name=STUDY, storage=url)
    optuna.visualization.plot_optimization_history(study)


def read_curves(url: str) -> None:
    """Optuna's figure of all learning curves."""
    study = optuna.load_study(study_name=STUDY, storage=url)
    optuna.visualization.plot_intermediate_values(study)


READINGS: dict[str, Callable[[str], None]] = {
    "frames": read_frames,
    "effects": read_effects,
    "trials_dataframe": read_trials_dataframe,
    "history": read_history,
    "curves": read_curves,
}


def measure(name: str, url: str) -> dict[str, int]:
    """Milliseconds, those of the processor, and bytes at the peak above those before."""
    import sweep.report.load  # noqa: F401 - imports are not what is measured

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.visualization.is_available()
    with Peak() as peak:
        before = peak.bytes
        begun, busy = time.perf_counter(), time.process_time()
        READINGS[name](url)
        took, busy = time.perf_counter() - begun, time.process_time() - busy
    return {
        "milliseconds": round(1000 * took),
        "busy_milliseconds": round(1000 * busy),
        "bytes": peak.bytes - before,
    }


@contextmanager
def database(postgresql: bool) -> Iterator[str]:
    """An empty one."""
    from postgres_server import running_server

    if postgresql:
        with running_server() as server:
            yield server.url(server.new_database())
    else:
        with tempfile.TemporaryDirectory() as directory:
            yield f"sqlite:///{directory}/sweep.db"


def fill(url: str, trials: int, epochs: int) -> dict[str, int]:
    """Write the study."""
    import big_study

    from sweep.store import Store

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with Store.open(url) as store:
        big_study.fill(store, trials, epochs, name=STUDY)
    return {}


def medians(url: str, rounds: int) -> dict[str, dict[str, float]]:
    """Each reading, some rounds of all of them in turn."""
    found: dict[str, list[dict[str, int]]] = {name: [] for name in READINGS}
    for _ in range(rounds):
        for name, taken in found.items():
            taken.append(apart(measure, name, url))
    return {
        name: {
            "seconds": median(one["milliseconds"] for one in taken) / 1000,
            "busy_seconds": median(one["busy_milliseconds"] for one in taken) / 1000,
            "mib": round(median(one["bytes"] for one in taken) / MIB, 1),
        }
        for name, taken in found.items()
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgresql", action="store_true", help="a server instead of a file")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    kind = "PostgreSQL" if arguments.postgresql else "SQLite"
    facts: dict[str, Any] = machine() | {
        "database": kind,
        "epochs": arguments.epochs,
        "rounds": arguments.rounds,
    }
    facts["sizes"] = []
    for trials in arguments.trials:
        with database(arguments.postgresql) as url:
            apart(fill, url, trials, arguments.epochs)
            found = medians(url, arguments.rounds)
        facts["sizes"].append({"trials": trials, "readings": found})
        say(f"{trials} trials of {arguments.epochs} epochs, {kind}")
        ours = found["frames"]
        for name, reading in found.items():
            say(
                f"  {name:17}{reading['seconds']:8.2f} s, busy {reading['busy_seconds']:7.2f} s "
                f"{reading['mib']:6.0f} MiB"
                f"{reading['busy_seconds'] / ours['busy_seconds']:7.1f} times frames"
            )
    if arguments.out:
        arguments.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
