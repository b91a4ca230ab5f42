"""Which trials are exported, and what is known of each."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sweep.errors import UsageError
from sweep.spec import parse_study
from sweep.spec.model import BackendName, EngineName, ObjectiveSpec, StudySpec
from sweep.store import Store
from sweep.store.records import StudyRecord
from sweep.trial import StopReason, TrialConfig

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """A trial to be exported.

    Attributes:
        record: What its study ran with.
        spec: Its study file.
        row: Its row of `Store.trial_rows`.
        epochs: Its rows of `Store.epoch_rows`, in order.
        standing: What makes it one of the best, in a few words; empty if it was named.
    """

    record: StudyRecord
    spec: StudySpec
    row: Row
    epochs: tuple[Row, ...]
    standing: str

    @property
    def number(self) -> int:
        """Trial number."""
        return int(self.row["number"])

    @property
    def seed(self) -> int:
        """Seed of all the trial's randomness."""
        return int(self.row["seed"])

    @property
    def engine(self) -> EngineName:
        """The engine that trained it: not always the study's, which may have handed it on."""
        return cast(EngineName, self.row["engine"] or self.spec.engine)

    @property
    def backend(self) -> BackendName:
        """What Keras ran on; the reference engine has no choice."""
        return "tensorflow" if self.engine == "reference" else self.spec.backend

    @property
    def config(self) -> TrialConfig:
        """What it trained."""
        return TrialConfig(**self.row["config"]).canonical()

    @property
    def title(self) -> str:
        """The trial and its study, for people."""
        standing = f" ({self.standing})" if self.standing else ""
        return f"trial {self.number} of the study {self.record.name}{standing}"

    @property
    def outcome(self) -> str:
        """How it went, in one line."""
        state = str(self.row["state"]).lower()
        if self.row["stop_reason"] not in (None, StopReason.PRUNED, StopReason.COMPLETED):
            state += f", {self.row['stop_reason'].replace('_', ' ')}"
        values = ", ".join(
            f"{objective.metric} {value:.6g}"
            for objective, value in zip(
                self.spec.objectives, self.row["values"] or (), strict=False
            )
        )
        kept = f" at epoch {self.row['kept_epoch']} of {self.row['epochs']}" if values else ""
        return f"{state}: {values}{kept}" if values else state

    @property
    def data(self) -> str:
        """What it trained on."""
        fallback = ", the fallback of its study" if self.record.data_is_fallback else ""
        name = " ".join(self.record.data_name.split())
        return f"{name}{fallback} (fingerprint {self.record.data_fingerprint[:16]})"


def subjects(store: Store, study: str, *, trial: int | None, top: int | None) -> list[Subject]:
    """The trials that are meant.

    Args:
        store: The database.
        study: Name of the study.
        trial: Number of a trial; the best ones if None.
        top: How many of the best; 1 if None.

    Returns:
        Best first; fewer than `top` if there are no more.

    Raises:
        UsageError: No such study or trial, or no trial that could be the best.
    """
    record = store.record(study)
    if record is None:
        raise UsageError(
            "no such study",
            where=store.safe_url,
            received=study,
            next_step="sweep studies lists them",
        )
    spec = parse_study(record.spec, source=f"the record of {study}")
    rows = store.trial_rows(study)
    if trial is not None:
        chosen, standings = [_named(rows, study, trial)], [""]
    else:
        chosen, standings = _best(rows, spec.objectives, study, top or 1)
    return [
        Subject(record, spec, row, tuple(store.epoch_rows(study, row["number"])), standing)
        for row, standing in zip(chosen, standings, strict=True)
    ]


def _named(rows: Sequence[Row], study: str, number: int) -> Row:
    row = next((row for row in rows if row["number"] == number), None)
    if row is None or not row["config"]:
        raise UsageError(
            "no such trial" if row is None else "the trial has not started yet",
            where=f"study {study}",
            expected="the number of a trial that has started",
            received=str(number),
            next_step=f"sweep trials {study} lists them",
        )
    return row


def _best(
    rows: Sequence[Row], objectives: Sequence[ObjectiveSpec], study: str, count: int
) -> tuple[list[Row], list[str]]:
    """The best complete trials, with their standings: of several objectives, those of the front.

    A diverged trial is among them only if every trial diverged.
    """
    complete = [row for row in rows if row["state"] == "COMPLETE"]
    candidates = [row for row in complete if row["stop_reason"] != StopReason.DIVERGED] or complete
    if not candidates:
        raise UsageError(
            "no trial of the study is complete",
            where=f"study {study}",
            received=f"{len(rows)} trial(s), none of them complete",
            next_step="let the study finish a trial, or name one: --trial N",
        )
    costs = {row["number"]: _costs(row, objectives) for row in candidates}
    if len(objectives) > 1:
        candidates = [
            row
            for row in candidates
            if not any(_dominates(other, costs[row["number"]]) for other in costs.values())
        ]
    candidates.sort(key=lambda row: (costs[row["number"]][0], row["number"]))
    if len(candidates) < count:
        logger.warning("the study %s has only %d such trial(s)", study, len(candidates))
    chosen = candidates[:count]
    metric = objectives[0].metric
    suffix = f" by {metric}"
    if len(objectives) > 1:
        suffix += f" of the {len(candidates)} on the Pareto front"
    return chosen, [
        ("best" if place == 1 else f"number {place}") + suffix
        for place in range(1, len(chosen) + 1)
    ]


def _costs(row: Row, objectives: Sequence[ObjectiveSpec]) -> tuple[float, ...]:
    """The objective values, turned so that less is better; NaN is worst."""
    turned = [
        -value if objective.direction == "maximize" else value
        for objective, value in zip(objectives, row["values"], strict=True)
    ]
    return tuple(math.inf if math.isnan(value) else value for value in turned)


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one is nowhere worse than the other and somewhere better."""
    return tuple(one) != tuple(other) and all(a <= b for a, b in zip(one, other, strict=True))
