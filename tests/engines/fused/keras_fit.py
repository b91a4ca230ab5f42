"""What Keras's `fit` makes of a trial, and what the fused engine does, to be compared."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from sweep.data import DataRef, open_split, statistics
from sweep.engines.draws import draw_augmentation, epoch_order
from sweep.engines.fused import layout
from sweep.engines.fused.engine import FusedEngine
from sweep.network import build_network
from sweep.network.training import compile_network
from sweep.network.weights import initial_weights
from sweep.trial import EpochReport, StopReason, TrialConfig, TrialTask

Array = npt.NDArray[Any]
EngineOf = Callable[[int], FusedEngine]  # capacity -> engine
METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


@dataclass(frozen=True)
class Trained:
    """A trial's metrics by name, epoch by epoch, and its kept weights in Keras's order."""

    metrics: dict[str, list[float]]
    weights: list[Array]


def difference(ours: Trained, theirs: Trained) -> float:
    """The largest difference between any two numbers of the same meaning."""
    metrics = [np.subtract(ours.metrics[name], theirs.metrics[name]) for name in METRICS]
    weights = [a - b for a, b in zip(ours.weights, theirs.weights, strict=True)]
    return max(float(np.abs(array).max()) for array in (*metrics, *weights))


def keras_fit(
    trial: TrialTask, data: DataRef, *, eagerly: bool = False, jit: bool = False
) -> Trained:
    """Train as a user of Keras would: one call of `fit`, Keras's own callbacks.

    Args:
        trial: The trial.
        data: The images.
        eagerly: Without a graph: for few steps faster than to make one.
        jit: Compiled by XLA.
    """
    config = trial.config
    train, validation = open_split(data, "train"), open_split(data, "validation")
    steps = math.ceil(len(train.images) / config.batch_size)
    model = build_network(
        config,
        seed=trial.seed,
        steps_per_epoch=steps,
        statistics=None if config.scaling == "unit" else statistics(data, config.scaling),
        classes=data.classes,
        compile=False,
    )
    model.set_weights(initial_weights(config, seed=trial.seed, classes=data.classes))
    compile_network(model, config, steps)
    model.run_eagerly, model.jit_compile, model.steps_per_execution = eagerly, jit, 1
    everything = np.asarray(validation.images), validation.labels.astype(np.int32)
    rates = _Rates()
    history = model.fit(
        _dataset(batches(trial, data)),
        epochs=config.epochs,
        steps_per_epoch=steps,
        validation_data=_dataset([everything]),
        validation_steps=1,
        callbacks=[rates, *_callbacks(config)],
        shuffle=False,
        verbose=0,
    ).history
    metrics = {name: history[name] for name in METRICS[:4]} | {"learning_rate": rates.rates}
    return Trained(metrics, model.get_weights())


def batches(trial: TrialTask, data: DataRef) -> Iterator[tuple[Array, Array]]:
    """The images and labels of all steps of a trial."""
    config, split = trial.config, open_split(data, "train")
    images, labels = np.asarray(split.images), split.labels.astype(np.int32)
    for epoch in range(1, config.epochs + 1):
        order = epoch_order(trial.seed, epoch, len(images))
        flips, shifts = draw_augmentation(config, trial.seed, epoch, len(images))
        for first in range(0, len(order), config.batch_size):
            step = slice(first, first + config.batch_size)
            draws = zip(images[order[step]], flips[step], shifts[step], strict=True)
            yield np.stack([moved(*draw) for draw in draws]), labels[order[step]]


def moved(image: Array, is_flipped: bool, shift: Array) -> Array:
    """An image mirrored, then moved down and right over a black ground."""
    image = image[:, ::-1] if is_flipped else image
    down, right = (int(pixels) for pixels in shift)
    ground = np.zeros((96, 96, 3), image.dtype)
    ground[32 + down : 64 + down, 32 + right : 64 + right] = image
    return ground[32:64, 32:64]


def fused_fit(engine: FusedEngine, trials: Sequence[TrialTask]) -> list[Trained]:
    """Train trials, all at once if the engine has room; what they became, in the same order."""
    reports: dict[int, list[EpochReport]] = {trial.number: [] for trial in trials}
    weights: dict[int, list[Array]] = {}
    for trial in trials:
        engine.admit(trial)
    while engine.active:
        for report in engine.run_epoch():
            reports[report.number].append(report)
            if report.finished is not None:
                weights[report.number] = kept_weights(engine, report.number)
                engine.retire(report.number, StopReason.COMPLETED, None)
    return [Trained(curves(reports[t.number]), weights[t.number]) for t in trials]


def curves(reports: Iterable[EpochReport]) -> dict[str, list[float]]:
    """Reports as metrics by name."""
    reports = list(reports)
    return {name: [getattr(report, name) for report in reports] for name in METRICS}


def kept_weights(engine: FusedEngine, number: int) -> list[Array]:
    """The weights of an active trial that count, in Keras's order and in full precision."""
    slot = engine._slots[number]
    state = engine._placement.state_of(slot) if slot.kept is None else slot.kept
    trained, moving = (engine._adapter.to_host(state[name]) for name in ("weights", "moving"))
    return layout.to_keras(slot.key, trained, moving)


class _Rates(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Remembers the rate of the last step of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.rates: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        rate = optimizer._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            rate = rate(optimizer.iterations - 1)
        self.rates.append(float(rate))


def _callbacks(config: TrialConfig) -> list[keras.callbacks.Callback]:
    callbacks = []
    if config.schedule == "plateau":
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                factor=config.plateau_factor, patience=config.plateau_patience
            )
        )
    if config.early_stopping != "none":
        callbacks.append(
            keras.callbacks.EarlyStopping(
                config.early_stopping,
                patience=config.patience,
                restore_best_weights=config.restore_best_weights,
            )
        )
    return callbacks


def _dataset(batches: Iterable[tuple[Array, Array]]) -> Any:
    """Batches as `fit` takes them soonest, for the backend of Keras."""
    if keras.backend.backend() != "tensorflow":
        return (batch for batch in itertools.cycle(batches))
    import tensorflow as tf

    first, *others = (tf.data.Dataset.from_tensors(batch) for batch in batches)
    for other in others:
        first = first.concatenate(other)
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    return first.with_options(options)
