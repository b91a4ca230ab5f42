"""When a study ends: what it may cost and reach over all of its runs, and what people want."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_host import STUDY, Host, Listener, study_of
from test_run import figures

from sweep.budget import Budget, Ending
from sweep.driver import Progress, run_study
from sweep.executors.process import ProcessExecutor
from sweep.spec.model import StudySpec
from sweep.store import Outlook, Store, Wanted
from sweep.store.spending import covered_seconds

FREE = Outlook(Wanted.RUN, wall_seconds=0.0, gpu_seconds=0.0)
LONG = STUDY.replace("epochs: 6", "epochs: 100000").replace("name: median", "name: none")
"""Trials that end only if they are made to."""
BRIEF = STUDY.replace("epochs: 6", "epochs: 120").replace("name: median", "name: none")
"""Trials of a second or so."""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


# The budget by itself


@pytest.mark.parametrize(
    ("overrides", "best", "outlook", "expected"),
    [
        ([], 1.0, replace(FREE, wall_seconds=1e9, gpu_seconds=1e9), None),
        (["budget.target=0.5"], None, FREE, None),
        (["budget.target=0.5"], 0.49, FREE, None),
        (["budget.target=0.5"], 0.5, FREE, Ending.TARGET),
        (["budget.target=0.5"], 0.51, FREE, Ending.TARGET),
        (["budget.target=0.5", "objectives=[{metric: val_loss}]"], 0.51, FREE, None),
        (["budget.target=0.5", "objectives=[{metric: val_loss}]"], 0.5, FREE, Ending.TARGET),
        (["budget.wall_seconds=10"], 1.0, replace(FREE, wall_seconds=9.9), None),
        (["budget.wall_seconds=10"], 1.0, replace(FREE, wall_seconds=10.0), Ending.WALL),
        (["budget.gpu_hours=0.5"], 1.0, replace(FREE, gpu_seconds=1799.0), None),
        (["budget.gpu_hours=0.5"], 1.0, replace(FREE, gpu_seconds=1800.0), Ending.GPU_HOURS),
        (["budget.gpu_hours=0.5"], 1.0, replace(FREE, wall_seconds=1e9), None),
    ],
    ids=[
        "no limit",
        "no trial yet",
        "below the target",
        "at the target",
        "above the target",
        "above a target to fall to",
        "at a target to fall to",
        "wall time left",
        "no wall time left",
        "GPU hours left",
        "no GPU hours left",
        "only cores used",
    ],
)
def test_what_ends_a_study(
    overrides: list[str], best: float | None, outlook: Outlook, expected: Ending | None
) -> None:
    assert Budget.of(study_of(STUDY, *overrides)).ending(best, outlook) is expected


def test_a_grid_asks_for_no_more_trials_than_it_has() -> None:
    grid = "study: a\nsearch: {depth: [1, 2, 3]}\nsampler: {name: grid}\nbudget: {trials: %d}"
    assert Budget.of(study_of(grid % 20)).trials == 3
    assert Budget.of(study_of(grid % 2)).trials == 2
    assert Budget.of(study_of(grid.replace("grid", "random") % 20)).trials == 20


NEW_YEAR = datetime(2026, 1, 1)
SECONDS = st.integers(0, 200)


@given(spans=st.lists(st.tuples(SECONDS, SECONDS), max_size=12))
def test_the_time_of_spans_is_that_of_their_union(spans: list[tuple[int, int]]) -> None:
    times = [(NEW_YEAR + timedelta(seconds=a), NEW_YEAR + timedelta(seconds=b)) for a, b in spans]
    union = {second for a, b in spans for second in range(a, b)}
    assert covered_seconds(times) == len(union)


# Two runs at once


class Background:
    """A run of a study in a thread of this process, with workers of its own."""

    def __init__(self, host: Host, spec: StudySpec, *, waits: bool = True) -> None:
        self.listener = Listener()
        self.progress: Progress | None = None
        self.error: BaseException | None = None
        self._host, self._spec, self._waits = host, spec, waits
        self._data = host.data()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            executor = ProcessExecutor(
                self._host.engine,
                self._data,
                workers=1,
                log_dir=self._host.directory / "logs",
                factory=self._host.factory,
            )
            with Store.open(self._host.url) as store:
                self.progress = run_study(
                    self._spec,
                    store=store,
                    executor=executor,
                    data=self._data,
                    watcher=self.listener,
                    artifacts=self._host.artifacts,
                    stop=self.listener.stop,
                    waits=self._waits,
                )
        except BaseException as error:  # noqa: BLE001 - raised again by `end`
            self.error = error

    def trains(self) -> bool:
        """Whether it has trained an epoch; it must not have ended before."""
        if self.error is not None:
            raise self.error
        updates = self.listener.updates
        return bool(updates) and updates[-1].trial_epochs > 0

    @property
    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def end(self, seconds: float = 60.0) -> Progress:
        self._thread.join(seconds)
        assert self.has_ended, "it does not end"
        if self.error is not None:
            raise self.error
        assert self.progress is not None
        return self.progress

    def break_off(self) -> None:
        self.listener.stop.request()
        self._thread.join(60)


Begin = Callable[..., Background]


@pytest.fixture
def begin(host: Host) -> Iterator[Begin]:
    """Begins runs, which end with the test at the latest."""
    Store.open(host.url).close()
    begun: list[Background] = []

    def begin(spec: StudySpec, *, waits: bool = True) -> Background:
        begun.append(Background(host, spec, waits=waits))
        return begun[-1]

    yield begin
    for run in begun:
        run.break_off()


def wait(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.05)


def rows_of(host: Host, state: str) -> list[int]:
    with host.store() as store:
        return [r["number"] for r in store.trial_rows("colours") if r["state"] == state]


def leases_of(host: Host) -> int:
    with host.store() as store:
        return len(store.lease_rows("colours"))


def want(host: Host, wanted: Wanted) -> None:
    with host.store() as store:
        store.queue.want("colours", wanted)


def test_two_runs_finish_exactly_the_trials_asked_for(host: Host, begin: Begin) -> None:
    spec = study_of(BRIEF, "fixed.epochs=30", "budget.trials=9")
    runs = [begin(spec), begin(spec)]
    for run in runs:
        progress = run.end(120)
        assert (progress.finished, progress.ending) == (9, Ending.TRIALS)
    assert rows_of(host, "COMPLETE") == list(range(9))
    assert leases_of(host) == 0


def test_wall_time_is_shared_by_runs_one_after_the_other(host: Host) -> None:
    spec = study_of(LONG, "budget.wall_seconds=5s")
    assert host.run(spec).ending is Ending.WALL
    listener = Listener()
    again = host.run(spec, listener)
    assert (again.ending, again.trial_epochs) == (Ending.WALL, 0)
    assert listener.updates == [], "no worker was started"
    more = host.run(study_of(LONG, "budget.wall_seconds=10s"))
    assert more.ending is Ending.WALL
    assert more.trial_epochs > 0
    with host.store() as store:
        assert 10.0 <= store.outlook("colours").wall_seconds < 20.0


def test_wall_time_is_shared_by_runs_at_once(host: Host, begin: Begin) -> None:
    spec = study_of(LONG, "budget.wall_seconds=10s")
    runs = [begin(spec), begin(spec)]
    assert [run.end().ending for run in runs] == [Ending.WALL, Ending.WALL]
    with host.store() as store:
        assert 10.0 <= store.outlook("colours").wall_seconds < 20.0
        assert all(row["seconds"] > 5.0 for row in store.run_rows("colours"))


def test_a_target_that_one_run_reaches_ends_all_and_sets_other_trials_aside(
    host: Host, begin: Begin
) -> None:
    # The trial that is enqueued is good and short; all others would train for hours.
    text = LONG.replace("fixed: {epochs: 100000,", "fixed: {").replace(
        "search:", "search:\n  epochs: [3, 100000]"
    )
    spec = study_of(text, "budget.target=0.5", "sampler.name=random")
    first = begin(spec)
    wait(first.trains)
    with host.store() as store:
        good = {"activation": "relu", "optimizer": "adam", "learning_rate": 0.3, "epochs": 3}
        study = store.load_study("colours")
        for _ in range(3):
            study.enqueue_trial(good)
    second = begin(spec)
    assert first.end().ending is Ending.TARGET
    assert second.end().ending is Ending.TARGET
    with host.store() as store:
        rows = store.trial_rows("colours")
        best = max(row["values"][0] for row in rows if row["values"])
        aside = [row for row in rows if row["state"] == "RUNNING" and row["epochs"]]
        ended = [r["message"] for r in store.log_rows("colours") if "target" in r["message"]]
    assert best >= 0.5
    assert [row["stop_reason"] for row in aside] == ["interrupted"] * len(aside)
    assert aside
    assert len(ended) == 1, "told once, by whoever saw it first"
    listener = Listener()
    again = host.run(spec, listener)
    assert (again.ending, listener.updates) == (Ending.TARGET, [])


def test_a_run_that_does_not_wait_leaves_what_others_hold(host: Host, begin: Begin) -> None:
    spec = study_of(LONG, "budget.trials=1")
    first = begin(spec)
    wait(first.trains)
    listener = Listener()
    second = begin(spec, waits=False)
    progress = second.end()
    assert (progress.ending, progress.trial_epochs) == (Ending.NOTHING_LEFT, 0)
    assert not first.has_ended
    assert listener.updates == []
    assert rows_of(host, "RUNNING") == [0]


def test_a_run_that_waits_takes_up_what_another_leaves(host: Host, begin: Begin) -> None:
    first = begin(study_of(LONG, "budget.trials=1"))
    wait(first.trains)
    second = begin(study_of(LONG, "budget.trials=1"))
    wait(lambda: bool(second.listener.updates))
    first.break_off()
    wait(second.trains)
    assert "taking up one interrupted trial" in second.listener.messages
    want(host, Wanted.CANCEL)
    progress = second.end()
    assert (progress.ending, progress.failed, progress.running) == (Ending.CANCELLED, 1, 0)


# What people want


def test_a_pause_sets_trials_aside_and_resuming_costs_no_figure(
    tmp_path: Path, begin: Begin, host: Host
) -> None:
    spec = study_of(BRIEF, "fixed.epochs=900", "budget.trials=3", "sampler.name=random")
    run = begin(spec)
    wait(run.trains)
    want(host, Wanted.PAUSE)
    asked = time.monotonic()
    progress = run.end(15)
    assert time.monotonic() - asked < 10
    assert progress.ending is Ending.PAUSED
    assert progress.finished < 3
    assert leases_of(host) > 0
    with host.store() as store:
        open_rows = [r for r in store.trial_rows("colours") if r["state"] == "RUNNING"]
    (aside,) = [row for row in open_rows if row["epochs"]]
    assert (aside["state"], aside["stop_reason"]) == ("RUNNING", "interrupted")
    # Who comes now does nothing, and begins nothing.
    listener = Listener()
    assert host.run(spec, listener).ending is Ending.PAUSED
    assert listener.updates == []
    want(host, Wanted.RUN)
    assert host.run(spec).finished == 3
    undisturbed = Host(tmp_path / "undisturbed")
    undisturbed.directory.mkdir()
    undisturbed.run(spec)
    assert figures(host) == figures(undisturbed)
    assert leases_of(host) == 0


def test_a_stop_lets_trials_run_to_their_end_and_begins_none(host: Host, begin: Begin) -> None:
    spec = study_of(BRIEF, "budget.trials=1000")
    runs = [begin(spec), begin(spec)]
    for run in runs:
        wait(run.trains)
    want(host, Wanted.STOP)
    for run in runs:
        assert run.end().ending is Ending.STOPPED
    finished = rows_of(host, "COMPLETE")
    assert finished
    with host.store() as store:
        begun = [r for r in store.trial_rows("colours") if r["state"] == "RUNNING"]
        assert [r["epochs"] for r in begun] == [0] * len(begun)
    want(host, Wanted.RUN)
    more = study_of(BRIEF, f"budget.trials={len(finished) + 2}")
    assert host.run(more).ending is Ending.TRIALS
    assert (rows_of(host, "RUNNING"), leases_of(host)) == ([], 0)


def test_a_cancelled_study_has_no_open_trial_and_no_lease(host: Host, begin: Begin) -> None:
    spec = study_of(LONG, "budget.trials=1000")
    runs = [begin(spec), begin(spec)]
    for run in runs:
        wait(run.trains)
    want(host, Wanted.CANCEL)
    asked = time.monotonic()
    for run in runs:
        assert run.end(15).ending is Ending.CANCELLED
    assert time.monotonic() - asked < 10
    assert (rows_of(host, "RUNNING"), rows_of(host, "COMPLETE"), leases_of(host)) == ([], [], 0)
    with host.store() as store:
        failed = store.trial_rows("colours", failed_only=True)
        assert {row["error"] for row in failed} == {"cancelled"}
        assert len(failed) >= 2
        workers = store.worker_rows("colours")
    assert all(worker["ended_at"] is not None for worker in workers)
    assert not list((host.artifacts / "colours").glob("*")), "a checkpoint is left"
    want(host, Wanted.RUN)
    more = study_of(BRIEF, "fixed.epochs=100000", f"budget.trials={len(failed) + 1}")
    again = begin(more)
    wait(again.trains)
    want(host, Wanted.PAUSE)
    assert again.end().failed == len(failed)


def test_gpu_time_that_is_used_up_ends_a_run(
    host: Host, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlook = replace(FREE, gpu_seconds=math.inf)
    run = begin(study_of(LONG, "budget.gpu_hours=1"))
    wait(run.trains)
    monkeypatch.setattr("sweep.store.run.outlook", lambda connection, study, now: outlook)
    assert run.end(15).ending is Ending.GPU_HOURS
    assert rows_of(host, "COMPLETE") == []
