"""Values that the tests of the store write."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from sweep.store import Store, StudyRun
from sweep.store.records import StudyRecord, TimeSplit
from sweep.trial import (
    EpochReport,
    Inspection,
    LayerInspection,
    StopReason,
    TrialConfig,
    TrialResult,
    TrialTask,
)

SPEC = """\
study: quickstart
search:
  activation: {choices: [relu, selu]}
  learning_rate: {low: 0.0001, high: 0.1, log: true}
budget: {trials: 20}
"""
SPLIT = TimeSplit(
    workers=2,
    seconds=60.5,
    training_seconds=100.0,
    compiling_seconds=10.0,
    idle_seconds=1.5,
    sampling_seconds=3.0,
    storage_seconds=2.0,
)


INSPECTION = Inspection(
    layers=(
        LayerInspection(layer=1, mean=0.1, std=1 / 3, dead=0.25, gradient_norm=1e-30),
        LayerInspection(layer=2, mean=0.1, std=0.2, dead=0.0, gradient_norm=0.5),
    ),
    zero_weights=0.125,
    inference_seconds=0.003,
)


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
    inspection: Inspection | None = INSPECTION,
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
        inspection=inspection,
    )


@contextmanager
def driving(
    store: Store, name: str = "quickstart", direction: str = "maximize"
) -> Iterator[StudyRun]:
    """A run of a study, which is made or resumed."""
    create(store, name, direction)
    with store.driving(name, SPLIT) as run:
        yield run


def trial_id(run: StudyRun, number: int) -> int:
    (study_id,) = [
        study._study_id
        for study in run.storage.get_all_studies()
        if study.study_name == run.study.study_name
    ]
    return run.storage.get_trial_id_from_study_id_trial_number(study_id, number)


def train(run: StudyRun, reports: Sequence[EpochReport]) -> None:
    """Epochs of trials that were started."""
    run.epochs_finished([trial_id(run, report.number) for report in reports], reports)


def end(run: StudyRun, result: TrialResult, worker: str = "cpu0") -> None:
    """A trial leaves its slot; Optuna is not told."""
    run.trial_ended(trial_id(run, result.number), result, worker)


def start(run: StudyRun, epochs: int = 2, **settings: object) -> Trial:
    """A trial that was asked for, started and trained for some epochs."""
    trial = run.study.ask()
    trial.suggest_float("learning_rate", 1e-4, 0.1, log=True)
    run.trial_started(trial._trial_id, task(trial.number, **settings), "cpu0")
    for epoch in range(1, epochs + 1):
        train(run, [report(trial.number, epoch)])
    return trial


def complete(
    run: StudyRun,
    values: float | Sequence[float],
    reason: StopReason = StopReason.COMPLETED,
    **settings: object,
) -> Trial:
    trial = start(run, **settings)
    end(run, result(trial.number, reason))
    run.study.tell(trial, values)
    return trial


def fail(run: StudyRun) -> Trial:
    trial = start(run)
    run.trial_failed(trial._trial_id, trial.number, "ValueError: no", "Traceback ...", "line")
    run.study.tell(trial, state=TrialState.FAIL)
    return trial
