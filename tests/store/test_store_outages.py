"""Connections break, servers restart, locks are lost: nothing written is lost or doubled."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from optuna.trial import TrialState
from postgres_server import PostgresServer
from sqlalchemy import Connection, Engine, delete, text
from store_samples import (
    SPLIT,
    create,
    driving,
    end,
    fail,
    report,
    result,
    start,
    task,
    train,
    trial_id,
)

from sweep.errors import StoreError
from sweep.store import BudgetSpentError, Store, StudyRun
from sweep.store.locks import Holder
from sweep.store.schema import leases

HERE = Holder(os.getpid(), socket.gethostname())
DROP = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid()"


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


def lose_the_next_answer(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> list[str]:
    """The next commit reaches the server, and its answer is lost with the connection."""
    real = engine.dialect.do_commit
    lost: list[str] = []

    def commit(connection: Any) -> None:
        real(connection)
        if not lost:
            lost.append("answer")
            connection.dbapi_connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(engine.dialect, "do_commit", commit)
    return lost


def counts(store: Store) -> dict[str, int]:
    tables = (
        "trials",
        "sweep_trials",
        "sweep_epochs",
        "sweep_layers",
        "sweep_workers",
        "sweep_runs",
        "sweep_logs",
        "sweep_leases",
        "sweep_late_epochs",
    )
    with store._database.reading() as connection:
        return {
            table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in tables
        }


@pytest.mark.parametrize(
    ("write", "added"),
    [
        (lambda s, r: s.log("quickstart", "info", "hello", number=0), {"sweep_logs": 1}),
        (
            lambda s, r: r.worker_ready("cpu0", 1, "host", "cpu:0", "reference"),
            {"sweep_workers": 1},
        ),
        (lambda s, r: train(r, [report(0, 3)]), {"sweep_epochs": 1}),
        (lambda s, r: train(r, [report(1, 3)]), {"sweep_late_epochs": 1}),
        (lambda s, r: r.trial_started(trial_id(r, 0), task(0), "cpu1"), {"sweep_epochs": -2}),
        (lambda s, r: end(r, result(0)), {"sweep_layers": 2}),
        (lambda s, r: r.trial_failed(trial_id(r, 0), 0, "no", "Traceback", "log"), {}),
    ],
    ids=["log", "worker", "epochs", "late epochs", "started", "ended", "failed"],
)
def test_a_writer_whose_commit_was_not_answered_writes_once(
    store: Store,
    run: StudyRun,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Store, StudyRun], object],
    added: dict[str, int],
) -> None:
    for _ in range(2):
        lost_trial = start(run)
    with store._database.engine.begin() as connection:
        taken = leases.c.trial_id == lost_trial._trial_id
        connection.execute(delete(leases).where(taken))
    before = counts(store)
    lost = lose_the_next_answer(monkeypatch, store._database.engine)
    write(store, run)
    assert lost == ["answer"]
    assert counts(store) == {name: count + added.get(name, 0) for name, count in before.items()}


def test_a_run_whose_commit_was_not_answered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(store)
    lost = lose_the_next_answer(monkeypatch, store._database.engine)
    with store.driving("quickstart", replace(SPLIT, seconds=0.0)) as run:
        assert lost == ["answer"]
        monkeypatch.undo()
        run.timed(SPLIT)
        assert run.study.ask().number == 0
    (row,) = store.run_rows("quickstart")
    assert row["seconds"] == SPLIT.seconds


def test_a_study_whose_commit_was_not_answered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_next_answer(monkeypatch, store._database.engine)
    create(store)
    assert [row["name"] for row in store.study_rows()] == ["quickstart"]
    assert store.log_rows("quickstart") == []


def test_a_trial_whose_commit_was_not_answered_is_asked_for_once(
    store: Store, run: StudyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = run.study
    study.tell(study.ask(), 0.5)
    lose_the_next_answer(monkeypatch, store._database.engine)
    trial = study.ask()
    assert (trial.number, study.ask().number) == (1, 2)
    assert (counts(store)["trials"], counts(store)["sweep_leases"]) == (3, 2)


def test_an_enqueued_trial_whose_commit_was_not_answered_starts_once(
    store: Store, run: StudyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        store.load_study("quickstart").enqueue_trial({})
    run.pull()
    lost = lose_the_next_answer(monkeypatch, store._database.engine)
    assert [run.study.ask().number for _ in range(3)] == [0, 1, 2]
    assert lost == ["answer"]
    assert (counts(store)["trials"], counts(store)["sweep_leases"]) == (3, 3)


def test_a_budget_is_not_overspent_by_a_commit_that_was_not_answered(
    store: Store, run: StudyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.limit(1)
    lost = lose_the_next_answer(monkeypatch, store._database.engine)
    assert run.study.ask().number == 0
    assert lost == ["answer"]
    with pytest.raises(BudgetSpentError):
        run.study.ask()


def test_trials_are_taken_over_though_the_commit_was_not_answered(
    store: Store, run: StudyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.driving("quickstart", SPLIT) as other:
        left = [start(other).number for _ in range(3)]
    lost = lose_the_next_answer(monkeypatch, store._database.engine)
    assert [trial.number for trial in run.take_over(2)] == left[:2]
    assert lost == ["answer"]
    assert [trial.number for trial in run.take_over(2)] == left[2:]
    assert run.take_over(2) == []


@pytest.mark.parametrize(
    ("state", "values"), [(TrialState.COMPLETE, 0.5), (TrialState.FAIL, None)]
)
def test_the_end_of_a_trial_whose_commit_was_not_answered(
    store: Store,
    run: StudyRun,
    monkeypatch: pytest.MonkeyPatch,
    state: TrialState,
    values: float | None,
) -> None:
    trial = start(run)
    lost = lose_the_next_answer(monkeypatch, store._database.engine)
    with run.batch():
        end(run, result(trial.number))
        run.study.tell(trial, values, state=state)
    assert lost == ["answer"]
    assert run.take_lost() == set()
    assert run.storage.get_trial(trial._trial_id).state == state
    assert counts(store)["sweep_leases"] == 0
    (known,) = store.load_study("quickstart").get_trials()
    assert (known.state, known.value) == (state, values)


def test_a_transaction_that_broke_is_run_again(store: Store, server: PostgresServer) -> None:
    create(store)
    attempts: list[int] = []

    def write(connection: Connection, study_id: int) -> None:
        attempts.append(study_id)
        connection.execute(
            text(
                "INSERT INTO sweep_logs (study_id, logged_at, level, message) "
                "VALUES (:id, now(), 'info', 'hello')"
            ),
            {"id": study_id},
        )
        if len(attempts) < 3:
            server.execute(DROP)

    store._write("quickstart", write)
    assert len(attempts) == 3
    assert [row["message"] for row in store.log_rows("quickstart")] == ["hello"]


def test_deadlocks_are_resolved(store: Store) -> None:
    create(store)
    create(store, "other")
    meet = threading.Barrier(2, timeout=30)
    met = threading.local()
    failures: list[BaseException] = []

    def lock_both(first: str, second: str) -> None:
        def write(connection: Connection, _: int) -> None:
            if not getattr(met, "once", False):
                met.once = True
                meet.wait()
            store._study_id(connection, second, lock=True)

        try:
            store._write(first, write)
        except StoreError as error:
            failures.append(error)

    threads = [
        threading.Thread(target=lock_both, args=names)
        for names in (("quickstart", "other"), ("other", "quickstart"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_error_that_does_not_pass_is_not_repeated(store: Store) -> None:
    create(store)
    attempts: list[int] = []

    def write(connection: Connection, study_id: int) -> None:
        attempts.append(study_id)
        connection.execute(text("SELECT 1 / 0"))

    with pytest.raises(StoreError, match="refused a statement"):
        store._write("quickstart", write)
    assert len(attempts) == 1


def drive(store: Store, run: StudyRun, trials: int, restarted: threading.Event) -> int:
    """Train two at a time, at least so many, until the server was restarted; returns how many."""
    study = run.study
    told = 0
    while told < trials or not restarted.is_set():
        cohort = [study.ask() for _ in range(2)]
        with run.batch():
            for trial in cohort:
                trial.suggest_float("x", 0.0, 1.0)
        for trial in cohort:
            run.trial_started(trial._trial_id, task(trial.number), "cpu0")
        for epoch in (1, 2, 3):
            train(run, [report(t.number, epoch) for t in cohort])
            with run.batch():
                for trial in cohort:
                    trial.report(0.1 * epoch, epoch)
            store.log("quickstart", "info", f"epoch {epoch} of {cohort[0].number}")
        for trial in cohort:
            end(run, result(trial.number, epochs=3))
            study.tell(trial, 0.3)
            told += 1
    return told


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_restarted_in_the_middle_is_survived(
    store: Store, server: PostgresServer, mode: str
) -> None:
    restarted = threading.Event()

    def restart() -> None:
        for _ in range(3):
            time.sleep(0.5)
            server.stop(mode)
            time.sleep(0.5)
            server.start()
        restarted.set()

    thread = threading.Thread(target=restart)
    with driving(store) as run:
        thread.start()
        told = drive(store, run, 20, restarted)
        thread.join()
        # The last restart may have come after the last transaction.
        store._database.keep_locks(at_once=True)
        assert store.drivers("quickstart") == [HERE]
        assert run.take_lost() == set()
    rows = store.trial_rows("quickstart")
    assert [row["number"] for row in rows] == list(range(told))
    assert {row["state"] for row in rows} == {"COMPLETE"}
    assert len(store.epoch_rows("quickstart")) == 3 * told
    messages = [row["message"] for row in store.log_rows("quickstart", limit=10_000)]
    assert len(messages) == len(set(messages)) == 3 * told // 2
    known = store.load_study("quickstart").get_trials()
    assert all(trial.intermediate_values.keys() == {1, 2, 3} for trial in known)


def test_a_server_that_restarted_between_two_calls(
    store: Store, run: StudyRun, server: PostgresServer
) -> None:
    start(run)
    server.stop()
    server.start()
    assert store.study_rows()[0]["counts"] == {"RUNNING": 1}
    assert len(store.load_study("quickstart").get_trials()) == 1
    fail(run)


def test_a_server_that_stays_away_is_an_error(
    store: Store, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(store)
    monkeypatch.setattr(store._database, "patience_seconds", 0.3)
    server.stop()
    try:
        for call in (
            store.study_rows,
            lambda: store.log("quickstart", "info", "hello"),
            lambda: store.load_study("quickstart"),
        ):
            with pytest.raises(StoreError) as caught:
                call()
            assert caught.value.what == "cannot connect to the database server"
    finally:
        server.start()
    store.log("quickstart", "info", "hello")


def test_a_run_whose_server_stays_away_ends_with_that_error(
    store: Store, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(store)
    monkeypatch.setattr(store._database, "patience_seconds", 0.3)

    def lose_the_server() -> None:
        with store.driving("quickstart", SPLIT) as run:
            server.stop()
            run.study.ask()

    try:
        with pytest.raises(StoreError, match="cannot connect to the database server"):
            lose_the_server()
    finally:
        server.start()
    assert store.drivers("quickstart") == []


# Locks


def test_a_lock_whose_session_was_lost_is_taken_anew(
    store: Store, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.store.advisory.LOOK_EVERY_SECONDS", 0.0)
    with Store.open(store.url) as other, driving(store) as run:
        server.execute(DROP)
        assert other.drivers("quickstart") == []
        run.study.ask()
        assert other.drivers("quickstart") == [HERE]
    assert store.drivers("quickstart") == []


@pytest.fixture
def elsewhere(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store that says that it is a process of another machine."""
    with monkeypatch.context() as patch:
        patch.setattr("sweep.store.postgresql.client_name", lambda: "sweep 99@elsewhere")
        other = Store.open(url)
        other._database._session_engine  # type: ignore[attr-defined]  # noqa: B018
    with other:
        yield other


def test_a_driver_of_another_machine_is_named(store: Store, elsewhere: Store) -> None:
    with driving(elsewhere):
        assert store.drivers("quickstart") == [Holder(99, "elsewhere")]
        with pytest.raises(StoreError) as caught:
            store.delete_study("quickstart")
        assert caught.value.received == "process 99 on elsewhere"
        assert caught.value.next_step == "wait for it, or end it with Ctrl-C there"
        with driving(store):
            assert store.drivers("quickstart") == [Holder(99, "elsewhere"), HERE]


def test_a_lock_that_another_process_took_meanwhile_ends_the_writing(
    store: Store, elsewhere: Store, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.store.advisory.LOOK_EVERY_SECONDS", 0.0)
    create(store)

    def lose() -> None:
        with driving(store) as run:
            server.execute(DROP)
            with elsewhere._database.process_lock("run-1"):
                for write in (
                    lambda: store.log("quickstart", "info", "hello"),
                    lambda: run.study.ask(),
                ):
                    with pytest.raises(StoreError) as caught:
                        write()
                    assert caught.value.what.startswith("another process took over while the")
                    assert caught.value.received == "process 99 on elsewhere"

    lose()
    assert store.log_rows("quickstart") == []
    assert len(store.trial_rows("quickstart")) == 0
