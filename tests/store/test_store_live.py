"""What is new of a study is all that it has, read once, on SQLite and on PostgreSQL."""

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from optuna.trial import TrialState
from sqlalchemy import event
from store_samples import (
    complete,
    create,
    driving,
    fail,
    report,
    start,
    task,
    train,
)

from sweep.errors import NotFoundError
from sweep.store import RETRY_OF, Store, Wanted
from sweep.store.live import News, Seen
from sweep.trial import StopReason

STUDY = "quickstart"


@pytest.fixture
def store(new_url: Callable[[], str]) -> Iterator[Store]:
    with Store.open(new_url()) as store:
        yield store


def seen(news: News) -> Seen:
    """What somebody has read who began with these news."""
    return Seen(
        study=news.study,
        trial_id=max((row["trial_id"] for row in news.trials), default=0),
        open_trials={
            row["trial_id"]: (row["attempt"], news.lengths[row["trial_id"]])
            for row in news.trials
            if row["state"] in ("RUNNING", "WAITING")
        },
        log_id=max((row["log_id"] for row in news.messages), default=0),
    )


def outline(news: News) -> list[tuple[int, str, int]]:
    """Number, state and epochs of each trial."""
    return [(r["number"], r["state"], news.lengths[r["trial_id"]]) for r in news.trials]


def epochs(news: News) -> list[tuple[int, int]]:
    numbers = {row["trial_id"]: row["number"] for row in news.trials}
    return [(numbers[row["trial_id"]], row["epoch"]) for row in news.epochs]


def test_the_first_news_are_all_there_is(store: Store) -> None:
    with driving(store, "another") as run:
        complete(run, 0.9)
    with driving(store) as run:
        complete(run, 0.5)
        complete(run, 0.1, StopReason.DIVERGED)
        fail(run)
        pruned = start(run)
        pruned.report(0.18, 2)
        run.study.tell(pruned, state=TrialState.PRUNED)
        run.study.enqueue_trial({}, user_attrs={RETRY_OF: 2})
        run.study.ask()
        start(run, epochs=3)
        run.worker_ready("cpu0", 12, "host", "cpu:0", "fused")
        store.log(STUDY, "info", "hello")
        news = store.news(STUDY, Seen())
        assert outline(news) == [
            (0, "COMPLETE", 2),
            (1, "COMPLETE", 2),
            (2, "FAIL", 2),
            (3, "PRUNED", 2),
            (4, "WAITING", 0),
            (5, "RUNNING", 3),
        ]
        rows = {row["number"]: row for row in news.trials}
        assert [rows[number]["values"] for number in range(4)] == [[0.5], [0.1], [], [0.18]]
        assert rows[1]["stop_reason"] == "diverged"
        assert rows[2]["error"] == "ValueError: no"
        assert rows[4]["retry_of"] == 2
        assert rows[0]["started"] < rows[0]["ended"] <= news.now
        # Curves of trials that have ended are read when they are looked at.
        assert epochs(news) == [(5, 1), (5, 2), (5, 3)]
        assert news.epochs[-1]["val_accuracy"] == 0.27
        assert [(row["worker"], row["pid"]) for row in news.workers] == [("cpu0", 12)]
        (row,) = news.runs
        assert {rows[n]["trial_id"]: row["run_id"] for n in (4, 5)} == news.holders
        assert [row["message"] for row in news.messages] == ["hello"]
        assert news.outlook.wanted is Wanted.RUN
        assert news.record["objectives"] == [{"metric": "val_accuracy", "direction": "maximize"}]


def test_later_news_are_what_was_open_and_what_was_made(store: Store) -> None:
    with driving(store) as run:
        complete(run, 0.5)
        running = start(run, epochs=2)
        first = store.news(STUDY, Seen())
        again = store.news(STUDY, seen(first))
        assert outline(again) == [(1, "RUNNING", 2)]
        assert again.epochs == again.messages == []

        train(run, [report(1, 3), report(1, 4, val_accuracy=math.nan)])
        store.log(STUDY, "warning", "careful", 1)
        complete(run, 0.7)
        news = store.news(STUDY, seen(first))
        assert outline(news) == [(1, "RUNNING", 4), (2, "COMPLETE", 2)]
        assert epochs(news) == [(1, 3), (1, 4)]
        assert news.epochs[-1]["val_accuracy"] is None
        assert [row["message"] for row in news.messages] == ["careful"]

        train(run, [report(1, 5)])
        run.study.tell(running, 0.6)
        news = store.news(STUDY, seen(first))
        assert outline(news)[0] == (1, "COMPLETE", 5)
        assert epochs(news) == [(1, 3), (1, 4), (1, 5)]


def test_another_attempt_tells_all_epochs_of_its_trial(store: Store) -> None:
    with driving(store) as run:
        trial = start(run, epochs=3)
        first = store.news(STUDY, Seen())
        again = task(0, attempt=2, checkpoint="c", checkpoint_epoch=1)
        run.trial_started(trial._trial_id, again, "cpu1")
        assert outline(store.news(STUDY, seen(first))) == [(0, "RUNNING", 1)]
        train(run, [report(0, epoch, val_accuracy=0.5) for epoch in (2, 3, 4)])
        news = store.news(STUDY, seen(first))
        assert news.trials[0]["attempt"] == 2
        assert epochs(news) == [(0, 1), (0, 2), (0, 3), (0, 4)]


def test_a_study_made_anew_under_its_name_is_told_from_the_beginning(store: Store) -> None:
    with driving(store) as run:
        complete(run, 0.5)
    first = store.news(STUDY, Seen())
    store.delete_study(STUDY)
    with pytest.raises(NotFoundError):
        store.news(STUDY, seen(first))
    with driving(store) as run:
        complete(run, 0.7)
    news = store.news(STUDY, seen(first))
    assert news.study != first.study
    assert [row["values"] for row in news.trials] == [[0.7]]


def test_after_a_long_while_thousands_are_new(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.store.live.MOST_IDS", 2)
    with driving(store, "another") as run:
        complete(run, 0.9)
    with driving(store) as run:
        complete(run, 0.5)
        start(run)
        first = store.news(STUDY, Seen())
        for _ in range(4):
            complete(run, 0.5)
        assert [number for number, _, _ in outline(store.news(STUDY, seen(first)))] == [
            1,
            2,
            3,
            4,
            5,
        ]


def test_news_take_as_many_statements_however_large_the_study(store: Store) -> None:
    statements: list[str] = []
    event.listen(
        store._database.engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )
    numbers = []
    with driving(store) as run:
        known = Seen()
        for trials in (1, 20):
            for _ in range(trials):
                complete(run, 0.5)
                start(run)
            statements.clear()
            known = seen(store.news(STUDY, known))
            numbers.append(len(statements))
    assert numbers[0] == numbers[1] < 25


def test_epochs_are_counted_from_a_time_on(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    with driving(store, "another") as run:
        complete(run, 0.9)
    with driving(store) as run:
        complete(run, 0.5)
        start(run, epochs=3)
        assert store.epochs_since(STUDY, before) == 5
        assert store.epochs_since(STUDY, datetime.now(UTC)) == 0


def test_portraits_are_settings_and_epochs(store: Store) -> None:
    with driving(store) as run:
        complete(run, 0.5, activation="selu")
        complete(run, 0.5)
        run.study.ask()
        found = store.portraits(STUDY, [0, 2, 99])
    config, rows = found.pop(0)
    assert config["activation"] == "selu"
    assert [(row["epoch"], row["val_accuracy"]) for row in rows] == [(1, 0.09), (2, 0.18)]
    assert found == {}


def test_a_study_without_trials_has_news(store: Store) -> None:
    create(store)
    news = store.news(STUDY, Seen())
    assert news.trials == news.epochs == news.runs == news.workers == []
