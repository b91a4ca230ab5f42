"""Which files of weights are kept, and which are left alone."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import Trial, TrialState
from study_host import STUDY, Host, study_of

from sweep.driver.weights import WeightsKeeper
from sweep.executors.places import Directory
from sweep.store import Store, StudyRun
from sweep.store.records import TimeSplit
from sweep.trial import StopReason, TrialConfig, TrialResult, TrialTask

NO_TIME = TimeSplit(1, *[0.0] * 6)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.run(study_of(STUDY, "budget.trials=3", "fixed.epochs=1", "keep_weights=3"))
    return host


@pytest.fixture
def store(host: Host) -> Iterator[Store]:
    with host.store() as store:
        yield store


def keeper(store: Store, directory: Path, keep: int) -> WeightsKeeper:
    place = Directory(directory)
    place.check()
    return WeightsKeeper(study_of(STUDY, f"keep_weights={keep}"), store, place)


def named(store: Store) -> list[Path]:
    return [Path(r["weights"]) for r in store.trial_rows("colours") if r["weights"]]


def test_what_a_kill_left_over_is_dropped_without_another_trial(host: Host, store: Store) -> None:
    rows = store.trial_rows("colours")
    best = max(rows, key=lambda row: row["values"][0])
    assert len(named(store)) == 3
    # As after a kill between the end of a trial and the removal of the one that fell behind.
    keeper(store, host.artifacts / "colours", keep=1)
    assert named(store) == [Path(best["weights"])]
    assert list((host.artifacts / "colours").iterdir()) == named(store)


def test_files_that_are_not_weights_of_trials_are_left_alone(host: Host, store: Store) -> None:
    directory = host.artifacts / "colours"
    mine = {directory / "notes.txt", directory / "trials", directory / "best.keras"}
    for path in mine:
        path.mkdir() if path.name == "trials" else path.touch()
    (directory / "trial-99.keras").touch()
    (directory / ".trial-99.123.keras").touch()
    keeper(store, directory, keep=3)
    assert set(directory.iterdir()) == mine | set(named(store))


def test_files_of_trials_in_training_are_left_to_those_that_train_them(
    host: Host, store: Store
) -> None:
    directory = host.artifacts / "colours"
    with store.driving("colours", NO_TIME) as run:
        trial = run.study.ask()
        theirs = {
            directory / f"trial-{trial.number}.keras",
            directory / f".trial-{trial.number}.1.keras",
        }
        for path in theirs:
            path.touch()
        kept = keeper(store, directory, keep=3)
        kept.tidy(trial.number)
        assert set(directory.iterdir()) == theirs | set(named(store))
        run.study.tell(trial, state=TrialState.FAIL)
        kept.tidy(trial.number)
        assert set(directory.iterdir()) == set(named(store))


def test_runs_keep_together_as_many_as_are_to_be_kept(host: Host, store: Store) -> None:
    directory = host.artifacts / "colours"
    with store.driving("colours", NO_TIME) as run:
        first, second = (keeper(store, directory, keep=2) for _ in range(2))
        values = [row["values"][0] for row in store.trial_rows("colours") if row["weights"]]
        assert len(values) == 2
        numbers = []
        # None knows of the other's.
        for each, value in ((first, 2.0), (second, 3.0)):
            trial = run.study.ask()
            numbers.append(trial.number)
            place = each.place_for(trial.number, value)
            assert place is not None
            place.touch()
            complete(run, trial, value, place)
            each.keep(trial.number, value)
        assert len(named(store)) == 3
        first.take_in(numbers[1])
        second.take_in(numbers[0])
        assert set(named(store)) == {directory / f"trial-{number}.keras" for number in numbers}
        assert set(directory.iterdir()) == set(named(store))
        assert first.place_for(99, 1.5) is None


def complete(run: StudyRun, trial: Trial, value: float, weights: Path) -> None:
    task = TrialTask(trial.number, TrialConfig(), seed=1)
    ended = TrialResult(
        trial.number, StopReason.COMPLETED, 1, 1, 1, 1.0, "softmax", "cpu:0", str(weights)
    )
    run.trial_started(trial._trial_id, task, "cpu0")
    run.trial_ended(trial._trial_id, ended, "cpu0")
    run.study.tell(trial, value)


def test_weights_kept_elsewhere_by_an_earlier_run_are_dropped_there(
    host: Host, store: Store, tmp_path: Path
) -> None:
    keeper(store, tmp_path / "elsewhere", keep=1)
    assert list((host.artifacts / "colours").iterdir()) == named(store)


def test_names_hold_in_any_working_directory(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = keeper(store, Path("relative"), keep=4).place_for(7, 0.0)
    assert place == tmp_path / "relative" / "trial-7.keras"


@pytest.mark.parametrize("name", ["key", "colours/notes.txt", "other/trial-{number}.keras"])
def test_files_that_are_no_weights_are_left_whatever_the_database_says(
    host: Host, store: Store, tmp_path: Path, name: str
) -> None:
    worst = min(store.trial_rows("colours"), key=lambda row: row["values"][0])
    precious = tmp_path / name.format(number=worst["number"])
    precious.parent.mkdir(exist_ok=True)
    precious.touch()
    with sqlite3.connect(store.url.removeprefix("sqlite:///")) as connection:
        connection.execute(
            "UPDATE sweep_trials SET weights = ? WHERE number = ?",
            (str(precious), worst["number"]),
        )
    keeper(store, host.artifacts / "colours", keep=1)
    assert precious.exists()
    assert len(named(store)) == 1
