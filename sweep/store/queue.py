"""The service's side of the store: which studies agents serve, and which agents there are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from optuna.trial import TrialState
from sqlalchemy import Connection, case, func, insert, select, update

from sweep.store import leases
from sweep.store.database import Database
from sweep.store.optuna_tables import TRIALS
from sweep.store.queries import best_trials
from sweep.store.records import Outlook, Wanted
from sweep.store.schema import agents, runs
from sweep.store.schema import leases as lease_table
from sweep.store.schema import studies as study_table
from sweep.store.spending import outlook, recent_seconds

Result = TypeVar("Result")

AGENT_SECONDS: Final = 30.0
"""How long an agent that says nothing is believed to live."""


@dataclass(frozen=True, slots=True)
class QueuedStudy:
    """A study that was submitted, as agents see it.

    Attributes:
        name: Its name.
        spec: Its resolved study file, YAML.
        priority: Agents serve the highest first.
        weight: Its share of the agents among studies of its priority.
        outlook: What is to become of it, and what it has cost.
        best_value: First objective value of its best trial, or None.
        claimed: Trials that count against its budget: finished ones and open ones.
        orphans: Open trials that no living run holds.
        used_seconds: Workers' time that it has had lately, as studies take turns by it.
    """

    name: str
    spec: str
    priority: int
    weight: float
    outlook: Outlook
    best_value: float | None
    claimed: int
    orphans: int
    used_seconds: float


class StudyQueue:
    """Studies that were submitted, and the agents that serve them.

    Every method raises `StoreError` if the database cannot be read or written.
    """

    def __init__(self, database: Database) -> None:
        """Use `Store.queue`."""
        self._database = database

    # Studies

    def submit(self, study: str, *, priority: int, weight: float) -> None:
        """Let agents serve a study, from now on and with these shares."""

        def write(connection: Connection) -> None:
            named = update(study_table).where(study_table.c.name == study)
            connection.execute(
                named.values(
                    wanted=Wanted.RUN.value,
                    priority=priority,
                    weight=weight,
                    submitted_at=self._database.now(connection),
                )
            )

        self._write(write)

    def want(self, study: str, wanted: Wanted) -> None:
        """Say what is to become of a study; those who drive it find out within seconds."""

        def write(connection: Connection) -> None:
            named = update(study_table).where(study_table.c.name == study)
            connection.execute(named.values(wanted=wanted.value))

        self._write(write)

    def studies(self) -> list[QueuedStudy]:
        """All that were submitted, in the order of that."""

        def read(connection: Connection) -> list[QueuedStudy]:
            now = self._database.now(connection)
            best = best_trials(connection)
            submitted = study_table.c.submitted_at
            query = select(study_table).where(submitted.is_not(None)).order_by(submitted)
            return [
                QueuedStudy(
                    name=row.name,
                    spec=row.spec,
                    priority=row.priority,
                    weight=row.weight,
                    outlook=outlook(connection, row.study_id, now),
                    best_value=best[row.study_id][1] if row.study_id in best else None,
                    claimed=leases.claimed(connection, row.study_id),
                    orphans=_orphans(connection, row.study_id, now),
                    used_seconds=recent_seconds(connection, row.study_id, now),
                )
                for row in connection.execute(query)
            ]

        with self._database.translated():
            return self._database.read(read)

    # Agents

    def join(self, host: str, pid: int, device: str) -> int:
        """Add an agent; returns its id."""

        def write(connection: Connection) -> int:
            now = self._database.now(connection)
            row = {
                "host": host,
                "pid": pid,
                "device": device,
                "started_at": now,
                "expires_at": now + timedelta(seconds=AGENT_SECONDS),
            }
            return int(
                connection.execute(insert(agents).returning(agents.c.agent_id), row).scalar_one()
            )

        return self._write(write)

    def allot(
        self, agent_id: int, choose: Callable[[Mapping[str, int]], str | None]
    ) -> str | None:
        """Choose what an agent serves next, and say that it lives; one agent at a time does so.

        Args:
            agent_id: The agent.
            choose: Is given how many other living agents serve each study, by name; returns the
                name of a study, or None for none.

        Returns:
            What it chose.
        """

        def write(connection: Connection) -> str | None:
            now = self._database.now(connection)
            # In one order, so that those who choose at once wait for each other.
            query = select(agents).where(agents.c.ended_at.is_(None)).order_by(agents.c.agent_id)
            serving: dict[str, int] = {}
            for row in connection.execute(query.with_for_update()):
                if row.agent_id != agent_id and row.study is not None and row.expires_at > now:
                    serving[row.study] = serving.get(row.study, 0) + 1
            chosen = choose(serving)
            values = {"study": chosen, "expires_at": now + timedelta(seconds=AGENT_SECONDS)}
            mine = update(agents).where(agents.c.agent_id == agent_id)
            connection.execute(mine.values(**values))
            return chosen

        return self._write(write)

    def leave(self, agent_id: int) -> None:
        """An agent ends."""

        def write(connection: Connection) -> None:
            mine = update(agents).where(agents.c.agent_id == agent_id)
            connection.execute(mine.values(study=None, ended_at=self._database.now(connection)))

        self._write(write)

    def agents(self) -> list[dict[str, Any]]:
        """The agents that live, in order of beginning."""

        def read(connection: Connection) -> list[dict[str, Any]]:
            alive = (
                agents.c.ended_at.is_(None),
                agents.c.expires_at > self._database.now(connection),
            )
            query = select(agents).where(*alive).order_by(agents.c.agent_id)
            return [row._asdict() for row in connection.execute(query)]

        with self._database.translated():
            return self._database.read(read)

    def _write(self, action: Callable[[Connection], Result]) -> Result:
        with self._database.translated():
            return self._database.write(action)


def _orphans(connection: Connection, study_id: int, now: datetime) -> int:
    """Running trials that no run holds whose lease is good."""
    good = case((runs.c.ended_at.is_(None) & (runs.c.expires_at > now), 1), else_=0)
    query = (
        select(func.count(), func.coalesce(func.sum(good), 0))
        .select_from(TRIALS)
        .join(lease_table, lease_table.c.trial_id == TRIALS.c.trial_id, isouter=True)
        .join(runs, runs.c.run_id == lease_table.c.run_id, isouter=True)
        .where(TRIALS.c.study_id == study_id, TRIALS.c.state == TrialState.RUNNING)
    )
    running, held = connection.execute(query).one()
    return int(running) - int(held)
