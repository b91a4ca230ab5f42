"""Made-up progress of a study."""

from typing import Any

from sweep.cli.frame import Frame
from sweep.driver.progress import BestTrial, Progress, SlotView, WorkerView
from sweep.store.records import TimeSplit
from sweep.trial import TrialConfig

SWISH = TrialConfig(
    activation="swish",
    kernel_initializer="he_normal",
    batch_norm="before",
    optimizer="nadam",
    learning_rate=5e-4,
    epochs=20,
)
RELU = TrialConfig(
    activation="relu",
    kernel_initializer="glorot_uniform",
    dropout="dropout",
    dropout_rate=0.3,
    optimizer="sgd",
    momentum=0.99,
    learning_rate=0.05,
    epochs=20,
)
WORKERS = (
    WorkerView(
        "cpu0", "cpu:0", "training", (SlotView(11, SWISH, 6, (0.1, 0.2, 0.3, 0.31, 0.35, 0.4)),)
    ),
    WorkerView("cpu1", "cpu:1", "training", (SlotView(12, RELU, 3, (0.1, 0.12, 0.11)),)),
    WorkerView("cpu2", "", "starting", ()),
)


def make_frame() -> Frame:
    searched = ("activation", "kernel_initializer", "optimizer", "learning_rate", "batch_norm")
    return Frame({"epochs": 20}, searched, ("val_accuracy",))


def make_progress(**changes: Any) -> Progress:
    values: dict[str, Any] = {
        "study": "deep_cifar10",
        "data": "cifar10",
        "asked": 24,
        "complete": 7,
        "diverged": 1,
        "pruned": 3,
        "failed": 1,
        "running": 2,
        "best": BestTrial(4, (0.43123,), SWISH),
        "workers": WORKERS,
        "trial_epochs": 101,
        "seconds": 1234.0,
        "eta_seconds": 2000.0,
        "ending": None,
        "time": TimeSplit(2, 1234.0, 2300.0, 100.0, 50.0, 30.0, 14.0),
    }
    return Progress(**{**values, **changes})
