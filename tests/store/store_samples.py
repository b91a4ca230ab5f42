"""Values that the tests of the store write."""

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import Trial

from sweep.store import Store
from sweep.store.records import StudyRecord
from sweep.trial import EpochReport, StopReason, TrialConfig, TrialResult, TrialTask

SPEC = """\
study: quickstart
search:
  activation: {choices: [relu, selu]}
  learning_rate: {low: 0.0001, high: 0.1, log: true}
budget: {trials: 20}
"""


def record(name: str = "quickstart", **changes: object) -> StudyRecord:
    values: dict[str, object] = {
        "name": name,
        "spec": SPEC,
        "space_hash": "5ace",
        "data_name": "cifar10",
        "data_is_fallback": False,
        "data_fingerprint": "da7a",
        "seed": 42,
        "versions": {"sweep": "0.1.0", "keras": "3.15.1"},
        "git_revision": "abc123",
    }
    return StudyRecord(**(values | changes))  # type: ignore[arg-type]


def create(store: Store, name: str = "quickstart", direction: str = "maximize") -> optuna.Study:
    return store.create_study(record(name), [direction], ["val_accuracy"])


def task(
    number: int,
    attempt: int = 1,
    checkpoint: str | None = None,
    checkpoint_epoch: int = 0,
    **settings: object,
) -> TrialTask:
    return TrialTask(
        number,
        TrialConfig(**settings),  # type: ignore[arg-type]
        seed=1000 + number,
        attempt=attempt,
        checkpoint=checkpoint,
        checkpoint_epoch=checkpoint_epoch,
    )


def report(number: int, epoch: int, **changes: Any) -> EpochReport:
    values = {
        "loss": 2.0 / epoch,
        "accuracy": 0.1 * epoch,
        "val_loss": 2.1 / epoch,
        "val_accuracy": 0.09 * epoch,
        "learning_rate": 0.001,
        "seconds": 1.5,
    }
    return EpochReport(number, epoch, **(values | changes))


def result(
    number: int,
    reason: StopReason = StopReason.COMPLETED,
    epochs: int = 2,
    weights: str | None = None,
    remark: str = "",
    checkpoint: str | None = None,
) -> TrialResult:
    return TrialResult(
        number=number,
        reason=reason,
        epochs=epochs,
        kept_epoch=epochs,
        parameters=500_210,
        seconds=3.25,
        engine="reference",
        device="cpu:0",
        weights=weights,
        remark=remark,
        checkpoint=checkpoint,
    )


def start(store: Store, study: optuna.Study, epochs: int = 2, **settings: object) -> Trial:
    """A trial that was asked for, started and trained for some epochs."""
    trial = study.ask()
    trial.suggest_float("learning_rate", 1e-4, 0.1, log=True)
    store.trial_started(study.study_name, task(trial.number, **settings), "cpu0")
    for epoch in range(1, epochs + 1):
        store.epochs_finished(study.study_name, [report(trial.number, epoch)])
    return trial


def complete(
    store: Store,
    study: optuna.Study,
    values: float | Sequence[float],
    reason: StopReason = StopReason.COMPLETED,
    **settings: object,
) -> Trial:
    trial = start(store, study, **settings)
    store.trial_ended(study.study_name, result(trial.number, reason), "cpu0")
    study.tell(trial, values)
    return trial


def fail(store: Store, study: optuna.Study) -> Trial:
    trial = start(store, study)
    store.trial_failed(study.study_name, trial.number, "ValueError: no", "Traceback ...", "line")
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return trial
