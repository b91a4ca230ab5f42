"""Chaos: workers, two studies and a database server, killed and stopped at random.

    python tests/chaos/chaos.py [--kills 200] [--seed 1] [--workers 3] [--trials 60] [--out FILE]

Supervisors of `sweep worker`, their agents and the training processes get SIGKILL; agents get
SIGSTOP until their leases have expired and are taken over, then SIGCONT; the PostgreSQL server is
crashed once and started again. In the end, each study must have exactly the trials that were asked
for, each in one final state with all its epochs, and with the figures of a run that nobody
disturbed; no lease, lock, checkpoint or process may be left. Prints what was done and found.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
for directory in ("store", "executors", "chaos"):
    sys.path.insert(0, str(HERE.parent / directory))

import optuna  # noqa: E402
import psutil  # noqa: E402
from postgres_server import PostgresServer, running_server  # noqa: E402
from processes import is_gone, wait_until  # noqa: E402

from sweep.driver.provenance import study_record  # noqa: E402
from sweep.spec import parse_study  # noqa: E402
from sweep.store import Store  # noqa: E402
from sweep.store.leases import LEASE_SECONDS  # noqa: E402

STUDIES = ("azure", "crimson")
STUDY = """
study: {name}
data: {{name: synthetic, train_images: 400}}
fixed: {{epochs: {epochs}, batch_size: 32}}
search:
  activation: [relu, selu, tanh]
  learning_rate: {{low: 1.0e-3, high: 1.0, log: true}}
budget: {{trials: {trials}}}
sampler: {{name: random}}
pruner: {{name: none}}
engine: reference
keep_weights: 2
"""
WEIGHTS = {"supervisor": 3, "agent": 4, "training": 3}
MARKER = "SWEEP_CHAOS_TEST"
PROGRAMS = {"agent": "sweep.cli.agents", "training": "sweep.executors.worker"}
# Its trials must be taken over before it goes on: the lease, and the look of another run.
STOP_SECONDS = LEASE_SECONDS + 15.0
LOST_TWICE = "worker lost in attempt"


@dataclass
class Team:
    """The supervisors of `sweep worker`, each in a session of its own."""

    url: str
    home: Path
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    processes: list["subprocess.Popen[str]"] = field(default_factory=list)

    def start(self, *options: str) -> None:
        paths = [str(HERE), str(HERE.parent / "executors"), *filter(None, sys.path)]
        with (self.home / f"worker-{len(self.processes)}.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, str(HERE / "chaos_worker.py"), str(self.home), *options],
                stdin=subprocess.PIPE,
                stderr=log,
                env=os.environ | {MARKER: self.token, "PYTHONPATH": os.pathsep.join(paths)},
                text=True,
                start_new_session=True,
            )
        assert process.stdin is not None
        with process.stdin as words:
            words.write(self.url + "\n")
        self.processes.append(process)

    def replace_dead(self) -> None:
        for process in [p for p in self.processes if p.poll() is not None]:
            self.processes.remove(process)
            self.start()

    def members(self) -> list[psutil.Process]:
        """All processes that this team started, however far down."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARKER) == self.token and not is_gone(process.pid):
                    found.append(process)
        return found

    def of_kind(self, kind: str) -> list[psutil.Process]:
        if kind == "supervisor":
            return [psutil.Process(p.pid) for p in self.processes if p.poll() is None]
        found = []
        for process in self.members():
            with contextlib.suppress(psutil.Error):
                if PROGRAMS[kind] in process.cmdline():
                    found.append(process)
        return found

    def end(self) -> list[int]:
        for process in self.processes:
            process.terminate()
        return [process.wait(timeout=120) for process in self.processes]


@dataclass
class Chaos:
    """What is done to a team."""

    team: Team
    server: PostgresServer
    dice: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    stopped: dict[int, float] = field(default_factory=dict)
    stops: int = 0
    restarts: int = 0

    def strike(self) -> None:
        """Kill one process, of a kind and at a moment that the dice choose."""
        time.sleep(self.dice.uniform(0.2, 3.0))
        self.wake()
        kind = self.dice.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
        victims = [p for p in self.team.of_kind(kind) if p.pid not in self.stopped]
        if victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                self.dice.choice(victims).kill()
                self.kills[kind] += 1
        self.team.replace_dead()

    def stop_one(self) -> None:
        """Stop an agent as a machine that sleeps would."""
        agents = [p for p in self.team.of_kind("agent") if p.pid not in self.stopped]
        if agents:
            agent = self.dice.choice(agents)
            with contextlib.suppress(psutil.NoSuchProcess):
                agent.suspend()
                self.stopped[agent.pid] = time.monotonic() + STOP_SECONDS
                self.stops += 1

    def wake(self, *, all_of_them: bool = False) -> None:
        for pid, until in list(self.stopped.items()):
            if all_of_them or time.monotonic() >= until:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
                del self.stopped[pid]

    def restart_server(self) -> None:
        self.server.stop("immediate")
        time.sleep(self.dice.uniform(0.5, 3.0))
        self.server.start()
        self.restarts += 1


def submit(url: str, trials: int, epochs: int) -> None:
    with Store.open(url) as store:
        for name in STUDIES:
            spec = parse_study(STUDY.format(name=name, trials=trials, epochs=epochs))
            store.create_study(study_record(spec, None), ["maximize"], ["val_accuracy"])
            store.queue.submit(name, priority=0, weight=1.0)


def finished(store: Store, trials: int) -> bool:
    rows = store.study_rows()
    ended = ("COMPLETE", "PRUNED", "FAIL")
    return all(sum(row["counts"].get(s, 0) for s in ended) >= trials for row in rows)


def figures(url: str) -> dict[str, dict[int, Any]]:
    """Everything that training found out, by study and trial, without times and places."""
    found: dict[str, dict[int, Any]] = {}
    metrics = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    with Store.open(url, create=False) as store:
        for name in STUDIES:
            curves: dict[int, list[Any]] = {}
            for row in store.epoch_rows(name):
                curves.setdefault(row["number"], []).append([row[m] for m in metrics])
            found[name] = {
                row["number"]: (row["state"], row["values"], row["params"], curves[row["number"]])
                for row in store.trial_rows(name)
                if row["state"] == "COMPLETE"
            }
    return found


def problems(url: str, home: Path, trials: int, epochs: int) -> Iterator[str]:
    """What is not as it must be in the end, in words."""
    with Store.open(url, create=False) as store:
        for name in STUDIES:
            rows = store.trial_rows(name)
            if [row["number"] for row in rows] != list(range(trials)):
                yield f"{name}: {len(rows)} trials instead of {trials}"
            for row in rows:
                trial = f"{name}, trial {row['number']}"
                if row["state"] not in ("COMPLETE", "FAIL"):
                    yield f"{trial}: state {row['state']}"
                if row["state"] == "FAIL" and not row["error"].startswith(LOST_TWICE):
                    yield f"{trial}: {row['error']}"
                curve = [e["epoch"] for e in store.epoch_rows(name, row["number"])]
                last = epochs if row["stop_reason"] == "completed" else row["epochs"]
                if row["state"] == "COMPLETE" and curve != list(range(1, last + 1)):
                    yield f"{trial}: epochs {curve}"
            if leases := store.lease_rows(name):
                yield f"{name}: leases are left: {leases}"
            if drivers := store.drivers(name):
                yield f"{name}: driven by {drivers}"
            named = {Path(row["weights"]).name for row in rows if row["weights"]}
            files = {path.name for path in (home / "artifacts" / name).iterdir()}
            if files != named or len(named) != min(2, trials):
                yield f"{name}: files {sorted(files)}, of which {sorted(named)} have a name"
        if agents := store.queue.agents():
            yield f"agents are left: {agents}"


def difference(calm: tuple[Any, ...], wild: tuple[Any, ...]) -> str:
    """In what the figures of a trial differ from those of the undisturbed one."""
    names = ("state", "values", "params")
    for name, expected, received in zip(names, calm, wild, strict=False):
        if expected != received:
            return f"{name} {received} instead of {expected}"
    pairs = zip(calm[3], wild[3], strict=False)
    first = next(((one, other) for one, other in pairs if one != other), None)
    if first is None:
        return f"{len(wild[3])} epochs instead of {len(calm[3])}"
    return f"an epoch of {first[1]} instead of {first[0]}"


def late_epochs(server: PostgresServer, database: str) -> int:
    with server.connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM sweep_late_epochs").fetchone()
    return int(row[0]) if row else 0


def locks(server: PostgresServer) -> int:
    with server.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        ).fetchone()
    return int(row[0]) if row else 0


def undisturbed(home: Path, trials: int, epochs: int) -> dict[str, dict[int, Any]]:
    url = f"sqlite:///{home / 'sweep.db'}"
    submit(url, trials, epochs)
    team = Team(url, home)
    team.start("--idle-exit")
    assert team.processes[0].wait(timeout=1200) == 0
    return figures(url)


def run(
    *, kills: int, seed: int, workers: int, trials: int, epochs: int, stops: int
) -> dict[str, Any]:
    """Do it; returns a report, whose `problems` should be empty."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with (
        tempfile.TemporaryDirectory(prefix="sweep-chaos-") as directory,
        running_server() as server,
    ):
        home = Path(directory)
        (home / "calm").mkdir()
        calm = undisturbed(home / "calm", trials, epochs)
        database = server.new_database()
        url = server.url(database)
        submit(url, trials, epochs)
        team = Team(url, home)
        chaos = Chaos(team, server, random.Random(seed))
        began = time.monotonic()
        for _ in range(workers):
            team.start()
        turns = sorted(chaos.dice.sample(range(1, kills), stops + 1))
        restart_at = turns.pop(len(turns) // 2)
        store = Store.open(url, create=False)
        while chaos.kills.total() < kills and not finished(store, trials):
            chaos.strike()
            if chaos.kills.total() >= restart_at and not chaos.restarts:
                chaos.restart_server()
            if turns and chaos.kills.total() >= turns[0]:
                turns.pop(0)
                chaos.stop_one()
        while not wait_until(lambda: finished(store, trials), 2.0):
            chaos.wake()
            team.replace_dead()
            if time.monotonic() - began > 3600:
                break
        seconds = time.monotonic() - began
        # Those that sleep still are dead to the others; what they have to say comes too late.
        chaos.wake(all_of_them=True)
        codes = team.end()
        store.close()
        found = list(problems(url, home, trials, epochs))
        found += [f"exit code {code}" for code in codes if code]
        if not wait_until(lambda: not team.members(), 20.0):
            found += [f"left over: {process.cmdline()}" for process in team.members()]
        if not wait_until(lambda: locks(server) == 0, 20.0):
            found.append(f"{locks(server)} advisory locks are held")
        wild = figures(url)
        for name in STUDIES:
            for number, trial in wild[name].items():
                if calm[name][number] != trial:
                    found.append(
                        f"{name}, trial {number}: {difference(calm[name][number], trial)}"
                    )
        return {
            "seed": seed,
            "seconds": round(seconds, 1),
            "kills": dict(chaos.kills),
            "stops": chaos.stops,
            "server_crashes": chaos.restarts,
            "trials": {name: len(wild[name]) for name in STUDIES},
            "lost_twice": 2 * trials - sum(len(wild[name]) for name in STUDIES),
            "late_epochs": late_epochs(server, database),
            "problems": found,
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--trials", type=int, default=60, help="of each study")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--stops", type=int, default=4)
    parser.add_argument("--out", type=Path)
    options = vars(parser.parse_args())
    out = options.pop("out")
    report = run(**options)
    text = json.dumps(report, indent=2)
    print(text)  # noqa: T201
    if out is not None:
        out.write_text(text + "\n")
    return 1 if report["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
