"""The store's rows as pandas frames: one row a trial, one row an epoch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sweep.errors import StoreError
from sweep.store import Store
from sweep.trial import FIELDS, StopReason

Row = Mapping[str, Any]

OUTCOMES = ("complete", "diverged", "pruned", "failed", "running", "waiting")
# Outcomes of trials that have an objective value.
VALUED = ("complete", "diverged", "pruned")
_BY_STATE = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}
_NUMBERS = ("seconds", "kept_epoch", "parameters", "attempt", "seed")
_TEXTS = ("stop_reason", "error", "engine", "worker", "device", "weights", "started", "ended")
_EPOCH_NUMBERS = (
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
)


@dataclass(frozen=True, slots=True)
class StudyFrames:
    """A study as figures need it.

    Attributes:
        study: Name of the study.
        data: Name of the data trained on.
        is_fallback: Whether the data stands in for what was asked.
        metrics: Names of the objectives.
        directions: `maximize` or `minimize`, one for each objective.
        trials: See `trials_frame`.
        epochs: See `epochs_frame`.
    """

    study: str
    data: str
    is_fallback: bool
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    trials: pd.DataFrame
    epochs: pd.DataFrame

    @property
    def maximize(self) -> bool:
        """Whether a larger first objective is better."""
        return self.directions[0] == "maximize"

    @property
    def valued(self) -> pd.DataFrame:
        """Trials with a finite first objective: complete, diverged and pruned ones."""
        has_value = self.trials["outcome"].isin(VALUED) & self.trials["value"].map(math.isfinite)
        return self.trials.loc[has_value]

    @property
    def varied(self) -> tuple[str, ...]:
        """Settings that differ between trials, in order of definition."""
        return tuple(
            name for name in FIELDS if active_values(self.trials, name).nunique(dropna=True) > 1
        )

    def counts(self) -> dict[str, int]:
        """Number of trials by outcome; every outcome is a key."""
        found = self.trials["outcome"].value_counts()
        return {outcome: int(found.get(outcome, 0)) for outcome in OUTCOMES}

    def best(self) -> pd.DataFrame:
        """Complete trials, best first; with several objectives the Pareto front."""
        valued = self.valued
        complete = valued.loc[valued["outcome"] == "complete"]
        if len(self.directions) > 1:
            complete = complete.loc[pareto_mask(self, complete)]
        return complete.sort_values(
            ["value", "number"], ascending=[not self.maximize, True], kind="stable"
        )


def study_frames(store: Store, study: str, trial_rows: Sequence[Row] | None = None) -> StudyFrames:
    """Read a study with a fixed number of queries, whatever its size.

    Args:
        store: The open store.
        study: Name of the study.
        trial_rows: The store's rows of its trials, if the caller has read them already.

    Raises:
        StoreError: There is no such study.
    """
    record = store.record(study)
    if record is None:
        raise StoreError(
            f"there is no study {study!r} in this storage",
            where=store.safe_url,
            expected="the name of a study that `sweep run` started here",
            received=repr(study),
            next_step="`sweep studies` lists the studies of a storage",
        )
    optuna_study = store.load_study(study)
    with store.translated():
        directions = tuple(direction.name.lower() for direction in optuna_study.directions)
        names = optuna_study.metric_names or [f"objective {i + 1}" for i in range(len(directions))]
    return assemble(
        study=study,
        data=record.data_name,
        is_fallback=record.data_is_fallback,
        metrics=tuple(names),
        directions=directions,
        trial_rows=store.trial_rows(study) if trial_rows is None else trial_rows,
        epoch_rows=store.epoch_rows(study),
    )


def trials_frame(store: Store, study: str) -> pd.DataFrame:
    """One row for each trial, by number.

    Columns: `number`, `state` (Optuna's), `outcome` (see `OUTCOMES`: a complete trial that
    diverged is `diverged`), `value` (first objective) and `value_2`, `value_3` (further ones),
    `accuracy` (validation accuracy of the kept epoch, of the last one if none was kept),
    `seconds_per_epoch` (median from the second epoch on: the first one compiles),
    `trained_epochs`, `kept_epoch`, `parameters`, `seconds`, `seed`, `attempt`, `engine`, `worker`,
    `device`, `stop_reason`, `error`, `weights`, `started`, `ended`, and one column for each field
    of `TrialConfig`. What is unknown is NaN or None.

    Raises:
        StoreError: There is no such study.
    """
    return study_frames(store, study).trials


def epochs_frame(store: Store, study: str) -> pd.DataFrame:
    """One row for each epoch of each trial, by number and epoch.

    Columns: `number`, `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`, `learning_rate`,
    `seconds`; what was not finite is NaN.
    """
    return _epochs(store.epoch_rows(study))


def assemble(
    *,
    study: str,
    data: str,
    is_fallback: bool,
    metrics: tuple[str, ...],
    directions: tuple[str, ...],
    trial_rows: Sequence[Row],
    epoch_rows: Sequence[Row],
) -> StudyFrames:
    """Build the frames from rows of the store."""
    epochs = _epochs(epoch_rows)
    return StudyFrames(
        study=study,
        data=data,
        is_fallback=is_fallback,
        metrics=metrics,
        directions=directions,
        trials=_trials(trial_rows, epochs, metrics),
        epochs=epochs,
    )


def active_values(trials: pd.DataFrame, name: str) -> pd.Series:
    """A setting of every trial, missing where it has no effect (see `TrialConfig.is_active`)."""
    info = FIELDS[name]
    active = trials[name].notna()
    for key, values in info.when.items():
        active &= trials[key].isin(values)
    for key, values in info.unless.items():
        active &= ~trials[key].isin(values)
    return trials[name].where(active)


def pareto_mask(frames: StudyFrames, trials: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Which trials no other trial beats in every objective."""
    signs = np.array([1.0 if d == "minimize" else -1.0 for d in frames.directions])
    losses = trials[value_columns(len(signs))].to_numpy(dtype=float) * signs
    keep: np.ndarray[Any, Any] = np.isfinite(losses).all(axis=1)
    for index in np.flatnonzero(keep):
        no_worse = (losses <= losses[index]).all(axis=1)
        keep[index] = not (no_worse & (losses < losses[index]).any(axis=1)).any()
    return keep


def visible_range(trials: pd.DataFrame) -> tuple[float, float]:
    """The range of the values, diverged trials left out unless there are no others."""
    usual = trials.loc[trials["outcome"] != "diverged", "value"]
    values = usual if len(usual) else trials["value"]
    if values.empty:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.05, high + 0.05)


def value_columns(objectives: int) -> list[str]:
    """Names of the columns that hold the objective values."""
    return ["value", *(f"value_{i + 1}" for i in range(1, objectives))]


def _epochs(rows: Sequence[Row]) -> pd.DataFrame:
    frame = pd.DataFrame(
        {name: [row[name] for row in rows] for name in ("number", "epoch", *_EPOCH_NUMBERS)}
    )
    frame = frame.astype({"number": int, "epoch": int} | dict.fromkeys(_EPOCH_NUMBERS, float))
    return frame.sort_values(["number", "epoch"], ignore_index=True)


def _trials(rows: Sequence[Row], epochs: pd.DataFrame, metrics: tuple[str, ...]) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "number": pd.Series([row["number"] for row in rows], dtype=int),
        "state": pd.Series([row["state"] for row in rows], dtype=object),
        "outcome": pd.Series([_outcome(row) for row in rows], dtype=object),
    }
    for index, name in enumerate(value_columns(len(metrics))):
        values = [row["values"][index] if row["values"] else None for row in rows]
        columns[name] = pd.Series(values, dtype=float)
    columns["trained_epochs"] = pd.Series([row["epochs"] for row in rows], dtype=float)
    for name in _NUMBERS:
        columns[name] = pd.Series([row[name] for row in rows], dtype=float)
    for name in _TEXTS:
        columns[name] = pd.Series([row[name] for row in rows], dtype=object)
    for name, info in FIELDS.items():
        values = [(row["config"] or {}).get(name) for row in rows]
        dtype = float if info.type in (int, float) else object
        columns[name] = pd.Series(values, dtype=dtype)
    trials = pd.DataFrame(columns).sort_values("number", ignore_index=True)
    return _with_epochs(trials, epochs, metrics)


def _with_epochs(
    trials: pd.DataFrame, epochs: pd.DataFrame, metrics: tuple[str, ...]
) -> pd.DataFrame:
    numbers = trials["number"]
    last = numbers.map(epochs.groupby("number")["val_accuracy"].last())
    later = epochs[epochs["epoch"] > 1]
    timed = epochs if later.empty else later
    kept = epochs.merge(
        trials[["number", "kept_epoch"]],
        left_on=["number", "epoch"],
        right_on=["number", "kept_epoch"],
    ).set_index("number")["val_accuracy"]
    accuracy = numbers.map(kept).fillna(last)
    if metrics[0] == "val_accuracy":
        accuracy = trials["value"].fillna(accuracy)
    return trials.assign(
        accuracy=accuracy.astype(float),
        seconds_per_epoch=numbers.map(timed.groupby("number")["seconds"].median()).astype(float),
    )


def _outcome(row: Row) -> str:
    if row["state"] == "COMPLETE" and row["stop_reason"] == StopReason.DIVERGED:
        return "diverged"
    return _BY_STATE[row["state"]]
