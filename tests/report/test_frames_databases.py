"""Frames hold what the database holds, on SQLite and on PostgreSQL alike, by a few statements."""

import math
from collections.abc import Iterator

import big_study
import optuna
import pandas as pd
import pytest
import report_studies
from pandas.testing import assert_frame_equal
from sqlalchemy import event

from sweep.report.frames import StudyFrames, studies_frame, study_frames
from sweep.report.load import loaded
from sweep.store import Store

STUDY = "cifar-deep"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A study of each kind of trial, and another one that must not be seen."""
    if request.param == "sqlite":
        yield request.getfixturevalue("fresh_store")
    else:
        with Store.open(request.getfixturevalue("postgres_url")) as opened:
            yield opened


def fill(store: Store, trials: int = 40) -> None:
    report_studies.fill(store, 3, name="another")
    report_studies.fill(store, trials)
    with store.driving(STUDY, report_studies.NO_TIME) as run:
        report_studies.fail_one(run, "ValueError: odd shape")
        run.worker_ready("cpu-0", 4321, "host", "cpu:0", "fused")
        run.worker_lost("cpu-0", "killed")
        run.worker_ready("cpu-0", 4322, "host", "cpu:0", "fused")
    # Asked for and not started; told an infinite value by another program.
    study = store.load_study(STUDY)
    study.ask()
    study.tell(study.ask(), math.inf)


def test_trials_are_those_of_optunas_interface(database: Store) -> None:
    fill(database)
    trials = study_frames(database, STUDY).trials
    rows = database.trial_rows(STUDY)
    assert trials["number"].tolist() == [row["number"] for row in rows] == list(range(43))
    assert trials["state"].tolist() == [row["state"] for row in rows]
    assert trials["state"].tolist()[40:] == ["FAIL", "WAITING", "COMPLETE"]
    for key, column in (("epochs", "trained_epochs"), ("seconds", "seconds"), ("seed", "seed")):
        assert trials[column].tolist() == pytest.approx(
            [math.nan if row[key] is None else row[key] for row in rows], nan_ok=True
        )
    values = [row["values"][0] if row["values"] else math.nan for row in rows]
    assert trials["value"].tolist() == pytest.approx(values, nan_ok=True)
    assert trials["value"].iloc[42] == math.inf
    for name in ("started", "ended"):
        times = [None if pd.isna(time) else time.to_pydatetime() for time in trials[name]]
        assert times[:40] == [row[name] for row in rows[:40]]


def test_a_trial_in_training_has_the_epochs_that_it_trained(database: Store) -> None:
    report_studies.fill(database, 1)
    with database.driving(STUDY, report_studies.NO_TIME) as run:
        trial = run.study.ask()
        task = report_studies.TrialTask(
            number=trial.number, config=report_studies.suggest(trial), seed=1
        )
        run.trial_started(trial._trial_id, task, "cpu-0")
        reports = report_studies.simulate(2, task.config).reports[:2]
        reports = [report_studies.replace(report, number=trial.number) for report in reports]
        run.epochs_finished([trial._trial_id] * len(reports), reports)
    trials = study_frames(database, STUDY).trials
    assert trials["outcome"].tolist()[1] == "running"
    assert trials["trained_epochs"].tolist()[1] == len(reports)


def test_workers_of_the_study_and_how_they_ended(database: Store) -> None:
    fill(database, 2)
    workers = study_frames(database, STUDY).workers
    assert workers["pid"].tolist() == [4321, 4322]
    assert workers["ended"].isna().tolist() == [False, False]
    assert workers["end_reason"].tolist() == ["killed", "the run ended"]
    assert str(workers["ready"].dtype) == "datetime64[us, UTC]"


def test_one_row_for_each_study(database: Store) -> None:
    fill(database)
    studies = studies_frame(database).set_index("study")
    assert studies.index.tolist() == ["another", STUDY]
    counts = study_frames(database, STUDY).counts()
    row = studies.loc[STUDY]
    assert row["complete"] == counts["complete"] + counts["diverged"]
    assert (row["failed"], row["waiting"]) == (counts["failed"], 1)
    assert row[["metric", "direction", "objectives"]].tolist() == ["val_accuracy", "maximize", 1]
    assert loaded(database, STUDY).study["study"].tolist() == [STUDY]


def test_statements_do_not_grow_with_trials(database: Store) -> None:
    report_studies.fill(database, 2, name="small")
    report_studies.fill(database, 30, name="large")

    def statements(study: str) -> int:
        count = 0

        def seen(*_: object) -> None:
            nonlocal count
            count += 1

        engine = database._database.engine
        event.listen(engine, "before_cursor_execute", seen)
        try:
            study_frames(database, study)
        finally:
            event.remove(engine, "before_cursor_execute", seen)
        return count

    assert 0 < statements("large") == statements("small") < 10


def test_both_databases_give_the_same_frames(fresh_store: Store, postgres_url: str) -> None:
    with Store.open(postgres_url) as other:
        fill(fresh_store)
        fill(other)
        one, two = study_frames(fresh_store, STUDY), study_frames(other, STUDY)
    assert (one.metrics, one.directions, one.spec) == (two.metrics, two.directions, two.spec)
    assert one.fingerprint == two.fingerprint
    times = ["started", "ended", "ready", "reported", "updated"]
    for name in ("trials", "epochs", "workers", "runs"):
        mine, theirs = getattr(one, name), getattr(two, name)
        assert mine.dtypes.tolist() == theirs.dtypes.tolist()
        assert_frame_equal(
            mine.drop(columns=times, errors="ignore"), theirs.drop(columns=times, errors="ignore")
        )


def test_times_of_epochs_and_runs_are_those_of_the_database(database: Store) -> None:
    fill(database, 3)
    frames = study_frames(database, STUDY)
    told = [row["reported_at"] for row in database.epoch_rows(STUDY)]
    off = frames.epochs["reported"] - pd.Series(told)
    assert off.abs().max() <= pd.Timedelta(milliseconds=1)
    runs = database.run_rows(STUDY)
    assert [time.to_pydatetime() for time in frames.runs["started"]] == [
        row["started_at"] for row in runs
    ]
    assert frames.runs["ended"].notna().all()


def test_a_study_without_trials_has_frames_of_the_same_columns(database: Store) -> None:
    database.create_study(report_studies.record("empty"), ["maximize"], ["val_accuracy"])
    fill(database, 2)
    empty, full = study_frames(database, "empty"), study_frames(database, STUDY)
    assert (len(empty.trials), len(empty.epochs), len(empty.workers)) == (0, 0, 0)
    for name in ("trials", "epochs", "workers", "runs"):
        assert getattr(empty, name).dtypes.equals(getattr(full, name).dtypes)


def test_a_large_study_is_read_as_optuna_reads_it(fresh_store: Store) -> None:
    study = big_study.fill(fresh_store, 200, 10)
    frames: StudyFrames = study_frames(fresh_store, study)
    stock = fresh_store.load_study(study).trials
    assert frames.trials["value"].tolist() == [trial.value for trial in stock]
    assert frames.counts() | {"complete": 190, "pruned": 10} == frames.counts()
    chosen = [trial.params["activation"] for trial in stock]
    assert frames.trials["activation"].tolist() == chosen
    curve = stock[3].intermediate_values
    epochs = frames.epochs[frames.epochs["number"] == 3]
    assert dict(zip(epochs["epoch"], epochs["val_accuracy"], strict=True)) == curve


@pytest.fixture(autouse=True)
def _quiet_optuna() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)
