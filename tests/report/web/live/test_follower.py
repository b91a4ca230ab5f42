"""What the live page is told equals what the database holds."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import report_studies
from report_studies import EPOCHS, NO_TIME, fail_one, result_of, run_one, simulate
from sqlalchemy import event, update

from sweep.errors import NotFoundError
from sweep.report.web.live import views
from sweep.report.web.live.follower import Follower, Followers
from sweep.store import RETRY_OF, Store, StudyRun
from sweep.store.schema import runs as runs_table
from sweep.trial import EpochReport, TrialConfig, TrialTask

STUDY = "cifar-deep"


class Visitor:
    """Follows a study without waiting between two looks."""

    def __init__(self, store: Store, study: str = STUDY) -> None:
        self._follower = Follower(store, study)
        self._token = ""
        self.values: dict[str, Any] = {}
        self.lists: dict[str, list[Any]] = {}
        self.pulse: dict[str, Any] = {}

    def look(self) -> dict[str, Any]:
        self._follower._read_at = None
        news = self._follower.answer(self._token)
        for name in news["gone"]:
            self.values.pop(name, None)
            self.lists.pop(name, None)
        self.values |= news["values"]
        for name, (place, items) in news["lists"].items():
            self.lists[name] = self.lists.get(name, [])[:place] + items
        self._token, self.pulse = news["token"], news["pulse"]
        return news


@pytest.fixture
def run(fresh_store: Store) -> Iterator[StudyRun]:
    report_studies.fill(fresh_store, 0)
    with fresh_store.driving(STUDY, NO_TIME) as run:
        yield run


def begin(run: StudyRun, worker: str = "cpu-0", attempt: int = 1) -> tuple[int, TrialTask]:
    trial = run.study.ask()
    task = TrialTask(
        number=trial.number, config=TrialConfig(epochs=EPOCHS), seed=1, attempt=attempt
    )
    run.trial_started(trial._trial_id, task, worker)
    return trial._trial_id, task


def train(run: StudyRun, trial_id: int, number: int, *epochs: int, accuracy: float = 0.1) -> None:
    reports = [
        EpochReport(
            number=number,
            epoch=epoch,
            loss=2.0,
            accuracy=accuracy * epoch,
            val_loss=3.0 - epoch / 10,
            val_accuracy=accuracy * epoch,
            learning_rate=0.1,
            seconds=1.0 + epoch,
        )
        for epoch in epochs
    ]
    run.epochs_finished([trial_id] * len(reports), reports)


def sql(store: Store, query: str) -> list[Any]:
    with sqlite3.connect(store.url.removeprefix("sqlite:///")) as connection:
        return connection.execute(query).fetchall()


def test_numbers_are_those_of_the_database(store: Store) -> None:
    visitor = Visitor(store)
    visitor.look()
    counts = visitor.values["counts"]
    states = dict(sql(store, "SELECT state, count(*) FROM trials GROUP BY 1"))
    ((diverged,),) = sql(store, "SELECT count(*) FROM sweep_trials WHERE stop_reason = 'diverged'")
    assert counts["complete"] + counts["diverged"] == states["COMPLETE"]
    assert counts["diverged"] == diverged > 0
    assert counts["pruned"] == states["PRUNED"]
    assert counts["failed"] == states["FAIL"]
    assert counts["finished"] == counts["asked"] == 40
    assert counts["state"] == "finished"
    ((epochs,),) = sql(store, "SELECT count(*) FROM sweep_epochs")
    assert counts["trial_epochs"] == epochs
    (row,) = store.study_rows()
    best = visitor.values["best"]
    assert (best["number"], best["values"]) == (row["best_number"], [row["best_value"]])
    for name, curve in visitor.lists.items():
        if name.startswith("curve:"):
            rows = store.epoch_rows(STUDY, int(name.removeprefix("curve:")))
            assert curve == [pytest.approx(r["val_accuracy"], rel=1e-4) for r in rows]
    assert f"curve:{row['best_number']}" in visitor.lists
    assert len(visitor.lists["history"]) == 40


def test_the_steps_are_the_incumbents_in_the_order_of_their_end(store: Store) -> None:
    visitor = Visitor(store)
    visitor.look()
    rows = sorted(store.trial_rows(STUDY), key=lambda row: row["ended"])
    best, expected = -1.0, []
    for place, row in enumerate(rows):
        usable = row["state"] == "COMPLETE" and row["stop_reason"] != "diverged"
        if usable and row["values"][0] > best:
            best = row["values"][0]
            expected.append([row["number"], best, row["ended"], place])
    assert visitor.lists["steps"] == expected
    assert len(expected) > 2


def test_of_equal_trials_the_first_by_number_is_the_best(
    run: StudyRun, fresh_store: Store
) -> None:
    open_trials = [begin(run) for _ in range(2)]
    for trial_id, task in open_trials[::-1]:
        train(run, trial_id, task.number, 1)
        outcome = simulate(3, task.config)
        run.trial_ended(trial_id, result_of(task.number, outcome), "cpu-0")
        run.study.tell(task.number, 0.5)
    visitor = Visitor(fresh_store)
    visitor.look()
    assert visitor.values["best"]["number"] == fresh_store.study_rows()[0]["best_number"] == 0


def test_only_new_epochs_are_told(run: StudyRun, fresh_store: Store) -> None:
    visitor = Visitor(fresh_store)
    (first, task), (second, other) = begin(run), begin(run)
    train(run, first, task.number, 1, 2, 3)
    visitor.look()
    train(run, first, task.number, 4)
    train(run, second, other.number, 1)
    news = visitor.look()
    assert news["lists"] == {"curve:0": [3, [0.4]], "curve:1": [0, [0.1]]}
    slot = news["values"]["slot:0"]
    assert (slot["epoch"], slot["value"], slot["seconds"]) == (4, 0.4, 5.0)
    (row,) = fresh_store.epoch_rows(STUDY, 0)[-1:]
    assert slot["reported"] == row["reported_at"]
    assert {name for name in news["values"] if ":" in name} == {"slot:0", "slot:1"}
    again = visitor.look()
    assert (again["values"], again["lists"], again["gone"]) == ({}, {}, [])


def test_another_attempt_takes_the_place_of_the_first(run: StudyRun, fresh_store: Store) -> None:
    visitor = Visitor(fresh_store)
    trial_id, task = begin(run)
    train(run, trial_id, 0, 1, 2, 3)
    visitor.look()
    run.trial_started(trial_id, replace(task, attempt=2), "cpu-1")
    visitor.look()
    assert visitor.lists["curve:0"] == []
    assert visitor.values["slot:0"]["epoch"] == 0
    assert visitor.values["slot:0"]["worker"] == "cpu-1"
    train(run, trial_id, 0, 1, 2, 3, 4, accuracy=0.2)
    visitor.look()
    assert visitor.lists["curve:0"] == [0.2, 0.4, 0.6, 0.8]
    assert visitor.values["slot:0"]["attempt"] == 2


def test_why_trials_did_not_train_to_their_end(run: StudyRun, fresh_store: Store) -> None:
    while fresh_store.study_rows()[0]["counts"].get("PRUNED", 0) == 0:
        run_one(run)
    fail_one(run, "ValueError: odd <b>shape</b>")
    visitor = Visitor(fresh_store)
    visitor.look()
    for row in fresh_store.trial_rows(STUDY):
        problem = visitor.values.get(f"problem:{row['number']}")
        if row["state"] == "FAIL":
            assert problem is not None
            assert problem["reason"] == row["error"]
        elif row["state"] == "PRUNED":
            assert problem is not None
            assert "behind the others" in problem["reason"]
            assert problem["epochs"] == row["epochs"]
        elif row["stop_reason"] == "completed":
            assert problem is None


def test_a_failure_that_is_tried_again_does_not_count(run: StudyRun, fresh_store: Store) -> None:
    fail_one(run, "ValueError: odd shape")
    visitor = Visitor(fresh_store)
    visitor.look()
    assert visitor.values["counts"]["failed"] == visitor.values["counts"]["finished"] == 1
    run.study.enqueue_trial({}, user_attrs={RETRY_OF: 0})
    visitor.look()
    counts = visitor.values["counts"]
    assert (counts["failed"], counts["finished"], counts["retried"]) == (0, 0, 1)
    assert counts["waiting"] == 1


def test_workers_have_trials_or_a_reason_to_be_gone(run: StudyRun, fresh_store: Store) -> None:
    run.worker_ready("cpu-0", 11, "here", "cpu:0", "reference")
    run.worker_ready("cpu-1", 12, "here", "cpu:1", "reference")
    trial_id, task = begin(run, "cpu-1")
    train(run, trial_id, task.number, 1, 2)
    run.worker_lost("cpu-0", "killed by signal 9")
    visitor = Visitor(fresh_store)
    visitor.look()
    lost, alive = visitor.values["worker:1"], visitor.values["worker:2"]
    assert (lost["reason"], lost["is_lost"], lost["trials"]) == ("killed by signal 9", True, [])
    assert (alive["reason"], alive["is_lost"]) == (None, False)
    assert (alive["trials"], alive["epochs"], alive["seconds"]) == ([0], [2], 3.0)
    run_row = visitor.values["run:1"]
    assert (run_row["trials"], run_row["ended"]) == (1, None)
    assert visitor.values["counts"]["state"] == "running"


def test_workers_of_a_run_that_fell_silent_are_lost(run: StudyRun, fresh_store: Store) -> None:
    run.worker_ready("cpu-0", 11, "here", "cpu:0", "reference")
    begin(run)
    past = datetime.now(UTC) - timedelta(minutes=1)
    fresh_store._database.write(lambda c: c.execute(update(runs_table).values(expires_at=past)))
    visitor = Visitor(fresh_store)
    visitor.look()
    worker = visitor.values["worker:1"]
    assert (worker["is_lost"], worker["trials"]) == (True, [])
    assert "lease" in worker["reason"]


def test_speed_and_time_left_follow_the_epochs(run: StudyRun, fresh_store: Store) -> None:
    trial_id, task = begin(run)
    train(run, trial_id, task.number, 1, 2, 3)
    visitor = Visitor(fresh_store)
    visitor.look()
    assert visitor.pulse["epochs_per_second"] is None, "the run has only begun"
    begun = datetime.now(UTC) - timedelta(seconds=100)
    fresh_store._database.write(lambda c: c.execute(update(runs_table).values(started_at=begun)))
    visitor = Visitor(fresh_store)
    for epochs, left in (((), 40 * EPOCHS - 3), (range(4, 10), 40 * EPOCHS - 9)):
        train(run, trial_id, task.number, *epochs)
        visitor.look()
        speed = visitor.pulse["epochs_per_second"]
        assert speed == pytest.approx((40 * EPOCHS - left) / 100, rel=0.1)
        assert visitor.pulse["seconds_left"] == pytest.approx(left / speed)


def test_many_trials_are_thinned_and_the_incumbents_are_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MOST_HISTORY", 10)
    monkeypatch.setattr(views, "MOST_LATEST", 5)
    visitor, whole = Visitor(store), Visitor(store)
    visitor.look()
    monkeypatch.undo()
    whole.look()
    thinning = visitor.values["thinning"]
    assert (thinning["ended"], thinning["stride"]) == (40, 4)
    assert visitor.lists["history"] == whole.lists["history"][::4]
    assert thinning["latest"] == whole.lists["history"][-5:]
    assert visitor.lists["steps"] == whole.lists["steps"]


def test_curves_are_few_and_the_best_is_among_them(
    run: StudyRun, fresh_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MOST_RUNNING", 2)
    monkeypatch.setattr(views, "MOST_ENDED", 2)
    visitor = Visitor(fresh_store)
    for _ in range(6):
        run_one(run)
        visitor.look()
    for _ in range(4):
        begin(run)
    visitor.look()
    numbers = {int(name[6:]) for name in visitor.lists if name.startswith("curve:")}
    best = visitor.values["best"]["number"]
    ended = [row["number"] for row in fresh_store.trial_rows(STUDY) if row["epochs"]]
    assert numbers == {*ended[-2:], best}
    assert {name for name in visitor.values if name.startswith("slot:")} == {"slot:8", "slot:9"}
    assert all(len(visitor.lists[f"curve:{n}"]) for n in numbers)


def test_one_look_takes_as_many_statements_however_many_trials(
    run: StudyRun, fresh_store: Store
) -> None:
    statements: list[str] = []
    event.listen(
        fresh_store._database.engine,
        "before_cursor_execute",
        lambda *args: statements.append(args[2]),
    )
    visitor, numbers = Visitor(fresh_store), []
    for trials in (2, 20):
        for _ in range(trials):
            run_one(run)
        trial_id, task = begin(run)
        visitor.look()
        train(run, trial_id, task.number, 1)
        statements.clear()
        visitor.look()
        numbers.append(len(statements))
    assert numbers[0] == numbers[1] < 25


def test_visitors_share_what_was_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    original = Store.news

    def counted(self: Store, study: str, seen: Any) -> Any:
        asked.append(study)
        return original(self, study, seen)

    monkeypatch.setattr(Store, "news", counted)
    monkeypatch.setattr("sweep.report.web.live.follower.LEAST_SECONDS", 3600.0)
    followers = Followers(store)
    answers = [followers.answer(STUDY, "") for _ in range(3)]
    assert asked == [STUDY]
    assert answers[0]["values"] == answers[2]["values"]


def test_a_study_that_was_deleted_is_followed_no_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.report.web.live.follower.LEAST_SECONDS", 0.0)
    followers = Followers(store)
    token = followers.answer(STUDY, "")["token"]
    store.delete_study(STUDY)
    for _ in range(2):
        with pytest.raises(NotFoundError):
            followers.answer(STUDY, token)
    report_studies.fill(store, 2)
    news = followers.answer(STUDY, token)
    assert news["all"]
    assert news["values"]["counts"]["finished"] == 2
