"""Writers of trials with their epochs and layers, workers, runs and messages.

Each writes inside the caller's transaction, and may be run again over what it wrote: a row that is
there already is replaced, and the times that tell rows apart are the caller's.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from sweep.errors import StoreError
from sweep.store.records import RUN_ENDED, TimeSplit
from sweep.store.schema import epochs, late_epochs, layers, logs, runs, trials, workers
from sweep.trial import EpochReport, LayerInspection, TrialResult, TrialTask


def trial_started(
    connection: Connection, study_id: int, trial_id: int, task: TrialTask, worker: str
) -> None:
    """Write a trial's row anew, and forget its layers and the epochs that it will train again."""
    was = epochs.c.trial_id == trial_id
    connection.execute(delete(epochs).where(was, epochs.c.epoch > task.checkpoint_epoch))
    connection.execute(delete(layers).where(layers.c.trial_id == trial_id))
    row: dict[str, Any] = dict.fromkeys(trials.columns.keys()) | {
        "trial_id": trial_id,
        "study_id": study_id,
        "number": task.number,
        "config": task.config.to_dict(),
        "seed": task.seed,
        "attempt": task.attempt,
        "worker": worker,
        "started_at": _now(),
        "checkpoint": task.checkpoint,
        "checkpoint_epoch": task.checkpoint_epoch or None,
    }
    # Not deleted, for its epochs would go with it.
    if connection.execute(update(trials).where(trials.c.trial_id == trial_id), row).rowcount == 0:
        connection.execute(insert(trials), row)


def epochs_finished(connection: Connection, study_id: int, reports: Sequence[EpochReport]) -> None:
    """Write epochs, over all that an earlier attempt left of the same trial from there on."""
    ids = _trial_ids(connection, study_id, {report.number for report in reports})
    reported_at = _now()
    rows = [_epoch_row(ids[report.number], report, reported_at) for report in reports]
    if rows:
        same = (
            epochs.c.trial_id == bindparam("of_trial"),
            epochs.c.epoch >= bindparam("of_epoch"),
        )
        connection.execute(delete(epochs).where(*same), _keys(rows))
        connection.execute(insert(epochs), rows)


def epochs_came_late(
    connection: Connection, run_id: int, late: Sequence[tuple[int, EpochReport]]
) -> None:
    """Keep what a run reported about trials, by their ids, that it no longer holds."""
    now = _now()
    rows = [{"run_id": run_id, **_epoch_row(trial_id, report, now)} for trial_id, report in late]
    if rows:
        same = (
            late_epochs.c.run_id == run_id,
            late_epochs.c.trial_id == bindparam("of_trial"),
            late_epochs.c.epoch == bindparam("of_epoch"),
        )
        connection.execute(delete(late_epochs).where(*same), _keys(rows))
        connection.execute(insert(late_epochs), rows)


def _keys(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"of_trial": row["trial_id"], "of_epoch": row["epoch"]} for row in rows]


def _epoch_row(trial_id: int, report: EpochReport, reported_at: datetime) -> dict[str, Any]:
    return {
        "trial_id": trial_id,
        "epoch": report.epoch,
        "loss": _finite(report.loss),
        "accuracy": _finite(report.accuracy),
        "val_loss": _finite(report.val_loss),
        "val_accuracy": _finite(report.val_accuracy),
        "learning_rate": _finite(report.learning_rate),
        "seconds": report.seconds,
        "reported_at": reported_at,
    }


def trial_ended(
    connection: Connection, study_id: int, trial_id: int, result: TrialResult, worker: str
) -> None:
    """Complete the row of a trial that was started, and add its layers."""
    values = {
        "worker": worker,
        "ended_at": _now(),
        "engine": result.engine,
        "device": result.device,
        "seconds": result.seconds,
        "epochs": result.epochs,
        "kept_epoch": result.kept_epoch,
        "parameters": result.parameters,
        "stop_reason": result.reason.value,
        "weights": result.weights,
        "remark": result.remark or None,
    }
    if result.checkpoint is not None:
        values |= {"checkpoint": result.checkpoint, "checkpoint_epoch": result.epochs}
    if (found := result.inspection) is not None:
        values |= {
            "inference_seconds": found.inference_seconds,
            "zero_weights": found.zero_weights,
        }
    _update_trial(connection, study_id, result.number, values)
    connection.execute(delete(layers).where(layers.c.trial_id == trial_id))
    if found is not None:
        connection.execute(insert(layers), [_layer_row(trial_id, layer) for layer in found.layers])


def _layer_row(trial_id: int, layer: LayerInspection) -> dict[str, Any]:
    numbers = {name: _finite(value) for name, value in asdict(layer).items()}
    return numbers | {"trial_id": trial_id, "layer": layer.layer}


def trial_failed(
    connection: Connection,
    study_id: int,
    trial_id: int,
    number: int,
    error: str,
    traceback: str,
    log: str,
) -> None:
    """Note on a trial, which may never have started, why it failed."""
    values = {"ended_at": _now(), "error": error, "traceback": traceback, "log": log}
    failed = update(trials).where(trials.c.trial_id == trial_id).values(values)
    if connection.execute(failed).rowcount == 0:
        row = {"trial_id": trial_id, "study_id": study_id, "number": number, **values}
        connection.execute(insert(trials), row)


def checkpoints_written(
    connection: Connection, study_id: int, reports: Sequence[EpochReport]
) -> None:
    """Note on trials that were started where they would go on."""
    for report in reports:
        values = {"checkpoint": report.checkpoint, "checkpoint_epoch": report.epoch}
        _update_trial(connection, study_id, report.number, values)


def checkpoint_dropped(connection: Connection, study_id: int, number: int) -> None:
    """Forget a trial's checkpoint."""
    values = {"checkpoint": None, "checkpoint_epoch": None}
    _update_trial(connection, study_id, number, values)


def weights_dropped(connection: Connection, study_id: int, number: int) -> None:
    """Forget a trial's file of weights."""
    _update_trial(connection, study_id, number, {"weights": None})


def worker_ready(
    connection: Connection, study_id: int, worker: str, values: Mapping[str, Any], now: datetime
) -> None:
    """Add a worker's process; `values` are the other columns, `run_id` among them."""
    row = {"study_id": study_id, "worker": worker, "ready_at": now, **values}
    same = {"ready_at": now, "worker": worker, "run_id": values["run_id"]}
    _remove_same(connection, workers, study_id, **same)
    connection.execute(insert(workers), row)


def worker_lost(connection: Connection, run_id: int, worker: str, reason: str) -> None:
    """End the row of a worker's process, if it was ever ready."""
    _end_workers(connection, [run_id], reason, workers.c.worker == worker)


def workers_released(connection: Connection, run_ids: Iterable[int]) -> None:
    """End the rows of all workers of runs that are gone."""
    _end_workers(connection, run_ids, RUN_ENDED)


def run_started(
    connection: Connection,
    study_id: int,
    split: TimeSplit,
    process: Mapping[str, Any],
    now: datetime,
) -> int:
    """Add a run of a process, given by `host` and `pid`; returns its id."""
    times = {"started_at": now, "updated_at": now}
    row = {"study_id": study_id, **times, **process, **asdict(split)}
    _remove_same(connection, runs, study_id, started_at=now, **process)
    (run_id,) = connection.execute(insert(runs).returning(runs.c.run_id), row).one()
    return int(run_id)


def run_timed(connection: Connection, run_id: int, split: TimeSplit) -> None:
    """Write over a run's figures."""
    values = {"updated_at": _now(), **asdict(split)}
    connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))


def log(connection: Connection, study_id: int, message: Mapping[str, Any], now: datetime) -> None:
    """Add a message: `level`, `message` and, if it concerns any, `number` and `worker`."""
    _remove_same(connection, logs, study_id, logged_at=now, message=message["message"])
    connection.execute(insert(logs), {"study_id": study_id, "logged_at": now, **message})


def log_once(connection: Connection, study_id: int, message: str, now: datetime) -> bool:
    """Add a message that the study has not got yet; returns whether it was added."""
    same = select(logs.c.logged_at).where(
        logs.c.study_id == study_id, logs.c.message == message, logs.c.logged_at != now
    )
    if connection.execute(same).first() is not None:
        return False
    log(connection, study_id, {"level": "info", "message": message}, now)
    return True


def _remove_same(connection: Connection, table: Table, study_id: int, **values: Any) -> None:
    same = [table.c[name] == value for name, value in values.items()]
    connection.execute(delete(table).where(table.c.study_id == study_id, *same))


def _end_workers(connection: Connection, run_ids: Iterable[int], reason: str, *which: Any) -> None:
    query = update(workers).where(
        workers.c.run_id.in_(list(run_ids)), workers.c.ended_at.is_(None), *which
    )
    connection.execute(query, {"ended_at": _now(), "end_reason": reason})


def _update_trial(
    connection: Connection, study_id: int, number: int, values: Mapping[str, Any]
) -> None:
    query = update(trials).where(trials.c.study_id == study_id, trials.c.number == number)
    if connection.execute(query, dict(values)).rowcount != 1:
        raise _unknown({number})


def _trial_ids(connection: Connection, study_id: int, numbers: Iterable[int]) -> dict[int, int]:
    wanted = set(numbers)
    query = select(trials.c.number, trials.c.trial_id).where(
        trials.c.study_id == study_id, trials.c.number.in_(wanted)
    )
    found = {number: trial_id for number, trial_id in connection.execute(query)}
    if found.keys() != wanted:
        raise _unknown(wanted - found.keys())
    return found


def _unknown(numbers: Iterable[int]) -> StoreError:
    listed = ", ".join(map(str, sorted(numbers)))
    return StoreError(
        "a trial was reported on that never started",
        where="table sweep_trials",
        expected="`trial_started` before anything else",
        received=f"trial {listed}",
    )


def _finite(value: float) -> float | None:
    """The value, or None (NULL) if it is not a finite number."""
    return value if math.isfinite(value) else None


def _now() -> datetime:
    return datetime.now(UTC)
