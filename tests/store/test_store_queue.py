"""Studies that were submitted and the agents that serve them, on SQLite and on PostgreSQL."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from optuna.trial import TrialState
from sqlalchemy import update
from store_samples import SPEC, SPLIT, complete, create, driving, fail, record, start

from sweep.errors import StudyMismatchError
from sweep.store import QueuedStudy, Store, Wanted
from sweep.store import queue as queue_module
from sweep.store.records import UNKNOWN_DATA
from sweep.store.schema import agents as agent_table
from sweep.store.schema import runs as run_table


@pytest.fixture
def shared_url(new_url: Callable[[], str]) -> str:
    return new_url()


@pytest.fixture
def store(shared_url: str) -> Iterator[Store]:
    with Store.open(shared_url) as store:
        yield store


def submit(store: Store, name: str, *, priority: int = 0, weight: float = 1.0) -> None:
    create(store, name)
    store.queue.submit(name, priority=priority, weight=weight)


def only(store: Store) -> QueuedStudy:
    (study,) = store.queue.studies()
    return study


def nothing(serving: Mapping[str, int]) -> None:
    return None


def seen(store: Store, agent: int, study: str | None = None) -> dict[str, int]:
    """What an agent sees of the others, while it chooses `study`."""
    found: dict[str, int] = {}

    def choose(serving: Mapping[str, int]) -> str | None:
        found.update(serving)
        return study

    assert store.queue.allot(agent, choose) == study
    return found


# Studies


def test_studies_come_in_the_order_in_which_they_were_submitted(store: Store) -> None:
    create(store, "never")
    for name in ("b", "a", "c"):
        submit(store, name)
    assert [study.name for study in store.queue.studies()] == ["b", "a", "c"]
    submit(store, "b", priority=3, weight=0.5)
    a, c, b = store.queue.studies()
    assert (a.name, c.name) == ("a", "c")
    assert (b.name, b.priority, b.weight, b.spec) == ("b", 3, 0.5, SPEC)
    assert (a.priority, a.weight) == (0, 1.0)


def test_a_study_that_was_not_submitted_is_not_served(store: Store) -> None:
    create(store)
    assert store.queue.studies() == []
    assert store.outlook("quickstart").wanted is Wanted.RUN


@pytest.mark.parametrize("wanted", [Wanted.PAUSE, Wanted.STOP, Wanted.CANCEL])
def test_what_is_wanted_of_a_study_is_kept_until_it_is_submitted_again(
    store: Store, wanted: Wanted
) -> None:
    submit(store, "a")
    submit(store, "b")
    store.queue.want("a", wanted)
    assert [s.outlook.wanted for s in store.queue.studies()] == [wanted, Wanted.RUN]
    assert store.outlook("a").wanted is wanted
    # A run that begins does not change it.
    with driving(store, "a") as run:
        assert run.outlook().wanted is wanted
    assert store.outlook("a").wanted is wanted
    submit(store, "a")
    assert store.outlook("a").wanted is Wanted.RUN


def test_a_run_sees_what_is_wanted_from_another_connection(store: Store, shared_url: str) -> None:
    with driving(store) as run, Store.open(shared_url) as other:
        assert run.outlook().wanted is Wanted.RUN
        other.queue.want("quickstart", Wanted.PAUSE)
        assert run.outlook().wanted is Wanted.PAUSE


def test_claimed_trials_orphans_and_the_best_value(store: Store, shared_url: str) -> None:
    submit(store, "quickstart")
    study = only(store)
    assert (study.claimed, study.orphans, study.best_value) == (0, 0, None)
    with driving(store) as run:
        complete(run, 0.25)
        complete(run, 0.75)
        failed = fail(run)
        start(run)
        study = only(store)
        assert (study.claimed, study.orphans, study.best_value) == (4, 0, 0.75)
        run.study.enqueue_trial({}, user_attrs={"retry_of": failed.number})
        # The trial that waits does not count yet, and the failure does no more.
        assert only(store).claimed == 3
        assert run.study.ask().number == 4
        study = only(store)
        assert (study.claimed, study.orphans) == (4, 0)
    # The run has ended, and left two trials open.
    study = only(store)
    assert (study.claimed, study.orphans) == (4, 2)
    with Store.open(shared_url) as other, driving(other) as run:
        assert len(run.take_over(1)) == 1
        assert only(store).orphans == 1


def test_an_open_trial_of_an_expired_run_is_an_orphan(store: Store) -> None:
    submit(store, "quickstart")
    with driving(store) as run:
        start(run)
        assert only(store).orphans == 0
        past = datetime.now(UTC) - timedelta(seconds=1)
        store._database.write(lambda c: c.execute(update(run_table).values(expires_at=past)))
        assert only(store).orphans == 1


def test_the_best_value_follows_the_direction(store: Store) -> None:
    with driving(store, direction="minimize") as run:
        complete(run, 0.75)
        complete(run, 0.25)
        trial = start(run)
        run.study.tell(trial.number, state=TrialState.PRUNED)
    store.queue.submit("quickstart", priority=0, weight=1.0)
    assert only(store).best_value == 0.25


# What a study has had


def shift_runs(store: Store, started: timedelta, ended: timedelta | None) -> None:
    """Let all runs have begun and ended so long before now, by the clock of the database."""

    def write(connection):  # type: ignore[no-untyped-def]
        now = store._database.now(connection)
        values = {
            "started_at": now - started,
            "ended_at": None if ended is None else now - ended,
            "expires_at": now + timedelta(seconds=30),
        }
        connection.execute(update(run_table).values(**values))

    store._database.write(write)


def test_the_time_of_workers_is_added_up_over_all_runs(store: Store) -> None:
    submit(store, "quickstart")
    for _ in range(2):
        with driving(store) as run:
            run.timed(SPLIT)
    assert only(store).used_seconds == pytest.approx(2 * SPLIT.worker_seconds)


@pytest.mark.parametrize(
    ("started", "ended", "share"),
    [(600.0, 300.0, 1.0), (12.0, 0.0, 0.5), (20.0, 5.0, 0.0667), (20.0, 7.0, 0.0)],
    ids=["minutes ago", "half of it lately", "its end", "long ago"],
)
def test_only_what_a_study_had_lately_counts_when_it_is_its_turn(
    store: Store, started: float, ended: float, share: float
) -> None:
    submit(store, "quickstart")
    with driving(store) as run:
        run.timed(SPLIT)
    unit = {"seconds": 1.0} if started > 100 else {"hours": 1.0}
    step = timedelta(**unit)
    shift_runs(store, started * step, ended * step)
    used = only(store).used_seconds
    assert used == pytest.approx(share * SPLIT.worker_seconds, rel=0.01, abs=0.01)


def test_runs_that_overlap_cost_wall_time_once(store: Store, shared_url: str) -> None:
    create(store)
    with driving(store), Store.open(shared_url) as other, driving(other):
        shift_runs(store, timedelta(seconds=50), None)
        assert store.outlook("quickstart").wall_seconds == pytest.approx(50.0, abs=3.0)
    shift_runs(store, timedelta(seconds=100), timedelta(seconds=60))
    assert store.outlook("quickstart").wall_seconds == pytest.approx(40.0, abs=0.1)


def test_a_run_that_was_killed_costs_wall_time_until_its_lease_ended(store: Store) -> None:
    with driving(store):
        shift_runs(store, timedelta(seconds=100), None)
        past = datetime.now(UTC) - timedelta(seconds=30)
        store._database.write(lambda c: c.execute(update(run_table).values(expires_at=past)))
        assert store.outlook("quickstart").wall_seconds == pytest.approx(70.0, abs=3.0)


def test_only_runs_with_gpus_cost_gpu_time(store: Store) -> None:
    for device in ("cpu:0", "gpu:0"):
        with driving(store) as run:
            run.worker_ready("worker", 1, "host", device, "fused")
            run.timed(SPLIT)
    outlook = store.outlook("quickstart")
    assert outlook.gpu_seconds == pytest.approx(SPLIT.worker_seconds)


# Data that nobody has found yet


def test_the_first_run_says_what_a_submitted_study_trains_on(store: Store) -> None:
    unknown = record(data_fingerprint=UNKNOWN_DATA)
    directions, names = ["maximize"], ["val_accuracy"]
    store.create_study(unknown, directions, names)
    store.queue.submit("quickstart", priority=0, weight=1.0)
    kept = store.record("quickstart")
    assert kept is not None
    assert kept.data_fingerprint == UNKNOWN_DATA
    store.create_study(record(data_fingerprint="f0und", data_is_fallback=True), directions, names)
    kept = store.record("quickstart")
    assert kept is not None
    assert (kept.data_fingerprint, kept.data_is_fallback) == ("f0und", True)
    # Submitted again, it keeps what it has trained on.
    store.create_study(unknown, directions, names)
    kept = store.record("quickstart")
    assert kept is not None
    assert (kept.data_fingerprint, kept.data_is_fallback) == ("f0und", True)
    with pytest.raises(StudyMismatchError, match="data"):
        store.create_study(record(data_fingerprint="0ther"), directions, names)


def test_another_space_is_refused_even_before_the_data_are_known(store: Store) -> None:
    unknown = record(data_fingerprint=UNKNOWN_DATA)
    store.create_study(unknown, ["maximize"], ["val_accuracy"])
    with pytest.raises(StudyMismatchError):
        store.create_study(replace(unknown, space_hash="0ther"), ["maximize"], ["val_accuracy"])


def test_submitting_again_keeps_the_larger_budget(store: Store) -> None:
    submit(store, "quickstart")
    more = SPEC.replace("trials: 20", "trials: 30")
    store.create_study(record(spec=more), ["maximize"], ["val_accuracy"])
    store.queue.submit("quickstart", priority=0, weight=1.0)
    assert only(store).spec == more


# Agents


def test_agents_join_are_seen_and_leave(store: Store) -> None:
    first = store.queue.join("here", 11, "cpu:0")
    second = store.queue.join("there", 22, "gpu:1")
    assert [(a["agent_id"], a["host"], a["pid"], a["device"]) for a in store.queue.agents()] == [
        (first, "here", 11, "cpu:0"),
        (second, "there", 22, "gpu:1"),
    ]
    assert [agent["study"] for agent in store.queue.agents()] == [None, None]
    assert seen(store, first, "a") == {}
    assert seen(store, second, "b") == {"a": 1}
    assert seen(store, first, "b") == {"b": 1}
    assert [agent["study"] for agent in store.queue.agents()] == ["b", "b"]
    third = store.queue.join("there", 23, "gpu:2")
    assert seen(store, third) == {"b": 2}
    store.queue.leave(second)
    assert [agent["agent_id"] for agent in store.queue.agents()] == [first, third]
    assert seen(store, third) == {"b": 1}


def test_an_agent_that_says_nothing_is_forgotten_until_it_speaks_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = store.queue.join("here", 11, "cpu:0")
    other = store.queue.join("here", 12, "cpu:1")
    assert seen(store, silent, "a") == {}
    past = datetime.now(UTC) - timedelta(seconds=1)
    mine = update(agent_table).where(agent_table.c.agent_id == silent).values(expires_at=past)
    store._database.write(lambda c: c.execute(mine))
    assert [agent["agent_id"] for agent in store.queue.agents()] == [other]
    assert seen(store, other) == {}
    assert seen(store, silent, "a") == {}
    assert [agent["agent_id"] for agent in store.queue.agents()] == [silent, other]
    assert seen(store, other) == {"a": 1}
    monkeypatch.setattr(queue_module, "AGENT_SECONDS", -1.0)
    assert seen(store, silent, "a") == {}
    assert seen(store, other) == {}


def test_those_who_choose_at_once_do_so_one_after_the_other(store: Store, shared_url: str) -> None:
    count = 6
    ids = [store.queue.join("here", number, "cpu:0") for number in range(count)]
    barrier, inside = threading.Barrier(count), threading.Semaphore(1)
    states: list[tuple[int, ...]] = []
    trouble: list[BaseException] = []

    def choose(serving: Mapping[str, int]) -> str:
        assert inside.acquire(blocking=False), "two choose at once"
        states.append((serving.get("a", 0), serving.get("b", 0)))
        time.sleep(0.05)
        inside.release()
        return min("ab", key=lambda name: serving.get(name, 0))

    def agent(agent_id: int) -> None:
        try:
            with Store.open(shared_url) as mine:
                barrier.wait(30)
                mine.queue.allot(agent_id, choose)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            trouble.append(error)

    threads = [threading.Thread(target=agent, args=(agent_id,)) for agent_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert trouble == []
    assert sorted(states) == [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (3, 2)]
    assert [agent["study"] for agent in store.queue.agents()].count("a") == 3
