"""What a study has cost so far, over all its runs, by the clock of the database."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, select

from sweep.store.records import Outlook, Wanted
from sweep.store.schema import runs, studies, workers

RECENT: Final = timedelta(hours=6)
"""How far back it counts what a study has had, when studies take turns.

A study that ran alone for days does not have to wait until another one has had as much."""


def outlook(connection: Connection, study_id: int, now: datetime) -> Outlook:
    """What is to become of a study, and what it has cost.

    A run that was killed counts until its lease ended.
    """
    wanted = select(studies.c.wanted).where(studies.c.study_id == study_id)
    query = select(runs.c.started_at, runs.c.ended_at, runs.c.expires_at).where(
        runs.c.study_id == study_id
    )
    spans = [(run.started_at, _end(run, now)) for run in connection.execute(query)]
    used = runs.c.training_seconds + runs.c.compiling_seconds + runs.c.idle_seconds
    on_gpu = select(workers.c.run_id).where(
        workers.c.study_id == study_id, workers.c.device.startswith("gpu")
    )
    of_gpus = select(func.coalesce(func.sum(used), 0.0)).where(
        runs.c.study_id == study_id, runs.c.run_id.in_(on_gpu)
    )
    return Outlook(
        wanted=Wanted(connection.execute(wanted).scalar_one()),
        wall_seconds=covered_seconds(spans),
        gpu_seconds=float(connection.execute(of_gpus).scalar_one()),
    )


def recent_seconds(connection: Connection, study_id: int, now: datetime) -> float:
    """Workers' time that a study had within the last `RECENT`; runs are taken to be even."""
    used = runs.c.training_seconds + runs.c.compiling_seconds + runs.c.idle_seconds
    query = select(
        runs.c.started_at, runs.c.ended_at, runs.c.expires_at, used.label("used")
    ).where(runs.c.study_id == study_id, used > 0.0)
    seconds = 0.0
    for run in connection.execute(query):
        end = _end(run, now)
        whole = (end - run.started_at).total_seconds()
        recent = (end - max(run.started_at, now - RECENT)).total_seconds()
        if recent > 0.0:
            seconds += run.used * recent / whole
    return seconds


def _end(run: Any, now: datetime) -> datetime:
    """When a run ended, or until when it is known to have lived."""
    return min(time for time in (run.ended_at, run.expires_at, now) if time)


def covered_seconds(spans: Iterable[tuple[datetime, datetime]]) -> float:
    """Seconds that lie in at least one of the spans, from first to last moment."""
    seconds, reached = 0.0, None
    for start, end in sorted(spans):
        start = start if reached is None else max(start, reached)
        if end > start:
            seconds += (end - start).total_seconds()
            reached = end
    return seconds
