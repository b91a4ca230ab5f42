"""A database with one study, whose trials were never trained."""

from collections.abc import Sequence
from pathlib import Path

import optuna

from sweep.store import Store, StudyRun
from sweep.store.records import StudyRecord, TimeSplit
from sweep.trial import EpochReport, StopReason, TrialConfig, TrialResult, TrialTask

SPEC = """
study: small
data: {{name: cifar10, fallback: synthetic, train_images: 1000}}
search:
  learning_rate: {{low: 1.0e-5, high: 0.5, log: true}}
objectives: {objectives}
engine: {engine}
backend: {backend}
keep_weights: 2
"""
ONE = "[{metric: val_accuracy, direction: maximize}]"
TWO = "[{metric: val_accuracy}, {metric: parameters, direction: minimize}]"


def fill(
    store: Store,
    objectives: str = ONE,
    *,
    engine: str = "reference",
    backend: str = "tensorflow",
) -> optuna.Study:
    """A study without trials."""
    metrics = ["val_accuracy", "parameters"] if objectives == TWO else ["val_accuracy"]
    record = StudyRecord(
        name="small",
        spec=SPEC.format(objectives=objectives, engine=engine, backend=backend),
        space_hash="5ace",
        data_name="synthetic",
        data_is_fallback=True,
        data_fingerprint="f00d",
        seed=42,
        versions={"tensorflow": "2.21.0", "keras": "3.15.1", "jax": "0.10.2"},
    )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return store.create_study(record, ["maximize", "minimize"][: len(metrics)], metrics)


def add(
    store: Store,
    study: optuna.Study,
    values: Sequence[float] | None,
    *,
    curve: Sequence[float] = (0.2, 0.3),
    reason: StopReason = StopReason.COMPLETED,
    weights: Path | None = None,
    rate: float = 0.00123,
    engine: str = "reference",
) -> int:
    """A trial that ended with `values`, or still runs if they are None."""
    with store.driving(study.study_name, TimeSplit(1, *[0.0] * 6)) as run:
        return _add(run, values, curve, reason, weights, rate, engine)


def _add(
    run: StudyRun,
    values: Sequence[float] | None,
    curve: Sequence[float],
    reason: StopReason,
    weights: Path | None,
    rate: float,
    engine: str,
) -> int:
    trial = run.study.ask()
    trial.suggest_float("learning_rate", 1e-5, 0.5, log=True)
    config = TrialConfig(learning_rate=rate, dropout="dropout", dropout_rate=0.15, epochs=9)
    task = TrialTask(trial.number, config, seed=77 + trial.number)
    run.trial_started(trial._trial_id, task, "cpu0")
    reports = [
        EpochReport(trial.number, epoch, 2.0, 0.1, 2.5 - accuracy, accuracy, rate, 1.0)
        for epoch, accuracy in enumerate(curve, start=1)
    ]
    run.epochs_finished([trial._trial_id] * len(reports), reports)
    if values is not None:
        end(run, trial, values, reason, weights, len(curve), engine)
    return int(trial.number)


def end(
    run: StudyRun,
    trial: optuna.trial.Trial,
    values: Sequence[float],
    reason: StopReason,
    weights: Path | None,
    epochs: int,
    engine: str,
) -> None:
    path = None if weights is None else str(weights)
    run.trial_ended(
        trial._trial_id,
        TrialResult(trial.number, reason, epochs, epochs, 1000, 3.0, engine, "cpu:0", path),
        "cpu0",
    )
    if reason is StopReason.PRUNED:
        run.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        run.study.tell(trial, list(values))
