"""Studies for the tests of reports: nothing is trained, but figures behave as in real ones."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from sweep.report.frames import StudyFrames, assemble
from sweep.spec import dump_study, parse_study
from sweep.store import Store, StudyRun
from sweep.store.records import StudyRecord, TimeSplit
from sweep.store.tables import StudyTables
from sweep.trial import (
    EpochReport,
    Inspection,
    LayerInspection,
    StopReason,
    TrialConfig,
    TrialResult,
    TrialTask,
    trial_seed,
)

QUALITY = {
    "relu": 0.05,
    "elu": 0.08,
    "selu": 0.11,
    "swish": 0.09,
    "gelu": 0.07,
    "tanh": 0.0,
    "sigmoid": -0.3,
}
INITIALIZERS = ("he_normal", "lecun_normal", "glorot_uniform", "orthogonal", "constant")
EPOCHS = 12
SPEC = """\
study: {name}
description: {description}
fixed: {{epochs: 12}}
search:
  activation: {{choices: [relu, elu, selu, swish, gelu, tanh, sigmoid]}}
budget: {{trials: 40}}
"""


@dataclass(frozen=True)
class Outcome:
    """How a simulated trial went."""

    config: TrialConfig
    reports: tuple[EpochReport, ...]
    reason: StopReason
    error: str | None = None


def suggest(trial: optuna.Trial) -> TrialConfig:
    optimizer = trial.suggest_categorical("optimizer", ["sgd", "adam", "nadam"])
    momentum = 0.0
    if optimizer == "sgd":
        momentum = trial.suggest_categorical("momentum", [0.0, 0.5, 0.9, 0.99, 0.999, 0.99999])
    activation = trial.suggest_categorical("activation", list(QUALITY))
    dropout = trial.suggest_categorical("dropout", ["none", "dropout", "alpha_dropout"])
    return TrialConfig(
        optimizer=optimizer,
        momentum=momentum,
        activation=activation,
        kernel_initializer=trial.suggest_categorical("kernel_initializer", list(INITIALIZERS)),
        learning_rate=trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True),
        batch_norm=trial.suggest_categorical("batch_norm", ["none", "before", "after"]),
        dropout=dropout,
        dropout_rate=trial.suggest_float("dropout_rate", 0.0, 0.5) if dropout != "none" else 0.1,
        l2=trial.suggest_float("l2", 1e-6, 1e-2, log=True),
        epochs=EPOCHS,
    ).canonical()


def simulate(number: int, config: TrialConfig) -> Outcome:
    chance = random.Random(number)
    if chance.random() < 0.05:
        return Outcome(config, (), StopReason.COMPLETED, "ValueError: odd shape")
    rate = config.learning_rate / (1.0 - config.momentum if config.optimizer == "sgd" else 0.1)
    normed = config.batch_norm != "none"
    diverges = rate > (3.0 if normed else 0.8)
    final = 0.1 if config.kernel_initializer == "constant" else 0.42
    final += QUALITY[config.activation] * (0.4 if normed else 1.0) + 0.05 * normed
    final -= 0.04 * abs(math.log10(rate) + 2.0) + 0.2 * max(0.0, config.dropout_rate - 0.25)
    final = min(max(final + chance.gauss(0, 0.015), 0.1), 0.6)
    seconds = (2.0 + 1.1 * normed) * chance.uniform(0.9, 1.15)
    epochs = chance.randint(1, 3) if diverges else EPOCHS
    pruned = not diverges and final < 0.38 and chance.random() < 0.7
    epochs = chance.randint(2, 5) if pruned else epochs
    reports = []
    for epoch in range(1, epochs + 1):
        accuracy = 0.1 + (final - 0.1) * (1.0 - math.exp(-epoch / 4)) + chance.gauss(0, 0.006)
        broken = diverges and epoch == epochs
        loss = math.nan if broken else 2.4 - 2.5 * accuracy
        reports.append(
            EpochReport(
                number=number,
                epoch=epoch,
                loss=loss,
                accuracy=0.1 if broken else min(1.0, accuracy * 1.1),
                val_loss=loss,
                val_accuracy=0.1 if broken else max(0.0, accuracy),
                learning_rate=config.learning_rate,
                seconds=seconds * (2.5 if epoch == 1 else 1.0),
            )
        )
    reason = (
        StopReason.DIVERGED if diverges else StopReason.PRUNED if pruned else StopReason.COMPLETED
    )
    return Outcome(config, tuple(reports), reason)


def inspection_of(number: int, config: TrialConfig) -> Inspection:
    """Signals and gradients that shrink or grow with depth as the activation makes them."""
    chance = random.Random(f"layers {number}")
    decay = {"sigmoid": 0.2, "tanh": 0.8, "relu": 0.75}.get(config.activation, 0.95)
    decay = decay**0.3 if config.batch_norm != "none" else decay
    layers = [
        LayerInspection(
            layer=layer,
            mean=0.5 * (config.activation == "sigmoid") + chance.gauss(0, 0.03),
            std=decay ** (layer / 2) * chance.uniform(0.8, 1.2),
            dead=min(1.0, 0.02 * layer * chance.random()) if config.activation == "relu" else 0.0,
            gradient_norm=0.1 * decay ** (config.depth - layer) * chance.uniform(0.5, 2.0),
        )
        for layer in range(1, config.depth + 1)
    ]
    output = LayerInspection(config.depth + 1, 0.1, 0.25, 0.0, 0.2)
    return Inspection(
        layers=(*layers, output),
        zero_weights=0.3 * (config.l2 > 1e-3) * chance.random(),
        inference_seconds=(0.003 + 0.001 * (config.batch_norm != "none"))
        * chance.uniform(0.95, 1.1),
    )


def result_of(number: int, outcome: Outcome) -> TrialResult:
    return TrialResult(
        number=number,
        reason=outcome.reason,
        epochs=len(outcome.reports),
        kept_epoch=len(outcome.reports),
        parameters=498_510 + 4_000 * (outcome.config.batch_norm != "none"),
        seconds=sum(report.seconds for report in outcome.reports) + 1.5,
        engine="reference",
        device=f"cpu:{number % 2}",
        inspection=None
        if outcome.reason == StopReason.DIVERGED
        else inspection_of(number, outcome.config),
    )


NO_TIME = TimeSplit(1, *[0.0] * 6)


def tell(study: optuna.Study, trial: optuna.Trial, outcome: Outcome) -> None:
    if outcome.error is not None:
        study.tell(trial, state=TrialState.FAIL)
        return
    values = [outcome.reports[-1].val_accuracy, outcome.reports[-1].seconds]
    if outcome.reason == StopReason.PRUNED and len(study.directions) == 1:
        trial.report(values[0], len(outcome.reports))
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, values[: len(study.directions)])


def record(
    name: str = "cifar-deep", description: str = "Which activation wins?", fallback: bool = False
) -> StudyRecord:
    spec = parse_study(SPEC.format(name=name, description="placeholder"))
    return StudyRecord(
        name=name,
        spec=dump_study(spec.model_copy(update={"description": description})),
        space_hash="0" * 16,
        data_name="synthetic" if fallback else "cifar10",
        data_is_fallback=fallback,
        data_fingerprint="9f86d081884c7d65",
        seed=42,
        versions={"sweep": "0.1.0", "optuna": "5.0.0", "tensorflow": "2.21.0"},
        git_revision="0123456789abcdef0123456789abcdef01234567",
    )


def fill(store: Store, trials: int, *, objectives: int = 1, **about: Any) -> str:
    """Run a simulated study through the store as the driver does; returns its name."""
    kept = record(**about)
    store.create_study(
        kept,
        ["maximize", "minimize"][:objectives],
        ["val_accuracy", "seconds_per_epoch"][:objectives],
    )
    if trials:
        with store.driving(kept.name, NO_TIME) as run:
            run.study.sampler = optuna.samplers.RandomSampler(seed=1)
            for _ in range(trials):
                run_one(run)
    return kept.name


def run_one(run: StudyRun) -> None:
    trial = run.study.ask()
    number, trial_id = trial.number, trial._trial_id
    config = suggest(trial)
    outcome = simulate(number, config)
    task = TrialTask(number=number, config=config, seed=trial_seed(42, number))
    run.trial_started(trial_id, task, "cpu-0")
    run.epochs_finished([trial_id] * len(outcome.reports), outcome.reports)
    if outcome.error is None:
        run.trial_ended(trial_id, result_of(number, outcome), "cpu-0")
    else:
        run.trial_failed(trial_id, number, outcome.error, "Traceback ...", "last lines")
    tell(run.study, trial, outcome)


def fail_one(run: StudyRun, error: str) -> None:
    trial = run.study.ask()
    task = TrialTask(number=trial.number, config=TrialConfig(), seed=0)
    run.trial_started(trial._trial_id, task, "cpu-0")
    run.trial_failed(trial._trial_id, trial.number, error, "Traceback ...", "last lines")
    run.study.tell(trial, state=TrialState.FAIL)


def trial_row(number: int, **changes: Any) -> dict[str, Any]:
    """A row as the store gives it, of a complete trial unless told otherwise."""
    config = changes.pop("config", {})
    row = {
        "number": number,
        "state": "COMPLETE",
        "values": [0.5],
        "params": {},
        "config": replace(TrialConfig(), **config).to_dict(),
        "seed": number,
        "engine": "reference",
        "worker": "cpu-0",
        "device": "cpu:0",
        "attempt": 1,
        "seconds": 10.0,
        "epochs": 2,
        "kept_epoch": 2,
        "parameters": 1000,
        "zero_weights": 0.0,
        "inference_seconds": 0.003,
        "stop_reason": "completed",
        "error": None,
        "weights": None,
        "started": None,
        "ended": None,
    }
    return row | changes


def failed_row(number: int, **changes: Any) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(
        (
            "seconds",
            "kept_epoch",
            "parameters",
            "zero_weights",
            "inference_seconds",
            "engine",
            "device",
            "stop_reason",
            "values",
        )
    )
    broken = {"state": "FAIL", "epochs": 0, "error": "ValueError: odd shape"}
    return trial_row(number, **(empty | broken | changes))


def epoch_row(number: int, epoch: int, accuracy: float | None, **changes: Any) -> dict[str, Any]:
    row = {
        "number": number,
        "epoch": epoch,
        "loss": 1.0,
        "accuracy": accuracy,
        "val_loss": 1.0,
        "val_accuracy": accuracy,
        "learning_rate": 0.001,
        "seconds": 2.0,
        "reported": 1.8e9 + 2.0 * epoch,
    }
    return row | changes


def run_row(started: float, ended: float | None, **changes: Any) -> dict[str, Any]:
    """A run as the store gives it, from and to so many seconds after 1.8e9."""
    begin, end = (
        None if at is None else datetime.fromtimestamp(1.8e9 + at, UTC) for at in (started, ended)
    )
    row = {
        "started_at": begin,
        "updated_at": end or begin,
        "ended_at": end,
        "expires_at": None,
        "host": "host",
        "pid": 1,
        "workers": 2,
    }
    return row | changes


def layer_rows_of(
    number: int, layers: int, **changes: float | None
) -> list[dict[str, float | None]]:
    """So many hidden layers, and the output layer."""
    row: dict[str, float | None] = {"mean": 0.1, "std": 0.5, "dead": 0.0, "gradient_norm": 0.01}
    return [{"number": number, "layer": n, **row, **changes} for n in range(1, layers + 2)]


def frames_of(
    trial_rows: list[dict[str, Any]],
    epoch_rows: list[dict[str, Any]] | None = None,
    layer_rows: list[dict[str, Any]] | None = None,
    *,
    metrics: tuple[str, ...] = ("val_accuracy",),
    directions: tuple[str, ...] = ("maximize",),
    fallback: bool = False,
    spec: str = "",
    name: str = "made",
    fingerprint: str = "9f86d081884c7d65",
    runs: Sequence[dict[str, Any]] = (),
    workers: Sequence[dict[str, Any]] = (),
) -> StudyFrames:
    keys = list(trial_row(0))
    return assemble(
        StudyTables(
            name=name,
            spec=spec,
            data="synthetic" if fallback else "cifar10",
            is_fallback=fallback,
            metrics=metrics,
            directions=directions,
            trials={key: [row[key] for row in trial_rows] for key in keys},
            epochs=arrays_of(epoch_rows or [], list(epoch_row(0, 1, 0.5))),
            layers=arrays_of(layer_rows or [], list(layer_rows_of(0, 1)[0])),
            workers=[*workers],
            runs=list(runs),
            fingerprint=fingerprint,
        )
    )


def arrays_of(rows: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """Columns as the store gives them, sorted by the first two, which are whole numbers."""
    rows = sorted(rows, key=lambda row: (row[names[0]], row[names[1]]))
    return {
        name: np.array([row[name] for row in rows], dtype=int if name in names[:2] else float)
        for name in names
    }
