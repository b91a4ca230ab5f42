"""Everything else that a trial can ask for equals Keras's, in double precision."""

from typing import Any

import pytest
from engine_contract import KERAS_READS_VARIABLES
from equality_contract import TOLERANCE
from keras_fit import EngineOf, difference, fused_fit, keras_fit

from sweep.data import DataRef
from sweep.trial import TrialConfig, TrialTask

pytestmark = KERAS_READS_VARIABLES

BASE: dict[str, Any] = {
    "depth": 2, "width": 6, "activation": "selu", "batch_size": 32, "epochs": 2,
    "learning_rate": 0.003,
}  # fmt: skip

# Two trials of one program each; what differs between them differs from slot to slot.
PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "penalties": ({"l1": 1e-3, "l2": 1e-2}, {"l2": 1e-3}),
    "clipping": ({"clip_norm": 0.5}, {"clip_norm": 1e6}),
    "max-norm": ({"max_norm": 0.5}, {"max_norm": 1.2}),
    "weight decay": ({"weight_decay": 0.3, "optimizer": "adamw"}, {"weight_decay": 0.1}),
    "weight decay of SGD": (
        {"weight_decay": 0.3, "optimizer": "sgd", "momentum": 0.9, "nesterov": True},
        {"weight_decay": 0.1, "optimizer": "sgd"},
    ),
    "label smoothing": ({"label_smoothing": 0.1}, {"label_smoothing": 0.0}),
    "sparse": (
        {"kernel_initializer": "sparse", "kernel_sparsity": 0.5},
        {"kernel_initializer": "sparse", "kernel_sparsity": 0.95},
    ),
    "sparse with max-norm": (
        {"kernel_initializer": "sparse", "max_norm": 0.5},
        {"kernel_initializer": "sparse", "max_norm": 0.9},
    ),
    "constant": ({"kernel_initializer": "constant"}, {"bias_initializer": "constant"}),
    "scaling": ({"scaling": "feature"}, {"scaling": "channel"}),
    "augmentation": ({"flip": True}, {"flip": True, "shift": 5}),
    "shift alone": ({"shift": 16}, {"shift": 1}),
    "whole batches": ({"batch_size": 25}, {"batch_size": 25, "activation": "elu"}),
    "whole batches, batch norm": (
        {"batch_size": 25, "batch_norm": "before"},
        {"batch_size": 25, "batch_norm": "before", "batch_norm_momentum": 0.0},
    ),
    "one batch": ({"batch_size": 50}, {"batch_size": 50, "label_smoothing": 0.3}),
    "less than a batch": ({"batch_size": 64}, {"batch_size": 64, "schedule": "one_cycle"}),
    "one layer": ({"depth": 1, "width": 1}, {"depth": 1, "width": 1}),
    "slopes": (
        {"activation": "leaky_relu", "leaky_relu_slope": 0.0},
        {"activation": "leaky_relu", "leaky_relu_slope": 1.0},
    ),
    "everything at once": (
        {
            "batch_norm": "after", "optimizer": "nadam", "schedule": "cosine", "l1": 1e-4,
            "clip_norm": 0.5, "max_norm": 0.9, "kernel_initializer": "sparse", "flip": True,
            "weight_decay": 0.1, "label_smoothing": 0.2, "scaling": "feature", "shift": 2,
        },
        {
            "batch_norm": "after", "optimizer": "rmsprop", "l2": 1e-3, "clip_norm": 2.0,
            "max_norm": 2.0, "kernel_initializer": "sparse", "shift": 4, "scaling": "channel",
        },
    ),
}  # fmt: skip


def both(first: dict[str, Any], second: dict[str, Any]) -> list[TrialTask]:
    return [
        TrialTask(number, TrialConfig(**BASE | changes), seed=20 + number)
        for number, changes in enumerate((first, second))
    ]


@pytest.mark.parametrize("name", PAIRS)
def test_equals_keras_s(name: str, plain_engine: EngineOf, few_images: DataRef) -> None:
    trials = both(*PAIRS[name])
    for trial, ours in zip(trials, fused_fit(plain_engine(2), trials), strict=True):
        assert difference(ours, keras_fit(trial, few_images, eagerly=True)) <= TOLERANCE


def test_equals_keras_s_when_compiled(double_engine: EngineOf, few_images: DataRef) -> None:
    trials = both(*PAIRS["everything at once"])
    for trial, ours in zip(trials, fused_fit(double_engine(2), trials), strict=True):
        assert difference(ours, keras_fit(trial, few_images, eagerly=True)) <= TOLERANCE


@pytest.mark.parametrize(
    "stopping",
    [
        {"early_stopping": "val_loss"},
        {"early_stopping": "val_accuracy"},
        {"early_stopping": "val_loss", "restore_best_weights": False},
        # The best epoch counts although patience lasts until the end.
        {"early_stopping": "val_loss", "patience": 9},
    ],
    ids=str,
)
def test_early_stopping_equals_keras_s(
    stopping: dict[str, Any], plain_engine: EngineOf, few_images: DataRef
) -> None:
    sgd = {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.001}
    trials = both({"patience": 2, "epochs": 4} | sgd | stopping, {"epochs": 5} | sgd)
    ours, _ = fused_fit(plain_engine(2), trials)
    theirs = keras_fit(trials[0], few_images, eagerly=True)
    assert len(ours.metrics["loss"]) == len(theirs.metrics["loss"])
    assert difference(ours, theirs) <= TOLERANCE
    best = min(theirs.metrics["val_loss"])
    assert theirs.metrics["val_loss"].index(best) < len(theirs.metrics["val_loss"]) - 1
