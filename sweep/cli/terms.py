"""The words of one study: its objectives, what it searches, and its standing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sweep.budget import Budget, state_of
from sweep.cli.text import STATES, differences
from sweep.errors import StoreError
from sweep.spec import parse_study
from sweep.spec.model import StudySpec
from sweep.store import RETRY_OF, Outlook
from sweep.trial import TrialConfig, Value

if TYPE_CHECKING:
    from sweep.store import Store
    from sweep.store.locks import Holder

Row = Mapping[str, Any]

TRIAL_KEYS = (
    "seed",
    "attempt",
    "engine",
    "worker",
    "device",
    "seconds",
    "epochs",
    "kept_epoch",
    "parameters",
    "zero_weights",
    "inference_seconds",
    "stop_reason",
    "remark",
    "error",
    "weights",
    "started",
    "ended",
)
LEAST_SECONDS: Final = 10.0
"""How long a study must have been driven for its speed to mean anything."""

LEASE_KEYS = ("number", "run_id", "host", "pid", "expires_at")
WORKER_KEYS = ("worker", "device", "host", "pid", "engine", "ready_at")


@dataclass(frozen=True, slots=True)
class StudyTerms:
    """What is needed to word the rows of a study.

    Attributes:
        spec: The study as it was last run.
        data: Name of the data trained on, with a remark if it is a fallback.
    """

    spec: StudySpec
    data: str

    @classmethod
    def of(cls, store: "Store", study: str) -> "StudyTerms":
        """Read them.

        Raises:
            StoreError: `sweep` did not make this study.
        """
        record = store.record(study)
        if record is None:
            raise StoreError(
                "this study was not made by sweep",
                where=f"study {study} in {store.safe_url}",
                next_step="sweep delete removes it; Optuna's own tools read it",
            )
        remark = " (FALLBACK: not the data that was asked for)" if record.data_is_fallback else ""
        return cls(parse_study(record.spec, source=f"study {study}"), record.data_name + remark)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the objectives."""
        return tuple(objective.metric for objective in self.spec.objectives)

    def changes(self, config: Row | None) -> dict[str, Value]:
        """What tells a trial's configuration from the settings that all share."""
        if not config:
            return {}
        return differences(TrialConfig(**config), self.spec.fixed, self.spec.search)

    def trial_document(self, row: Row) -> dict[str, Any]:
        """A trial as `--json` prints it."""
        return {
            "trial": row["number"],
            "state": STATES[row["state"]],
            "values": self.values(row),
            "config": row["config"] or None,
            "params": row["params"],
            "retry_of": row["user_attrs"].get(RETRY_OF),
            **{key: row[key] for key in TRIAL_KEYS},
        }

    def values(self, row: Row) -> dict[str, float] | None:
        """A trial's objective values by name."""
        return dict(zip(self.metrics, row["values"], strict=False)) if row["values"] else None

    def rank(self, row: Row) -> tuple[int, float, int]:
        """A key that sorts trials by their first objective, the best first.

        Trials that trained to their end come first, then diverged ones, then all others.
        """
        if row["state"] != "COMPLETE" or not row["values"]:
            return (2, 0.0, row["number"])
        sign = -1.0 if self.spec.objectives[0].direction == "maximize" else 1.0
        return (int(row["stop_reason"] == "diverged"), sign * row["values"][0], row["number"])

    def best(self, rows: Sequence[Row]) -> Row | None:
        """The best trial that trained to its end."""
        ranked = sorted(rows, key=self.rank)
        return ranked[0] if ranked and self.rank(ranked[0])[0] == 0 else None

    def status_document(
        self,
        rows: Sequence[Row],
        workers: Sequence[Row],
        runs: Sequence[Row],
        drivers: Sequence["Holder"],
        leases: Sequence[Row],
        outlook: Outlook,
    ) -> dict[str, Any]:
        """How far the study is, as `sweep status --json` prints it."""
        retried = retried_numbers(rows)
        counted = [row for row in rows if row["number"] not in retried]
        counts = {
            name: sum(1 for row in counted if row["state"] == state)
            for state, name in STATES.items()
        }
        best = self.best(rows)
        budget = Budget.of(self.spec)
        asked = budget.trials
        finished = counts["complete"] + counts["pruned"] + counts["failed"]
        per_second = (
            finished / outlook.wall_seconds if outlook.wall_seconds >= LEAST_SECONDS else 0.0
        )
        spent = budget.ending(best["values"][0] if best else None, outlook)
        is_over = finished >= asked or (spent is not None and not drivers)
        return {
            "study": self.spec.study,
            "state": state_of(outlook.wanted, is_over=is_over, is_driven=bool(drivers)),
            "data": self.data,
            "drivers": [{"pid": driver.pid, "host": driver.host} for driver in drivers],
            "trials": {
                "asked": asked,
                "finished": finished,
                **counts,
                "diverged": sum(1 for row in rows if row["stop_reason"] == "diverged"),
                "retried": len(retried),
            },
            "trials_per_hour": 3600.0 * per_second or None,
            "eta_seconds": (asked - finished) / per_second if per_second and drivers else None,
            "trial_epochs": sum(row["epochs"] or 0 for row in rows),
            "trial_seconds": sum(row["seconds"] or 0.0 for row in rows),
            "best": best
            and {
                "trial": best["number"],
                "values": self.values(best),
                "changes": self.changes(best["config"]),
            },
            "workers": [
                {key: worker[key] for key in WORKER_KEYS}
                | {"trials": _training(worker, rows, leases)}
                for worker in workers
                if worker["ended_at"] is None and drivers
            ],
            "leases": [{key: lease[key] for key in LEASE_KEYS} for lease in leases],
            "runs": list(runs),
        }


def retried_numbers(rows: Sequence[Row]) -> frozenset[int]:
    """Numbers of the failed trials that another trial repeats."""
    return frozenset(row["user_attrs"][RETRY_OF] for row in rows if RETRY_OF in row["user_attrs"])


def _training(worker: Row, rows: Sequence[Row], leases: Sequence[Row]) -> list[int]:
    """Numbers of the trials that a worker has in its slots."""
    of_run = {lease["number"] for lease in leases if lease["run_id"] == worker["run_id"]}
    return [
        row["number"]
        for row in rows
        if row["number"] in of_run and row["worker"] == worker["worker"]
    ]
