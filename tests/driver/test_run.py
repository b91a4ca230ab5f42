"""Whole studies on real worker processes, with the numpy engine in the place of TensorFlow."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import softmax_engine as faults
from study_host import STUDY, Host, Listener, study_of

from sweep.budget import Ending
from sweep.driver import Progress, retry_failed
from sweep.driver.ready import ReadyQueue
from sweep.driver.roster import Roster
from sweep.driver.source import OpenTrial, TrialSource, grouping_of
from sweep.errors import StudyMismatchError, UsageError
from sweep.executors.base import Directive
from sweep.executors.process import ProcessExecutor
from sweep.trial import StopReason, TrialConfig, trial_seed

FAULTY = """
study: faulty
data: {name: synthetic}
fixed: {epochs: 2, learning_rate: 0.05}
search: {depth: [%s]}
sampler: {name: grid}
budget: {trials: 10}
"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def figures(host: Host, study: str = "colours") -> list[tuple[Any, ...]]:
    """Everything about the trials of a study that a repetition must reproduce."""
    with host.store() as store:
        rows = store.trial_rows(study)
        return [
            (
                row["number"],
                row["state"],
                row["values"],
                row["params"],
                row["seed"],
                [
                    (e["epoch"], e["loss"], e["val_accuracy"])
                    for e in store.epoch_rows(study, row["number"])
                ],
            )
            for row in rows
        ]


def test_the_start_of_the_workers_does_not_lengthen_what_is_left(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = 0.0
    real, start = time.monotonic, ProcessExecutor.start

    def slow_start(executor: ProcessExecutor) -> None:
        nonlocal ahead
        ahead = 10_000.0
        start(executor)

    clock = SimpleNamespace(monotonic=lambda: real() + ahead)
    monkeypatch.setattr("sweep.driver.loop.time", clock)
    monkeypatch.setattr(ProcessExecutor, "start", slow_start)
    listener = Listener()
    assert host.run(study_of(STUDY, "budget.trials=4"), listener).seconds > 10_000
    known = [u.eta_seconds for u in listener.updates if u.eta_seconds is not None]
    assert 0 < max(known) < 300


def test_a_study_runs_to_the_end_of_its_budget(host: Host) -> None:
    listener = Listener()
    progress = host.run(study_of(), listener, workers=2)
    assert (progress.finished, progress.failed, progress.running) == (12, 0, 0)
    assert progress.pruned > 0
    with host.store() as store:
        rows = store.trial_rows("colours")
        curves = {row["number"]: store.epoch_rows("colours", row["number"]) for row in rows}
        (study,) = store.study_rows()
    assert [row["number"] for row in rows] == list(range(12))
    for row in rows:
        epochs = [epoch["epoch"] for epoch in curves[row["number"]]]
        assert epochs == list(range(1, row["epochs"] + 1))
        assert row["seed"] == trial_seed(42, row["number"])
        assert row["values"] == [curves[row["number"]][-1]["val_accuracy"]]
        assert row["state"] == ("PRUNED" if row["stop_reason"] == "pruned" else "COMPLETE")
        assert row["epochs"] == 6 or row["state"] == "PRUNED"
    complete = [row for row in rows if row["state"] == "COMPLETE"]
    assert progress.best is not None
    assert progress.best.values[0] == max(row["values"][0] for row in complete)
    assert progress.best.values[0] == study["best_value"]
    assert progress.best.config == TrialConfig(**rows[progress.best.number]["config"])
    assert progress.trial_epochs == sum(row["epochs"] for row in rows)
    assert {worker.name for worker in listener.updates[-1].workers} == {"cpu0", "cpu1"}


def test_trials_are_asked_for_while_others_train(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def spy(owner: type, name: str, word: str) -> None:
        truly = getattr(owner, name)

        def listening(self: object, *arguments: Any) -> Any:
            admits = not arguments or not isinstance(arguments[-1], Directive)
            if admits or arguments[-1].admit:
                said.append(word)
            return truly(self, *arguments)

        monkeypatch.setattr(owner, name, listening)

    spy(TrialSource, "next", "ask")
    spy(ProcessExecutor, "direct", "admit")
    spy(ProcessExecutor, "poll", "listen")
    host.run(study_of(STUDY, "budget.trials=6"))
    turns = [words for words in "".join(f"{word} " for word in said).split("listen ") if words]
    # The first is asked for while the worker starts; for every other a worker trains already.
    assert turns == ["ask ", *["admit ask "] * 5, "admit "]


@pytest.mark.parametrize("slots", [16, 64])
def test_an_idle_worker_of_many_slots_gets_all_its_trials(
    host: Host, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    admitted: list[int] = []

    def direct(self: ProcessExecutor, worker: str, directive: Directive) -> None:
        admitted.append(len(directive.admit))
        direct_truly(self, worker, directive)

    direct_truly = ProcessExecutor.direct
    monkeypatch.setattr(ProcessExecutor, "direct", direct)
    host.engine = f"softmax-{slots}"
    text = STUDY.replace("epochs: 6", "epochs: 1")
    progress = host.run(study_of(text, "sampler.name=random", f"budget.trials={slots + 8}"))
    assert progress.finished == slots + 8
    assert admitted[0] == slots


def test_neighbours_go_on_while_a_slot_is_refilled(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    directives: list[Directive] = []

    def direct(self: ProcessExecutor, worker: str, directive: Directive) -> None:
        directives.append(directive)
        direct_truly(self, worker, directive)

    direct_truly = ProcessExecutor.direct
    monkeypatch.setattr(ProcessExecutor, "direct", direct)
    text = STUDY.replace("epochs: 6", "epochs: 40")
    host.engine = "softmax-3"
    host.run(study_of(text, "sampler.name=random", "budget.trials=9"))
    assert len(directives[0].admit) == 3, "an idle worker starts with all slots"
    started = 0
    for directive in directives:
        assert directive.admit or not directive.retire or started == 9
        started += len(directive.admit)
    assert [t.number for d in directives for t in d.admit] == list(range(9))


def test_a_trial_has_the_same_figures_among_neighbours(tmp_path: Path) -> None:
    found = []
    for engine in ("softmax", "softmax-5"):
        host = Host(tmp_path / engine, engine=engine)
        host.directory.mkdir()
        host.run(study_of(STUDY, "sampler.name=random", "pruner.name=none"))
        found.append(figures(host))
    assert found[0] == found[1]


def test_a_slot_is_refilled_with_a_trial_of_its_neighbours_group(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Roster, "ahead", 30)
    take = ReadyQueue.take
    groups: list[tuple[bool, Any]] = []

    def noting(queue: ReadyQueue, count: int, rank: Any) -> list[OpenTrial]:
        trials = take(queue, count, rank)
        groups.extend((rank(trial.group) == 0, trial.group) for trial in trials)
        return trials

    monkeypatch.setattr(ReadyQueue, "take", noting)
    text = STUDY.replace("fixed: {epochs: 6,", "fixed: {").replace(
        "search:", "search:\n  epochs: {low: 2, high: 20}"
    )
    spec = study_of(text, "sampler.name=random", "pruner.name=none", "budget.trials=30")
    host.engine = "softmax-2"
    host.grouping = lambda config: config.activation
    assert host.run(spec).complete == 30
    assert {group for _, group in groups} == {"relu", "selu", "tanh"}
    assert sum(suits for suits, _ in groups) > 15, "one in three would by chance"


def test_trials_are_grouped_by_what_the_engine_trains_in_one_program() -> None:
    fused = grouping_of(study_of(STUDY, "engine=fused"))
    relu = TrialConfig(activation="relu", learning_rate=0.1)
    assert fused(relu) == fused(TrialConfig(activation="relu", learning_rate=0.2))
    assert fused(relu) != fused(TrialConfig(activation="tanh", learning_rate=0.1))
    alone = grouping_of(study_of(STUDY, "engine=reference"))
    assert alone(relu) == alone(TrialConfig(activation="tanh"))


def test_the_time_of_a_run_is_split_and_kept(host: Host) -> None:
    progress = host.run(study_of(STUDY, "budget.trials=4"), workers=2)
    split = progress.time
    assert split.workers == 2
    assert split.training_seconds > 0.0
    assert 0.0 < split.sampling_seconds < split.seconds
    assert 0.0 < split.storage_seconds < split.seconds
    assert split.worker_seconds < 2 * split.seconds, "their start is left out"
    host.run(study_of(STUDY, "budget.trials=5"))
    with host.store() as store:
        first, second = store.run_rows("colours")
    assert first["training_seconds"] == split.training_seconds
    assert (first["workers"], second["workers"]) == (2, 1)


def test_the_weights_of_the_best_trials_are_kept_and_no_others(host: Host) -> None:
    host.run(study_of())
    with host.store() as store:
        rows = [r for r in store.trial_rows("colours") if r["state"] == "COMPLETE"]
    best = sorted(rows, key=lambda r: (-r["values"][0], r["number"]))[:2]
    named = {Path(row["weights"]) for row in rows if row["weights"]}
    # Of equal values the earlier is kept, so the files are those of the two best.
    assert named == {Path(row["weights"]) for row in best}
    assert set((host.artifacts / "colours").iterdir()) == named


def test_one_worker_repeats_a_study_exactly(tmp_path: Path) -> None:
    repeated = []
    for name in ("first", "second"):
        host = Host(tmp_path / name)
        host.directory.mkdir()
        host.run(study_of())
        repeated.append(figures(host))
    assert repeated[0] == repeated[1]


def test_a_stopped_study_resumes_with_the_figures_of_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed, stopped = Host(tmp_path / "undisturbed"), Host(tmp_path / "stopped")
    for host in (undisturbed, stopped):
        host.directory.mkdir()
    undisturbed.run(study_of())
    progress = stopped.run(study_of(), Listener(stop_after_epochs=8))
    assert progress.ending is Ending.INTERRUPTED
    assert progress.finished < 12
    with stopped.store() as store:
        rows = store.trial_rows("colours")
        left = [row for row in rows if row["state"] in ("RUNNING", "WAITING")]
        assert [(row["state"], row["stop_reason"]) for row in left] == [
            ("RUNNING", "interrupted"),
            ("WAITING", None),
        ]
    listener = Listener()
    progress = stopped.run(study_of(), listener)
    assert progress.finished == 12
    assert "taking up one interrupted trial" in listener.messages
    assert figures(stopped) == figures(undisturbed)


class CrashError(Exception):
    """Stands for a kill at a chosen moment."""


@pytest.mark.parametrize("pruner", ["median", "asha"])
def test_a_verdict_of_the_pruner_outlives_a_crash_before_it_is_carried_out(
    pruner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, crashed = Host(tmp_path / "undisturbed"), Host(tmp_path / "crashed")
    for host in (undisturbed, crashed):
        host.directory.mkdir()
    spec = study_of(STUDY, f"pruner.name={pruner}", "pruner.startup_trials=1")
    assert undisturbed.run(spec).pruned > 0

    def direct(self: ProcessExecutor, worker: str, directive: Directive) -> None:
        if any(retirement.reason is StopReason.PRUNED for retirement in directive.retire):
            raise CrashError
        direct_truly(self, worker, directive)

    direct_truly = ProcessExecutor.direct
    with monkeypatch.context() as patch:
        patch.setattr(ProcessExecutor, "direct", direct)
        with pytest.raises(CrashError):
            crashed.run(spec)
    assert crashed.run(spec).finished == 12
    assert figures(crashed) == figures(undisturbed)


def test_a_finished_study_starts_no_worker(host: Host) -> None:
    spec = study_of(STUDY, "budget.trials=2", "budget.epochs=1")
    host.run(spec)
    started = time.monotonic()
    listener = Listener()
    assert host.run(spec, listener).finished == 2
    assert listener.updates == []
    assert time.monotonic() - started < 5
    more = study_of(STUDY, "budget.trials=3", "budget.epochs=1")
    assert host.run(more).finished == 3


def test_wall_time_interrupts_and_the_next_run_goes_on(host: Host) -> None:
    spec = study_of(STUDY, "fixed.epochs=100000", "budget.trials=1", "budget.wall_seconds=6s")
    progress = host.run(spec)
    assert (progress.finished, progress.ending) == (0, Ending.WALL)
    with host.store() as store:
        (row,) = store.trial_rows("colours")
    assert row["stop_reason"] == "interrupted"
    assert row["epochs"] > 0


def test_a_failing_trial_keeps_its_traceback_and_stops_nothing(host: Host) -> None:
    host.engine = "faulty"
    spec = study_of(FAULTY % f"20, {faults.RAISES_WHILE_TRAINING}, 21")
    progress = host.run(spec)
    assert (progress.complete, progress.failed, progress.asked) == (2, 1, 3)
    with host.store() as store:
        (failed,) = store.trial_rows("faulty", failed_only=True)
        row = store.trial_row("faulty", failed["number"])
    assert row["params"] == {"depth": faults.RAISES_WHILE_TRAINING}
    assert "training broke" in row["error"]
    assert "Traceback" in row["traceback"]
    assert "written by a library" in row["log"]


def test_failed_trials_are_retried_once_each_and_count_once(host: Host) -> None:
    host.engine = "faulty"
    spec = study_of(FAULTY % f"20, {faults.RAISES_WHILE_TRAINING}")
    host.run(spec)
    with host.store() as store:
        (failed,) = store.trial_rows("faulty", failed_only=True)
        with pytest.raises(UsageError, match="cannot be retried"):
            retry_failed(store, "faulty", [0, 1, 7])
        assert retry_failed(store, "faulty") == [failed["number"]]
        assert retry_failed(store, "faulty") == []
        with pytest.raises(UsageError, match="cannot be retried"):
            retry_failed(store, "faulty", [failed["number"]])
    # What made it fail was mended: the same trial now runs under a new number and seed.
    host.engine = "softmax"
    with pytest.raises(StudyMismatchError):
        host.run(study_of(FAULTY % "20, 30"))
    progress = host.run(spec)
    assert (progress.complete, progress.failed) == (2, 0)
    with host.store() as store:
        rows = store.trial_rows("faulty")
    assert [row["state"] for row in rows].count("COMPLETE") == 2
    assert rows[2]["params"] == {"depth": faults.RAISES_WHILE_TRAINING}
    assert rows[2]["seed"] == trial_seed(42, 2)


class Retrier(Listener):
    """Retries what fails while the study still runs, once."""

    host: Host
    retried: list[int] | None = None

    def update(self, progress: Progress) -> None:
        super().update(progress)
        if progress.failed and self.retried is None:
            with self.host.store() as store:
                self.retried = retry_failed(store, "faulty")


def test_a_trial_retried_while_the_study_runs_costs_no_other_its_place(host: Host) -> None:
    host.engine = "faulty"
    listener = Retrier()
    listener.host = host
    progress = host.run(study_of(FAULTY % f"{faults.RAISES_WHILE_TRAINING}, 20, 21"), listener)
    assert listener.retried == [0]
    assert (progress.complete, progress.failed, progress.asked) == (2, 1, 3)


def test_a_trial_that_kills_its_worker_twice_fails_with_the_reason(host: Host) -> None:
    host.engine = "faulty"
    listener = Listener()
    progress = host.run(study_of(FAULTY % f"{faults.KILLS_ITSELF}, 20"), listener)
    assert (progress.complete, progress.failed) == (1, 1)
    with host.store() as store:
        (failed,) = store.trial_rows("faulty", failed_only=True)
    assert failed["attempt"] == 2
    assert "attempt 2" in failed["error"]
    assert "SIGSEGV" in failed["error"]
    assert sum("a new one takes its place" in message for message in listener.messages) == 2


def test_divergence_ends_a_trial_at_once_with_a_finite_value(host: Host) -> None:
    text = STUDY.replace("learning_rate: {low: 1.0e-4, high: 1.0, log: true}", "")
    spec = study_of(text, "fixed.learning_rate=100.0", "budget.trials=3", "pruner.name=none")
    progress = host.run(spec)
    with host.store() as store:
        rows = store.trial_rows("colours")
    diverged = [row for row in rows if row["stop_reason"] == "diverged"]
    assert progress.diverged == len(diverged)
    for row in diverged:
        assert row["state"] == "COMPLETE"
        assert row["values"][0] <= 1 / 3
        assert row["weights"] is None


def test_a_grid_is_exhausted_without_repetition(host: Host) -> None:
    text = STUDY.replace("{low: 1.0e-4, high: 1.0, log: true}", "[0.01, 0.1]").replace(
        "{low: 0.0, high: 0.99, when", "{choices: [0.0, 0.9], when"
    )
    spec = study_of(text, "sampler.name=grid", "budget.trials=100", "fixed.epochs=1")
    assert host.run(spec, Listener(stop_after_epochs=7)).finished < 18
    progress = host.run(spec)
    assert (progress.asked, progress.finished) == (18, 18)
    with host.store() as store:
        seen = [tuple(sorted(row["params"].items())) for row in store.trial_rows("colours")]
    assert len(set(seen)) == 18


def test_two_objectives_are_neither_pruned_nor_confused(host: Host) -> None:
    text = STUDY.replace("pruner: {name: median, startup_trials: 3}", "") + (
        "objectives:\n"
        "  - {metric: val_accuracy, direction: maximize}\n"
        "  - {metric: seconds_per_epoch, direction: minimize}\n"
    )
    progress = host.run(study_of(text, "budget.trials=4", "fixed.epochs=2"))
    assert progress.complete == 4
    with host.store() as store:
        assert all(len(row["values"]) == 2 for row in store.trial_rows("colours"))
        assert store.load_study("colours").metric_names == ["val_accuracy", "seconds_per_epoch"]
