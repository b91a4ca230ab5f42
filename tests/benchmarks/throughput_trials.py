"""What is trained: the images, and the trials that every rival gets alike."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.data import DataRef, open_split, prepare
from sweep.spec.model import DataSpec, ValidationSpec
from sweep.trial import TrialConfig

BATCH = 64
TRAIN_IMAGES, VALIDATION_IMAGES = 40_000, 10_000

Params = dict[str, Any]
Arrays = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]
logger = logging.getLogger("throughput")


def suggest(trial: Any) -> Params:
    """Draw the parameters of a trial, as a user of Optuna would."""
    params = {
        "activation": trial.suggest_categorical("activation", ["relu", "elu", "selu", "swish"]),
        "kernel_initializer": trial.suggest_categorical(
            "kernel_initializer", ["he_normal", "glorot_uniform", "lecun_normal"]
        ),
        "batch_norm": trial.suggest_categorical("batch_norm", [False, True]),
        "dropout": trial.suggest_categorical("dropout", [False, True]),
        "optimizer": trial.suggest_categorical("optimizer", ["sgd", "adam", "nadam"]),
        # No trial diverges in this range, so that none is shorter for one rival than for another.
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-3, log=True),
    }
    if params["dropout"]:
        params["dropout_rate"] = trial.suggest_float("dropout_rate", 0.05, 0.3)
    return params


def make_study(seed: int) -> Any:
    """An Optuna study in memory that samples at random, from `seed`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=seed)
    )


def draw_trials(seed: int, count: int) -> list[Params]:
    """The parameters of the first trials of `make_study(seed)`."""
    study = make_study(seed)
    return [suggest(study.ask()) for _ in range(count)]


def to_config(params: Params, epochs: int) -> TrialConfig:
    """The same trial in the words of `sweep`."""
    return TrialConfig(
        activation=params["activation"],
        kernel_initializer=params["kernel_initializer"],
        batch_norm="before" if params["batch_norm"] else "none",
        dropout="dropout" if params["dropout"] else "none",
        dropout_rate=params.get("dropout_rate", 0.1),
        optimizer=params["optimizer"],
        momentum=0.9 if params["optimizer"] == "sgd" else 0.0,
        learning_rate=params["learning_rate"],
        batch_size=BATCH,
        epochs=epochs,
    )


def images(data_dir: Path | None, train_images: int, scratch: Path) -> DataRef:
    """The images to train on, a quarter of their number besides to validate with.

    Args:
        data_dir: Where CIFAR-10 lies; None for uniform random bytes of the same shape.
        train_images: Number of training images.
        scratch: Directory for random images.
    """
    held_out = train_images // 4
    if data_dir is not None:
        spec = DataSpec(validation=ValidationSpec(images=held_out), train_images=train_images)
        return prepare(spec, data_dir=data_dir, progress=logger.info)
    generator = np.random.default_rng(0)
    total = train_images + held_out
    np.save(scratch / "train_images.npy", generator.integers(0, 256, (total, 32, 32, 3), np.uint8))
    np.save(scratch / "train_labels.npy", generator.integers(0, 10, total, np.uint8))
    return DataRef(
        directory=scratch,
        name="uniform random bytes in the shape of CIFAR-10",
        is_fallback=True,
        fingerprint=f"random {total}",
        train=(0, train_images),
        validation=(train_images, total),
        classes=10,
    )


def in_memory(data: DataRef) -> tuple[Arrays, Arrays]:
    """Training and validation images in [0, 1] and their labels, as a user holds them."""
    train, validation = open_split(data, "train"), open_split(data, "validation")
    return (
        (train.images.astype(np.float32) / 255.0, train.labels.astype(np.int64)),
        (validation.images.astype(np.float32) / 255.0, validation.labels.astype(np.int64)),
    )
