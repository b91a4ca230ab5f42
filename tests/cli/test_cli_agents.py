"""`sweep submit` and `sweep worker` on several machines, and all that may happen to them."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from machines import AGENT, TRAINING, Machine, namespaces
from postgres_server import PASSWORD, running_server
from processes import is_gone, wait_until

from sweep.store import Store

STUDY = """
study: {name}
data: {{name: synthetic, train_images: 400}}
fixed: {{epochs: 15, batch_size: 32}}
search:
  activation: [relu, selu, tanh]
  learning_rate: {{low: 1.0e-3, high: 1.0, log: true}}
budget: {{trials: 12}}
sampler: {{name: random}}
engine: reference
keep_weights: 2
"""
STUDIES = ("azure", "crimson")
TRIALS, EPOCHS = 12, 15
SECRET = PASSWORD.partition(" ")[0]
METRICS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


@dataclass
class Site:
    """Two machines with workers, a third to give orders from, and one database."""

    url: str
    artifacts: Path
    desk: Machine
    first: Machine
    second: Machine

    @property
    def machines(self) -> tuple[Machine, ...]:
        return (self.desk, self.first, self.second)

    def start(self, machine: Machine, *options: str) -> None:
        machine.start("--artifacts", str(self.artifacts), *options)

    def submit(self, name: str, *options: str) -> None:
        file = self.desk.directory / f"{name}.yaml"
        file.write_text(STUDY.format(name=name))
        done = self.desk.sweep("submit", file.name, *options)
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout + done.stderr

    def order(self, *words: str) -> str:
        done = self.desk.sweep(*words)
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout + done.stderr
        return done.stdout

    def read(self, reader: Callable[[Store], Any]) -> Any:
        with Store.open(self.url, create=False) as store:
            return reader(store)

    def epochs(self, study: str) -> int:
        return int(self.read(lambda store: len(store.epoch_rows(study))))

    def rows(self, study: str, state: str) -> list[int]:
        rows = self.read(lambda store: store.trial_rows(study))
        return [row["number"] for row in rows if row["state"] == state]

    def finished(self, study: str) -> int:
        return sum(len(self.rows(study, state)) for state in ("COMPLETE", "PRUNED", "FAIL"))

    def serving(self) -> list[str | None]:
        return [a["study"] for a in self.read(lambda store: store.queue.agents())]

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
        if not wait_until(condition, seconds):
            logs = [m.log for m in (self.first, self.second) if m.worker is not None]
            pytest.fail(f"{what}: not within {seconds} s\n" + "\n---\n".join(logs))

    def moves(self, study: str) -> None:
        """Wait until a study is trained further."""
        before = self.epochs(study)
        self.wait_for(lambda: self.epochs(study) > before, f"{study} is trained")

    def figures(self, study: str) -> dict[int, Any]:
        """All that training found out, by trial, without times and places."""

        def read(store: Store) -> dict[int, Any]:
            return {
                row["number"]: (
                    row["state"],
                    row["values"],
                    row["params"],
                    [
                        [e[name] for name in METRICS]
                        for e in store.epoch_rows(study, row["number"])
                    ],
                )
                for row in store.trial_rows(study)
            }

        found: dict[int, Any] = self.read(read)
        return found


def site_of(home: Path, url: str, prefixes: tuple[tuple[str, str], ...] = ()) -> Site:
    machines = []
    for number, name in enumerate(("desk", "first", "second")):
        storage, prefix = url, ()
        if prefixes and number:
            namespace, address = prefixes[number - 1]
            storage = url.replace("127.0.0.1", address)
            prefix = ("ip", "netns", "exec", namespace)
        machines.append(Machine(home / name, storage, prefix))
    return Site(url, home / "artifacts", *machines)


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes sites, of which nothing is left after the test."""
    made: list[Site] = []

    def make(name: str, url: str = "", prefixes: tuple[tuple[str, str], ...] = ()) -> Site:
        home = tmp_path / name
        home.mkdir()
        made.append(site_of(home, url or f"sqlite:///{home / 'sweep.db'}", prefixes))
        return made[-1]

    yield make
    for machine in (machine for site in made for machine in site.machines):
        machine.clear()


@pytest.fixture
def site(sites: Callable[..., Site]) -> Site:
    return sites("site")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, Any]]:
    """The figures of both studies when nothing happens to their only worker."""
    home = tmp_path_factory.mktemp("calm")
    calm = site_of(home, f"sqlite:///{home / 'sweep.db'}")
    try:
        for name in STUDIES:
            calm.submit(name)
        calm.start(calm.first, "--idle-exit")
        assert calm.first.worker is not None
        assert calm.first.worker.wait(240) == 0, calm.first.log
        assert "no study has work: done" in calm.first.log
        assert calm.first.vanishes()
        assert calm.read(lambda store: store.queue.agents()) == []
        figures = {name: calm.figures(name) for name in STUDIES}
    finally:
        calm.first.clear()
    for trials in figures.values():
        assert [*trials] == [*range(TRIALS)]
        assert {state for state, *_ in trials.values()} == {"COMPLETE"}
    return figures


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, sites: Callable[..., Site]) -> Iterator[Site]:
    """A site on each kind of database; with a server, workers are behind networks of their own."""
    if request.param == "sqlite":
        yield sites("shared")
        return
    with ExitStack() as stack:
        made = stack.enter_context(namespaces(2))
        server = stack.enter_context(running_server({"listen_addresses": "*"}))
        with (server.directory / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.203.0.0/16 scram-sha-256\n")
        server.execute("SELECT pg_reload_conf()")
        site = sites("shared", server.url(server.new_database()), tuple(made))
        yield site
        for machine in site.machines:
            machine.clear()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_happens_to_workers_and_studies(
    shared: Site, calm: dict[str, dict[int, Any]]
) -> None:
    first, second = shared.first, shared.second
    for name in STUDIES:
        shared.submit(name)
    shared.start(first)
    shared.start(second)
    shared.wait_for(lambda: sorted(map(str, shared.serving())) == [*STUDIES], "one for each")
    for name in STUDIES:
        shared.moves(name)
    for machine in (first, second):
        assert len(machine.members(AGENT)) == len(machine.members(TRAINING)) == 1
        assert not [line for line in machine.command_lines() if SECRET in line]

    # Pause and resume.
    asked = time.monotonic()
    assert shared.order("pause", "azure") == "azure is paused\n"
    assert time.monotonic() - asked < 15
    paused = shared.epochs("azure")
    shared.moves("crimson")
    shared.wait_for(lambda: shared.serving() == ["crimson"] * 2, "both serve what is left")
    assert shared.epochs("azure") == paused
    assert shared.order("resume", "azure") == "azure may go on\n"
    shared.moves("azure")

    # A worker is killed: what it had started ends, and its trials go on with the same figures.
    first.signal(signal.SIGKILL)
    assert first.vanishes(), first.command_lines()
    shared.start(first)

    # An agent is killed: its trials' processes end, and its parent starts another one.
    shared.wait_for(lambda: len(second.members(TRAINING)) == 1, "the second trains")
    (agent,), (training,) = second.members(AGENT), second.members(TRAINING)
    os.kill(agent, signal.SIGKILL)
    assert wait_until(lambda: is_gone(training), 10)
    shared.wait_for(lambda: bool(set(second.members(AGENT)) - {agent}), "another agent")
    assert "[cpu0] its process ended with signal SIGKILL; a new one in" in second.log

    # What is urgent comes first; it is cancelled.
    shared.submit("doomed", "--priority", "1", "--set", "fixed.epochs=100000")
    shared.wait_for(lambda: shared.serving() == ["doomed"] * 2, "all serve what is urgent")
    shared.moves("doomed")
    cancelled = shared.order("cancel", "doomed")
    assert cancelled.startswith("doomed is cancelled, ")
    assert shared.rows("doomed", "RUNNING") == shared.rows("doomed", "COMPLETE") == []
    assert shared.read(lambda store: store.lease_rows("doomed")) == []

    # A worker is asked to end: what it trained goes on elsewhere.
    shared.wait_for(lambda: "doomed" not in shared.serving(), "back to the others")
    assert second.terminate() == 0
    assert second.vanishes()
    assert len(shared.read(lambda store: store.queue.agents())) == 1
    shared.start(second)

    # Stop: nothing begins, what trains ends.
    if shared.finished("crimson") < TRIALS:
        shared.order("stop", "crimson")
        shared.wait_for(lambda: not shared.read(lambda s: s.drivers("crimson")), "it has ended")
        stopped = shared.epochs("crimson")
        shared.moves("azure") if shared.finished("azure") < TRIALS else time.sleep(2)
        assert shared.epochs("crimson") == stopped
        shared.order("resume", "crimson")

    for name in STUDIES:
        shared.wait_for(lambda name=name: shared.finished(name) >= TRIALS, f"{name} ends", 240)
    shared.wait_for(lambda: shared.serving() == [None, None], "nothing is left to do")
    assert [machine.terminate() for machine in (first, second)] == [0, 0]
    assert all(machine.vanishes() for machine in (first, second))
    assert shared.read(lambda store: store.queue.agents()) == []
    for name in STUDIES:
        assert shared.figures(name) == calm[name]
        assert shared.read(lambda store, name=name: store.lease_rows(name)) == []
        assert shared.read(lambda store, name=name: store.drivers(name)) == []
    logs = first.log + second.log
    assert SECRET not in logs
    assert "Traceback" not in logs


@pytest.mark.slow
def test_the_second_request_to_end_is_obeyed_at_once(site: Site) -> None:
    site.submit("azure", "--set", "fixed.epochs=100000", "--set", "fixed.batch_size=1")
    site.start(site.first)
    site.moves("azure")
    (agent,) = site.first.members(AGENT)
    # It cannot finish its epoch while its training process is stopped.
    (training,) = site.first.members(TRAINING)
    os.kill(training, signal.SIGSTOP)
    site.first.signal(signal.SIGTERM)
    assert not wait_until(lambda: is_gone(agent), 3)
    site.first.signal(signal.SIGTERM)
    assert wait_until(lambda: is_gone(agent), 5)
    assert site.first.worker is not None
    site.first.worker.wait(10)
    os.kill(training, signal.SIGCONT)
    assert site.first.vanishes()
    assert "stopping: running trials finish their epoch (again leaves at once)" in site.first.log


@pytest.mark.slow
def test_an_agent_serves_only_what_it_is_told_and_leaves_when_that_is_done(site: Site) -> None:
    short = ("--set", "budget.trials=2", "--set", "fixed.epochs=2")
    for name in ("team-a", "other", "team-b"):
        site.submit(name, *short)
    site.start(site.first, "--idle-exit", "--studies", "team-*")
    assert site.first.worker is not None
    assert site.first.worker.wait(120) == 0, site.first.log
    assert [site.finished(name) for name in ("team-a", "other", "team-b")] == [2, 0, 2]
    # With a larger budget it has work again.
    site.submit("team-a", "--set", "budget.trials=3", "--set", "fixed.epochs=2")
    site.start(site.first, "--idle-exit", "--studies", "other", "--studies", "team-a")
    assert site.first.worker.wait(120) == 0, site.first.log
    assert [site.finished(name) for name in ("team-a", "other", "team-b")] == [3, 2, 2]
    logs = site.order("logs", "--study", "team-a")
    assert "all trials are finished" in logs
    assert site.first.vanishes()


@pytest.mark.slow
def test_a_study_that_cannot_be_served_is_left_to_others_for_a_while(site: Site) -> None:
    site.submit("azure", "--set", "budget.trials=1", "--set", "fixed.epochs=2")
    site.submit("lost", "--set", "data.name=nowhere.npz")
    site.start(site.first, "--idle-exit")
    assert site.first.worker is not None
    assert site.first.worker.wait(120) == 0, site.first.log
    assert site.finished("azure") == 1
    assert "lost: cannot be served, again in 10 s" in site.first.log
    assert "nowhere.npz" in site.order("logs", "--study", "lost")
    assert "Traceback" not in site.first.log
