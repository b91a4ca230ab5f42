"""A study as pandas frames: one row a trial, an epoch, a layer, a worker."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.store import Store
from sweep.store.tables import Columns, StudyTables
from sweep.trial import FIELDS, StopReason

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
_NUMBERS = (
    "seconds",
    "kept_epoch",
    "parameters",
    "zero_weights",
    "inference_seconds",
    "attempt",
    "seed",
)
_TEXTS = ("stop_reason", "error", "engine", "worker", "device", "weights")
_TIMES = ("started", "ended")
_WORKER_TEXTS = ("worker", "host", "device", "engine", "end_reason")


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class StudyFrames:
    """A study as figures need it, read once: equal to itself alone.

    Attributes:
        study: Name of the study.
        data: Name of the data trained on.
        is_fallback: Whether the data stands in for what was asked.
        metrics: Names of the objectives.
        directions: `maximize` or `minimize`, one for each objective.
        trials: See `trials_frame`.
        epochs: See `epochs_frame`.
        layers: See `layers_frame`.
        workers: See `workers_frame`.
        runs: See `runs_frame`.
        spec: The resolved study file, YAML.
        fingerprint: Digest of the data and its splits; empty before any run has found them.
    """

    study: str
    data: str
    is_fallback: bool
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    trials: pd.DataFrame
    epochs: pd.DataFrame
    layers: pd.DataFrame
    workers: pd.DataFrame
    runs: pd.DataFrame
    spec: str
    fingerprint: str

    @property
    def maximize(self) -> bool:
        """Whether a larger first objective is better."""
        return self.directions[0] == "maximize"

    @property
    def valued(self) -> pd.DataFrame:
        """Trials with a finite first objective: complete, diverged and pruned ones."""
        has_outcome = self.trials["outcome"].isin(VALUED).to_numpy()
        is_finite: NDArray[np.bool_] = np.isfinite(self.trials["value"].to_numpy())
        return self.trials.loc[has_outcome & is_finite]

    @property
    def varied(self) -> tuple[str, ...]:
        """Settings that differ between trials, in order of definition."""
        return tuple(
            name
            for name in FIELDS
            if self.trials[name].nunique() > 1 and active_values(self.trials, name).nunique() > 1
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


def study_frames(store: Store, study: str) -> StudyFrames:
    """Read a study with a fixed number of queries, whatever its size.

    Raises:
        StoreError: There is no such study.
    """
    return assemble(store.tables(study))


def assemble(tables: StudyTables) -> StudyFrames:
    """The frames of a study that has been read."""
    epochs = epochs_frame(tables)
    return StudyFrames(
        study=tables.name,
        data=tables.data,
        is_fallback=tables.is_fallback,
        metrics=tables.metrics,
        directions=tables.directions,
        trials=trials_frame(tables, epochs),
        epochs=epochs,
        layers=layers_frame(tables),
        workers=workers_frame(tables.workers),
        runs=runs_frame(tables.runs),
        spec=tables.spec,
        fingerprint=tables.fingerprint,
    )


def trials_frame(tables: StudyTables, epochs: pd.DataFrame) -> pd.DataFrame:
    """One row for each trial, by number.

    Columns: `number`, `state` (Optuna's), `outcome` (see `OUTCOMES`: a complete trial that
    diverged is `diverged`), `value` (first objective) and `value_2`, `value_3` (further ones),
    `accuracy` (validation accuracy of the kept epoch, of the last one if none was kept),
    `seconds_per_epoch` (median from the second epoch on: the first one compiles),
    `trained_epochs`, `kept_epoch`, `parameters`, `zero_weights` (share of the kernels' weights),
    `inference_seconds` (of 128 images on a core, by numpy), `seconds`, `seed`, `attempt`,
    `engine`, `worker`, `device`, `stop_reason`, `error`, `weights`, `started`, `ended` (UTC), and
    one column for each field of `TrialConfig`. What is unknown is NaN, NaT or None.
    """
    rows = tables.trials
    columns: dict[str, Any] = {
        "number": pd.Series(rows["number"], dtype=int),
        "state": pd.Series(rows["state"], dtype=object),
        "outcome": pd.Series(_outcomes(rows), dtype=object),
    }
    for index, name in enumerate(value_columns(len(tables.metrics))):
        values = [math.nan if known is None else known[index] for known in rows["values"]]
        columns[name] = pd.Series(values, dtype=float)
    columns["trained_epochs"] = pd.Series(rows["epochs"], dtype=float)
    columns |= {name: pd.Series(rows[name], dtype=float) for name in _NUMBERS}
    columns |= {name: pd.Series(rows[name], dtype=object) for name in _TEXTS}
    columns |= {name: _times(rows[name]) for name in _TIMES}
    for name, info in FIELDS.items():
        settings = [config.get(name) for config in rows["config"]]
        dtype = float if info.type in (int, float) else object
        columns[name] = pd.Series(settings, dtype=dtype)
    return _with_epochs(pd.DataFrame(columns), epochs, tables.metrics)


def epochs_frame(tables: StudyTables) -> pd.DataFrame:
    """One row for each epoch of each trial, by number and epoch.

    Columns: `number`, `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`, `learning_rate`,
    `seconds`, `reported` (UTC, to the millisecond); what was not finite is NaN.
    """
    microseconds = np.round(tables.epochs["reported"] * 1e3).astype(np.int64) * 1000
    reported = pd.Series(microseconds.astype("datetime64[us]")).dt.tz_localize("UTC")
    return pd.DataFrame({**tables.epochs, "reported": reported})


def layers_frame(tables: StudyTables) -> pd.DataFrame:
    """One row for each layer of each network that was inspected, by number and layer.

    The kept weights on the first 128 validation images, as `sweep.engines.inspection` says.

    Columns: `number`, `layer` (from 1; the output layer is the last one), `mean` and `std` of its
    outputs, `dead` (share of its units that let nothing pass), `gradient_norm` (of the loss, with
    respect to its kernel); what was not finite is NaN.
    """
    return pd.DataFrame(dict(tables.layers))


def workers_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row for each worker process, in order of appearance.

    Columns: `worker`, `pid`, `host`, `device`, `engine`, `ready`, `ended` (UTC, NaT while it
    lives) and `end_reason`.
    """
    columns = {
        name: pd.Series([row[name] for row in rows], dtype=object) for name in _WORKER_TEXTS
    }
    columns["pid"] = pd.Series([row["pid"] for row in rows], dtype=int)
    columns["ready"] = _times([row["ready_at"] for row in rows])
    columns["ended"] = _times([row["ended_at"] for row in rows])
    return pd.DataFrame(columns)[
        ["worker", "pid", "host", "device", "engine", "ready", "ended", "end_reason"]
    ]


def runs_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row for each run of the study, in order of beginning.

    Columns: `host`, `pid`, `started`, `ended` (when it ended or, if it was killed, until when it
    held its trials; NaT while it lives), `updated` (when it last wrote how it spends its time),
    all UTC, and `workers`, how many it started.
    """
    ends = [
        None
        if row["ended_at"] is None
        else min(row["ended_at"], row["expires_at"] or row["ended_at"])
        for row in rows
    ]
    return pd.DataFrame(
        {
            "host": pd.Series([row["host"] for row in rows], dtype=object),
            "pid": pd.Series([row["pid"] for row in rows], dtype=float),
            "started": _times([row["started_at"] for row in rows]),
            "ended": _times(ends),
            "updated": _times([row["updated_at"] for row in rows]),
            "workers": pd.Series([row["workers"] for row in rows], dtype=int),
        }
    )


def studies_frame(store: Store) -> pd.DataFrame:
    """One row for each study of the database, in order of creation.

    Columns: `study`, `data`, `is_fallback`, `metric`, `direction` (of the first objective),
    `objectives` (how many), `best_value`, `best_number` (NaN before a trial completed), a count
    of trials for each of Optuna's states (`waiting`, `running`, `complete`, `pruned`, `failed`),
    `created`, `updated` (UTC).
    """
    rows = store.study_rows()
    first = [row["objectives"][0] for row in rows]
    columns: dict[str, Any] = {
        "study": pd.Series([row["name"] for row in rows], dtype=object),
        "data": pd.Series([row["data"] for row in rows], dtype=object),
        "is_fallback": pd.Series([row["data_is_fallback"] for row in rows], dtype=bool),
        "metric": pd.Series([objective["metric"] for objective in first], dtype=object),
        "direction": pd.Series([objective["direction"] for objective in first], dtype=object),
        "objectives": pd.Series([len(row["objectives"]) for row in rows], dtype=int),
        "best_value": pd.Series([row["best_value"] for row in rows], dtype=float),
        "best_number": pd.Series([row["best_number"] for row in rows], dtype=float),
    }
    for state, name in _BY_STATE.items():
        columns[name] = pd.Series([row["counts"].get(state, 0) for row in rows], dtype=int)
    columns |= {name: _times([row[name] for row in rows]) for name in ("created", "updated")}
    return pd.DataFrame(columns)


def active_values(trials: pd.DataFrame, name: str) -> pd.Series:
    """A setting of every trial, missing where it has no effect (see `TrialConfig.is_active`)."""
    info = FIELDS[name]
    active = trials[name].notna()
    for key, values in info.when.items():
        active &= trials[key].isin(values)
    for key, values in info.unless.items():
        active &= ~trials[key].isin(values)
    return trials[name].where(active)


def pareto_mask(frames: StudyFrames, trials: pd.DataFrame) -> NDArray[Any]:
    """Which trials no other trial beats in every objective."""
    signs = np.array([1.0 if d == "minimize" else -1.0 for d in frames.directions])
    losses = trials[value_columns(len(signs))].to_numpy(dtype=float) * signs
    keep: NDArray[Any] = np.isfinite(losses).all(axis=1)
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


def _times(values: Sequence[Any]) -> pd.Series:
    """Times of one resolution and zone, also where there are none."""
    times = pd.Series(pd.to_datetime(pd.Series(values, dtype=object), utc=True))
    return times.astype("datetime64[us, UTC]")


def _with_epochs(
    trials: pd.DataFrame, epochs: pd.DataFrame, metrics: tuple[str, ...]
) -> pd.DataFrame:
    numbers = trials["number"]
    last = numbers.map(epochs.groupby("number")["val_accuracy"].last())
    later = epochs[epochs["epoch"] > 1]
    timed = epochs if later.empty else later
    kept_epoch = epochs["number"].map(trials.set_index("number")["kept_epoch"])
    kept = epochs[epochs["epoch"] == kept_epoch].set_index("number")["val_accuracy"]
    accuracy = numbers.map(kept).fillna(last)
    if metrics[0] == "val_accuracy":
        accuracy = trials["value"].fillna(accuracy)
    return trials.assign(
        accuracy=accuracy.astype(float),
        seconds_per_epoch=numbers.map(timed.groupby("number")["seconds"].median()).astype(float),
    )


def _outcomes(rows: Columns) -> list[str]:
    return [
        outcome_of(state, reason)
        for state, reason in zip(rows["state"], rows["stop_reason"], strict=True)
    ]


def outcome_of(state: str, stop_reason: str | None) -> str:
    """One of `OUTCOMES`, from Optuna's state and ours why the trial stopped."""
    is_diverged = state == "COMPLETE" and stop_reason == StopReason.DIVERGED
    return "diverged" if is_diverged else _BY_STATE[state]
