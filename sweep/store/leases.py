"""Leases: which run of a study may write about which open trial.

A run is a process that drives a study. It renews its lease while it lives; when the lease has
expired, by the clock of the database alone, its open trials may be taken over by another run. A
process that ended, whose lock the system has released, is not waited for.

Ids of runs only grow and none is given twice, so the id of a trial's run is its fencing token:
whoever writes about an open trial first finds its own id on it, in the same transaction. A run
that was stopped, or cut off, and comes back finds another id there and is refused; what it
reports late about an epoch is kept apart, in a table of its own.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from optuna.trial import TrialState
from sqlalchemy import Connection, delete, distinct, func, insert, select, update

from sweep.store.optuna_tables import TRIALS, USER_ATTRS
from sweep.store.records import RETRY_OF
from sweep.store.schema import leases, runs

LEASE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Hold:
    """Who holds an open trial.

    Attributes:
        run_id: The run.
        revision: Grows whenever that run writes about the trial.
    """

    run_id: int
    revision: int


def renew(connection: Connection, run_id: int, now: datetime) -> None:
    """Extend a run's lease, also of one that others thought dead."""
    values = {"expires_at": now + timedelta(seconds=LEASE_SECONDS), "ended_at": None}
    connection.execute(update(runs).where(runs.c.run_id == run_id).values(**values))


def end(connection: Connection, run_ids: Collection[int], now: datetime) -> None:
    """Runs have ended, or are taken for dead; others may go on with their trials at once."""
    ended = update(runs).where(runs.c.run_id.in_(run_ids), runs.c.ended_at.is_(None))
    connection.execute(ended.values(ended_at=now))


def give(connection: Connection, study_id: int, trial_ids: Collection[int], run_id: int) -> None:
    """Trials that nobody holds are held by a run now."""
    shared = {"study_id": study_id, "run_id": run_id, "revision": 0}
    connection.execute(insert(leases), [{"trial_id": each, **shared} for each in trial_ids])


def still_held(connection: Connection, run_id: int, trial_ids: Collection[int]) -> set[int]:
    """Which of these trials the run holds; they stay so until the transaction ends.

    Each one's revision grows.
    """
    if not trial_ids:
        return set()
    mine = leases.c.run_id == run_id, leases.c.trial_id.in_(sorted(trial_ids))
    query = select(leases.c.trial_id).where(*mine).order_by(leases.c.trial_id).with_for_update()
    held = set(connection.execute(query).scalars())
    if held:
        grown = update(leases).where(leases.c.trial_id.in_(held))
        connection.execute(grown.values(revision=leases.c.revision + 1))
    return held


def give_up(connection: Connection, trial_ids: Iterable[int]) -> None:
    """These trials are finished: nobody holds them."""
    connection.execute(delete(leases).where(leases.c.trial_id.in_(list(trial_ids))))


def holds(connection: Connection, study_id: int) -> dict[int, Hold]:
    """Who holds which open trial of a study."""
    query = select(leases.c.trial_id, leases.c.run_id, leases.c.revision).where(
        leases.c.study_id == study_id
    )
    return {
        trial_id: Hold(run_id, revision)
        for trial_id, run_id, revision in connection.execute(query)
    }


def runs_of(connection: Connection, study_id: int) -> list[Any]:
    """The runs that did not end by themselves, or hold trials still.

    Returns:
        Rows with `run_id`, `expires_at` and `ended_at`.
    """
    holding = select(leases.c.run_id).where(leases.c.study_id == study_id)
    query = (
        select(runs.c.run_id, runs.c.expires_at, runs.c.ended_at)
        .where(
            runs.c.study_id == study_id,
            runs.c.ended_at.is_(None) | runs.c.run_id.in_(holding),
        )
        .order_by(runs.c.run_id)
    )
    return list(connection.execute(query))


def orphans(
    connection: Connection,
    study_id: int,
    dead: Collection[int],
    most: int,
    but: Collection[int] = (),
) -> list[tuple[int, int | None]]:
    """Running trials whose runs are gone, and those that no run holds.

    Args:
        connection: Where to look.
        study_id: The study.
        dead: Runs that are gone.
        most: How many trials at most.
        but: Trials that are left out.

    Returns:
        Ids of the trial and of its run, in order of the trials.
    """
    query = (
        select(TRIALS.c.trial_id, leases.c.run_id)
        .join(leases, leases.c.trial_id == TRIALS.c.trial_id, isouter=True)
        .where(
            TRIALS.c.study_id == study_id,
            TRIALS.c.state == TrialState.RUNNING,
            leases.c.run_id.is_(None) | leases.c.run_id.in_(sorted(dead)),
            TRIALS.c.trial_id.not_in(sorted(but)),
        )
        .order_by(TRIALS.c.trial_id)
        .limit(most)
    )
    return [(trial_id, run_id) for trial_id, run_id in connection.execute(query)]


def take_over(
    connection: Connection,
    study_id: int,
    run_id: int,
    dead: Collection[int],
    most: int,
    but: Collection[int],
) -> list[int]:
    """Let a run hold `orphans`, in a transaction that holds the study's lock.

    Returns:
        Their ids, in order.
    """
    taken = orphans(connection, study_id, dead, most, but)
    for trial_id, holder in taken:
        if holder is None:
            give(connection, study_id, [trial_id], run_id)
        else:
            mine = update(leases).where(leases.c.trial_id == trial_id)
            connection.execute(mine.values(run_id=run_id, revision=leases.c.revision + 1))
    return [trial_id for trial_id, _ in taken]


def claimed(connection: Connection, study_id: int) -> int:
    """Trials that count against a budget: finished ones, retried failures left out, and open ones.

    Call it in a transaction that holds the study's lock, so that it is true until its end.
    """
    of_study = TRIALS.c.study_id == study_id
    counted = select(func.count()).where(of_study, TRIALS.c.state != TrialState.WAITING)
    retried = (
        select(func.count(distinct(USER_ATTRS.c.value_json)))
        .join(TRIALS, TRIALS.c.trial_id == USER_ATTRS.c.trial_id)
        .where(of_study, USER_ATTRS.c.key == RETRY_OF)
    )
    trials = connection.execute(counted).scalar_one()
    return int(trials) - int(connection.execute(retried).scalar_one())
