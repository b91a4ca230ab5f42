"""Several runs of one study: who may write about which trial, and who takes it over."""

import gzip
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import PIPE

import pytest
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import select, update
from store_samples import (
    SPLIT,
    complete,
    create,
    driving,
    end,
    fail,
    report,
    result,
    start,
    task,
    train,
)
from test_store_driving import plain

from sweep.driver.retry import retry_failed
from sweep.store import RETRY_OF, BudgetSpentError, Store, StudyRun, upgrade
from sweep.store.schema import late_epochs, leases, runs

HOST = Path(__file__).with_name("store_host.py")
OLD_DATABASES = Path(__file__).parent / "old_databases"
GRACE = "sweep.store.postgresql.PostgresqlDatabase.grace_seconds"


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


@pytest.fixture
def other(store: Store, run: StudyRun) -> Iterator[StudyRun]:
    """A second run of the same study, of another store object."""
    with Store.open(store.url) as second, second.driving("quickstart", SPLIT) as other:
        yield other


def holders(store: Store) -> dict[int, int]:
    """The run of each open trial, by trial id."""
    with store._database.reading() as connection:
        query = select(leases.c.trial_id, leases.c.run_id)
        return {trial_id: run_id for trial_id, run_id in connection.execute(query)}


def run_id(run: StudyRun) -> int:
    return run._share.run_id


def expire(store: Store, run: StudyRun) -> None:
    """A run's lease ends, by the database's clock."""
    with store._database.engine.begin() as connection:
        past = store._database.now(connection) - timedelta(seconds=1)
        query = update(runs).where(runs.c.run_id == run_id(run))
        connection.execute(query.values(expires_at=past))


def steal(store: Store, run: StudyRun, other: StudyRun) -> list[int]:
    """The first run was stopped for long, and the second one takes over; the trials' numbers."""
    expire(store, run)
    return [trial.number for trial in other.take_over(100)]


# Reserving


def test_runs_in_threads_never_exceed_the_budget(store: Store) -> None:
    create(store)
    got: list[int] = []
    spent: list[int] = []

    def ask() -> None:
        with store.driving("quickstart", SPLIT) as run:
            run.limit(10)
            while True:
                try:
                    trial = run.study.ask()
                except BudgetSpentError:
                    spent.append(1)
                    return
                got.append(trial.number)
                if trial.number % 2:
                    run.study.tell(trial, 0.5)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sorted(got), len(spent)) == (list(range(10)), 4)
    assert len(holders(store)) == 5


def test_trials_are_reserved_in_bulk_as_far_as_the_budget_goes(
    store: Store, run: StudyRun, other: StudyRun
) -> None:
    for each in (run, other):
        each.limit(5)
    assert run.reserve(3) == 3
    # Those are asked for first.
    assert run.reserve(9) == 3
    assert [run.study.ask().number for _ in range(3)] == [0, 1, 2]
    assert other.reserve(9) == 2
    assert [other.study.ask().number for _ in range(2)] == [3, 4]
    for each in (run, other):
        with pytest.raises(BudgetSpentError):
            each.reserve(1)
    held = list(holders(store).values())
    assert [held.count(run_id(each)) for each in (run, other)] == [3, 2]


def test_runs_in_processes_never_exceed_the_budget(store: Store) -> None:
    create(store)
    command = [sys.executable, str(HOST), "reserve", store.url, "7"]
    programs = [subprocess.Popen(command, stdout=PIPE) for _ in range(3)]
    found = [json.loads(program.communicate(timeout=60)[0]) for program in programs]
    assert [program.returncode for program in programs] == [0] * 3
    assert sorted(number for numbers in found for number in numbers) == list(range(7))


def test_an_enqueued_trial_starts_once(run: StudyRun, other: StudyRun) -> None:
    for _ in range(2):
        run.study.enqueue_trial({"x": 0.25})
    other.pull()
    asked = [each.study.ask() for each in (run, other, run, other)]
    assert [trial.number for trial in asked] == [0, 1, 2, 3]
    values = [trial.suggest_float("x", 0.0, 1.0) for trial in asked]
    assert [value == 0.25 for value in values] == [True, True, False, False]


def test_a_waiting_trial_counts_when_it_starts(run: StudyRun, other: StudyRun) -> None:
    for each in (run, other):
        each.limit(1)
    run.study.enqueue_trial({})
    other.study.ask()
    with pytest.raises(BudgetSpentError):
        run.study.ask()


def test_failures_that_are_retried_do_not_count(
    store: Store, run: StudyRun, other: StudyRun
) -> None:
    for each in (run, other):
        each.limit(2)
    fail(run)
    complete(run, 0.5)
    with pytest.raises(BudgetSpentError):
        other.study.ask()
    assert retry_failed(store, "quickstart") == [0]
    other.pull()
    again = other.study.ask()
    assert again.user_attrs == {RETRY_OF: 0}
    for each in (run, other):
        with pytest.raises(BudgetSpentError):
            each.study.ask()
    other.study.tell(again, state=TrialState.FAIL)
    with pytest.raises(BudgetSpentError):
        run.study.ask()
    # The retry of a retry, and the first one once more.
    run.study.enqueue_trial({}, user_attrs={RETRY_OF: again.number})
    other.pull()
    assert other.study.ask().user_attrs == {RETRY_OF: again.number}


def test_runs_number_the_trials_of_a_counter_without_gaps(run: StudyRun, other: StudyRun) -> None:
    found = [each.storage.create_counted_trial("index") for each in (run, other, other, run)]
    assert [index for _, index in found] == [0, 1, 2, 3]
    other.study.ask()
    assert run.storage.create_counted_trial("index")[1] == 4


# Taking over


def test_a_run_that_ended_is_taken_over_at_once(store: Store, run: StudyRun) -> None:
    with store.driving("quickstart", SPLIT) as ended:
        trials = [start(ended, epochs=2) for _ in range(3)]
        asked = ended.study.ask()
    taken = run.take_over(2)
    assert [trial.number for trial in taken] == [0, 1]
    assert [trial.params for trial in taken] == [trial.params for trial in trials[:2]]
    assert [trial.number for trial in run.take_over(9)] == [2, asked.number]
    assert run.take_over(9) == []
    assert set(holders(store).values()) == {run_id(run)}
    train(run, [report(0, 3)])
    assert len(store.epoch_rows("quickstart", 0)) == 3


def test_a_run_that_lives_is_not_taken_over(
    run: StudyRun, other: StudyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GRACE, 0.0)
    start(run)
    assert other.take_over(9) == []
    assert run.take_lost() == set()


def killed(store: Store) -> tuple[int, list[str]]:
    """A process that was killed while it drove the study, and the lock files it left."""
    command = [sys.executable, str(HOST), "hold", store.url, "60"]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "held\n"
        assert program.pid in {holder.pid for holder in store.drivers("quickstart")}
        program.kill()
    path = Path(store.url.partition(":///")[2])
    return program.pid, [lock.name for lock in path.parent.glob(f"{path.name}-run-*.lock")]


@pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)
def test_a_killed_run_is_taken_over_at_once_with_its_lock_file(store: Store) -> None:
    create(store)
    pid, locks = killed(store)
    assert locks == ["0.db-run-1.lock"]
    with driving(store) as run:
        assert pid not in {holder.pid for holder in store.drivers("quickstart")}
        assert [trial.number for trial in run.take_over(9)] == [0]
        left = {lock.name for lock in Path(store.url.partition(":///")[2]).parent.glob("*.lock")}
        assert left == {"0.db-run-2.lock"}
    rows = store.run_rows("quickstart")
    assert [row["ended_at"] is None for row in rows] == [False, False]
    assert [row["end_reason"] for row in store.worker_rows("quickstart")] == ["the run ended"]


@pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)
def test_a_killed_run_is_taken_over_after_the_grace(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(store)
    killed(store)
    with driving(store) as run:
        assert run.take_over(9) == []
        # A session that was lost may be replaced for so long.
        monkeypatch.setattr(GRACE, 0.5)
        deadline = time.monotonic() + 30
        while not (taken := run.take_over(9)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert [trial.number for trial in taken] == [0]
    (killed_row, _) = store.run_rows("quickstart")
    silent = killed_row["ended_at"] - (killed_row["expires_at"] - timedelta(seconds=60))
    assert silent >= timedelta(seconds=0.5)


def test_an_expired_lease_is_taken_over_though_the_lock_is_held(
    store: Store, run: StudyRun, other: StudyRun
) -> None:
    trial = start(run)
    assert steal(store, run, other) == [trial.number]
    assert holders(store) == {trial._trial_id: run_id(other)}
    assert len(store.drivers("quickstart")) == 1, "the one that was stopped is not counted"


def test_trials_that_are_still_in_a_slot_are_left_to_others(store: Store, run: StudyRun) -> None:
    with store.driving("quickstart", SPLIT) as ended:
        trials = [start(ended, epochs=1) for _ in range(3)]
    but = {trials[0]._trial_id, trials[2]._trial_id}
    assert [trial.number for trial in run.take_over(9, but)] == [1]
    assert run.take_over(9, but) == []
    assert [trial.number for trial in run.take_over(9)] == [0, 2]


def test_a_run_that_renews_keeps_its_trials(
    store: Store, run: StudyRun, other: StudyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(run)
    expire(store, run)
    run.keep_alive(SPLIT)
    assert [row["expires_at"] < datetime.now(UTC) for row in store.run_rows("quickstart")] == [
        True,
        False,
    ], "not yet due"
    monkeypatch.setattr("sweep.store.run.RENEW_SECONDS", 0.0)
    run.keep_alive(SPLIT)
    assert other.take_over(9) == []


def test_trials_that_nobody_holds_are_taken_over(store: Store, run: StudyRun) -> None:
    known = store.load_study("quickstart")
    trials = [known.ask() for _ in range(3)]
    assert holders(store) == {}
    assert [trial.number for trial in run.take_over(2)] == [0, 1]
    assert holders(store) == {trial._trial_id: run_id(run) for trial in trials[:2]}


def test_two_that_take_over_get_different_trials(
    store: Store, run: StudyRun, other: StudyRun
) -> None:
    with store.driving("quickstart", SPLIT) as ended:
        for _ in range(6):
            start(ended)
    got: list[list[int]] = [[], []]

    def take(place: int, taker: StudyRun) -> None:
        while taken := taker.take_over(1):
            got[place] += [trial.number for trial in taken]

    threads = [threading.Thread(target=take, args=pair) for pair in enumerate((run, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got[0] + got[1]) == list(range(6))


@pytest.mark.slow
def test_a_process_that_stands_still_is_taken_over_and_comes_back(
    store: Store,
) -> None:
    create(store)
    command = [sys.executable, str(HOST), "hold", store.url, "3"]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdin is not None
        assert program.stdout.readline() == "held\n"
        program.send_signal(signal.SIGSTOP)
        with driving(store) as run:
            deadline = time.monotonic() + 60
            while not (taken := run.take_over(9)):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert [trial.number for trial in taken] == [0]
            train(run, [report(0, 3)])
            program.send_signal(signal.SIGCONT)
            program.stdin.write("train\n")
            program.stdin.flush()
            assert program.stdout.readline() == "lost [0]\n"
            program.stdin.close()
    assert [row["epoch"] for row in store.epoch_rows("quickstart", 0)] == [1, 2, 3]
    with store._database.reading() as connection:
        late = connection.execute(select(late_epochs.c.epoch, late_epochs.c.run_id)).all()
    assert late == [(3, 1)]


# Who was taken over


def test_a_former_owner_changes_nothing(store: Store, run: StudyRun, other: StudyRun) -> None:
    trial, kept = start(run, epochs=2), start(run, epochs=1)
    with store._database.engine.begin() as connection:
        mine = leases.c.trial_id == trial._trial_id
        connection.execute(update(leases).where(mine).values(run_id=run_id(other)))
    before = store.trial_row("quickstart", 0)
    train(run, [report(0, 3, loss=0.125), report(1, 2)])
    run.checkpoints_written([trial._trial_id], [report(0, 3, checkpoint="checkpoint-0-a")])
    run.checkpoint_dropped(trial._trial_id, 0)
    run.trial_started(trial._trial_id, task(0, attempt=2), "cpu9")
    run.trial_failed(trial._trial_id, 0, "no", "Traceback", "log")
    with run.batch():
        end(run, result(0))
        trial.set_user_attr("stop_reason", "completed")
        run.study.tell(trial, 0.5)
    assert store.trial_row("quickstart", 0) == before
    (known, _) = store.load_study("quickstart").get_trials()
    assert (known.state, known.values, known.user_attrs) == (TrialState.RUNNING, None, {})
    assert len(store.epoch_rows("quickstart", 0)) == 2
    assert len(store.epoch_rows("quickstart", 1)) == 2, "what it holds still, it writes"
    with store._database.reading() as connection:
        columns = (c for c in late_epochs.columns if c.name not in ("late_id", "reported_at"))
        (late,) = connection.execute(select(*columns)).mappings()
    assert (late["trial_id"], late["run_id"]) == (trial._trial_id, run_id(run))
    assert (late["epoch"], late["loss"]) == (3, 0.125)
    assert (run.holds(trial._trial_id), run.holds(kept._trial_id)) == (False, True)
    assert run.take_lost() == {0}
    assert run.take_lost() == set()


def test_the_last_transaction_of_a_former_owner_leaves_other_trials_whole(
    store: Store, run: StudyRun, other: StudyRun
) -> None:
    lost, kept = start(run), start(run)
    with store._database.engine.begin() as connection:
        mine = leases.c.trial_id == lost._trial_id
        connection.execute(update(leases).where(mine).values(run_id=run_id(other)))
    with run.batch():
        for trial in (lost, kept):
            trial.report(0.5, 1)
        run.study.tell(kept, 0.5)
    known = store.load_study("quickstart").get_trials()
    assert [t.state for t in known] == [TrialState.RUNNING, TrialState.COMPLETE]
    assert [t.intermediate_values for t in known] == [{}, {1: 0.5}]
    assert run.take_lost() == {0}


def test_looking_at_the_others_shows_what_was_lost(
    store: Store, run: StudyRun, other: StudyRun
) -> None:
    trial = start(run)
    steal(store, run, other)
    other.study.tell(trial.number, 0.5)
    assert run.holds(trial._trial_id)
    assert [ended.number for ended in run.pull()] == [trial.number]
    assert not run.holds(trial._trial_id)
    assert run.take_lost() == {trial.number}


def test_what_was_lost_can_be_taken_back(store: Store, run: StudyRun, other: StudyRun) -> None:
    trial = start(run)
    steal(store, run, other)
    train(other, [report(0, 3)])
    assert steal(store, other, run) == [0]
    train(run, [report(0, 4)])
    run.study.tell(trial, 0.5)
    assert len(store.epoch_rows("quickstart", 0)) == 4
    assert holders(store) == {}
    assert other.pull()[0].values == [0.5]
    assert other.take_lost() == {0}


# Seeing the others


def test_a_pull_shows_what_others_made_reported_and_ended(run: StudyRun, other: StudyRun) -> None:
    trial = start(other, epochs=0)
    assert run.pull() == []
    assert [t.state for t in run.study.get_trials()] == [TrialState.RUNNING]
    assert run.others_open == 1
    for step in (1, 2):
        trial.report(0.25 * step, step)
        trial.set_user_attr("last", step)
        assert run.pull() == []
        (seen,) = run.study.get_trials()
        assert (max(seen.intermediate_values), seen.user_attrs) == (step, {"last": step})
        assert seen.params == trial.params
    other.study.tell(trial, 0.5)
    mine = run.study.ask()
    assert [(t.number, t.values) for t in run.pull()] == [(0, [0.5])]
    assert run.pull() == []
    assert run.others_open == 0
    assert [t.state for t in run.study.get_trials()] == [TrialState.COMPLETE, TrialState.RUNNING]
    run.study.tell(mine, 0.75)
    assert run.pull() == [], "its own are not among them"


def test_a_pull_without_changes_asks_for_no_trial(
    run: StudyRun, other: StudyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        start(other)
    run.pull()
    asked: list[set[int]] = []
    read = run._share.read

    def spy(trial_ids: set[int]) -> list[FrozenTrial]:
        asked.append(set(trial_ids))
        return read(trial_ids)

    monkeypatch.setattr(run._share, "read", spy)
    run.pull()
    assert asked == []
    train(other, [report(1, 3)])
    run.pull()
    assert [len(ids) for ids in asked] == [1]


def test_what_two_runs_did_is_what_optuna_reads(store: Store) -> None:
    create(store)
    with store.driving("quickstart", SPLIT) as run, store.driving("quickstart", SPLIT) as other:
        open_trials = []
        for number in range(24):
            each = (run, other)[number % 2]
            with each.batch():
                trial = start(each, epochs=number % 3)
                trial.report(number / 24, 1)
                trial.set_user_attr("number", number)
            open_trials.append((each, trial))
            if number % 4 == 3:
                each, trial = open_trials.pop(0)
                state = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)[number % 3]
                values = 0.5 if state == TrialState.COMPLETE else None
                each.study.tell(trial, values, state=state)
        known = [plain(trial) for trial in store.load_study("quickstart").get_trials()]
        for each in (run, other):
            each.pull()
            assert [plain(trial) for trial in each.study.get_trials()] == known
    assert len(known) == 24


# Ids


def newest_id(store: Store) -> int:
    with store.driving("quickstart", SPLIT) as run:
        return run_id(run)


def test_ids_of_runs_never_come_back(store: Store) -> None:
    create(store)
    found = [newest_id(store) for _ in range(2)]
    store.delete_study("quickstart")
    create(store)
    found.append(newest_id(store))
    assert found == sorted(set(found))


@pytest.mark.parametrize("kind", ["db", "sql"])
def test_ids_of_runs_never_come_back_in_an_upgraded_database(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    content = gzip.decompress((OLD_DATABASES / f"r0002.{kind}.gz").read_bytes())
    if kind == "db":
        (tmp_path / "old.db").write_bytes(content)
        url = f"sqlite:///{tmp_path / 'old.db'}"
    else:
        server = request.getfixturevalue("server")
        name = server.new_database()
        server.execute(content.decode(), database=name)
        url = server.url(name)
    upgrade(url)
    with Store.open(url) as store:
        with store._database.reading() as connection:
            (old,) = connection.execute(select(runs.c.run_id)).scalars()
        with store.driving("quickstart", SPLIT) as run:
            assert [trial.number for trial in run.take_over(9)] == [3], "nobody held it"
            assert run_id(run) == old + 1
        assert {row["ended_at"] is None for row in store.run_rows("quickstart")} == {False}
        store.delete_study("quickstart")
        create(store)
        assert newest_id(store) == old + 2
