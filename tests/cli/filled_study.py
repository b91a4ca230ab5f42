"""A database with one study whose trials ended in every way, without any training."""

from datetime import UTC, datetime

from optuna.trial import TrialState

from sweep.space import SearchSpace, space_hash
from sweep.spec import dump_study, parse_study
from sweep.store import Store
from sweep.store.records import StudyRecord, TimeSplit
from sweep.trial import (
    EpochReport,
    Inspection,
    LayerInspection,
    StopReason,
    TrialResult,
    TrialTask,
    trial_seed,
)

SPEC = """
study: small
data: {name: synthetic}
fixed: {epochs: 4, depth: 9}
search:
  activation: [relu, swish, selu]
  learning_rate: {low: 1.0e-5, high: 1.0, log: true}
budget: {trials: 8}
"""

TRACEBACK = """Traceback (most recent call last):
  File "train.py", line 3, in step
    raise MemoryError("no memory left")
MemoryError: no memory left
"""
LOG = "".join(f"line {number}\n" for number in range(1, 31))

REMARK = "trained by the reference engine: the compiler ran out of memory"
SPLIT = TimeSplit(
    workers=2,
    seconds=100.0,
    training_seconds=180.0,
    compiling_seconds=8.25,
    idle_seconds=4.5,
    sampling_seconds=3.0,
    storage_seconds=2.0,
)

INSPECTION = Inspection(
    layers=tuple(
        LayerInspection(layer, 0.1 / layer, 0.9**layer, 0.01 * (layer - 1), 10.0 ** (layer - 12))
        for layer in range(1, 11)
    ),
    zero_weights=0.125,
    inference_seconds=0.00321,
)

ENDED = (
    ("relu", 0.001, StopReason.COMPLETED, (0.2, 0.3, 0.35, 0.4)),
    ("swish", 0.0005, StopReason.COMPLETED, (0.21, 0.33, 0.41, 0.4312)),
    ("selu", 0.9, StopReason.DIVERGED, (0.1,)),
    ("relu", 0.00002, StopReason.PRUNED, (0.11, 0.12)),
)


def fill(url: str, *, study: str = "small") -> None:
    """Two complete trials, one diverged, one pruned, one failed, one running, one waiting."""
    spec = parse_study(SPEC.replace("study: small", f"study: {study}"))
    with Store.open(url) as store:
        store.create_study(
            StudyRecord(
                name=study,
                spec=dump_study(spec),
                space_hash=space_hash(spec),
                data_name="synthetic",
                data_is_fallback=True,
                data_fingerprint="0" * 64,
                seed=spec.seed,
                created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            ),
            ["maximize"],
            ["val_accuracy"],
        )
        with store.driving(study, SPLIT) as run:
            fill_run(run, spec)


def fill_run(run, spec):
    optuna_study, space = run.study, SearchSpace.from_spec(spec)

    def ask(activation, learning_rate):
        params = {"activation": activation, "learning_rate": learning_rate}
        optuna_study.enqueue_trial(params)
        trial = optuna_study.ask()
        return trial, space.suggest(trial)

    def begin(activation, learning_rate):
        trial, config = ask(activation, learning_rate)
        task = TrialTask(trial.number, config, trial_seed(spec.seed, trial.number))
        run.trial_started(trial._trial_id, task, "cpu0")
        return trial

    def epochs(trial, accuracies):
        run.epochs_finished(
            [trial._trial_id] * len(accuracies),
            [
                EpochReport(trial.number, i, 2.5 - a, a - 0.01, 2.4 - a, a, 0.001, 1.5)
                for i, a in enumerate(accuracies, start=1)
            ],
        )

    for activation, learning_rate, reason, accuracies in ENDED:
        trial = begin(activation, learning_rate)
        epochs(trial, accuracies)
        count = len(accuracies)
        run.trial_ended(
            trial._trial_id,
            TrialResult(
                number=trial.number,
                reason=reason,
                epochs=count,
                kept_epoch=count,
                parameters=328110,
                seconds=12.5,
                engine="reference",
                device="cpu:0",
                remark=REMARK if activation == "swish" else "",
                inspection=None if reason is StopReason.DIVERGED else INSPECTION,
            ),
            "cpu0",
        )
        trial.set_user_attr("stop_reason", reason.value)
        if reason is StopReason.PRUNED:
            optuna_study.tell(trial, state=TrialState.PRUNED)
        else:
            optuna_study.tell(trial, accuracies[-1])
    failed = begin("selu", 0.01)
    error = "MemoryError: no memory left"
    run.trial_failed(failed._trial_id, failed.number, error, TRACEBACK, LOG)
    optuna_study.tell(failed, state=TrialState.FAIL)
    epochs(begin("swish", 0.002), (0.2, 0.25))
    ask("relu", 0.003)
    run.worker_ready("cpu0", 4321, "host", "cpu:0", "reference")
