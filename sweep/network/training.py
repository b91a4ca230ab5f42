"""What a network is compiled with: optimizer, loss and metric."""

from collections.abc import Callable
from typing import Any

import keras

from sweep.network.schedules import learning_rate
from sweep.trial import TrialConfig

# Steps that Keras runs without returning to Python: a third less time per epoch, same figures.
STEPS_PER_CALL = 25


def make_optimizer(config: TrialConfig, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """The optimizer with its schedule, weight decay and clipping.

    Weight decay is Keras's for every optimizer: each step takes rate x `weight_decay` x weight
    off each trainable weight, biases included. Clipping scales all gradients together when their
    global norm exceeds `clip_norm`.

    Args:
        config: The trial's configuration.
        steps_per_epoch: Training steps of an epoch, for the schedule.
    """
    return _optimizer(config, learning_rate(config, steps_per_epoch))


def _optimizer(
    config: TrialConfig, rate: float | keras.optimizers.schedules.LearningRateSchedule
) -> keras.optimizers.Optimizer:
    common: dict[str, Any] = {"learning_rate": rate}
    if config.weight_decay > 0.0 or config.optimizer == "adamw":
        common["weight_decay"] = config.weight_decay
    if config.clip_norm > 0.0:
        common["global_clipnorm"] = config.clip_norm
    match config.optimizer:
        case "sgd":
            nesterov = config.nesterov and config.momentum > 0.0
            return keras.optimizers.SGD(momentum=config.momentum, nesterov=nesterov, **common)
        case "rmsprop":
            return keras.optimizers.RMSprop(**common)
        case "adam":
            return keras.optimizers.Adam(**common)
        case "adamw":
            return keras.optimizers.AdamW(**common)
        case _:
            return keras.optimizers.Nadam(**common)


def compile_network(model: keras.Model, config: TrialConfig, steps_per_epoch: int) -> None:
    """Compile for training.

    With label smoothing the validation loss is smoothed too, as in Keras.

    Without XLA: compiling for it takes longer than the epochs of most trials.
    """
    classes = model.output_shape[-1]
    model.compile(
        optimizer=make_optimizer(config, steps_per_epoch),
        loss=_smoothed(config.label_smoothing, classes)
        if config.label_smoothing > 0.0
        else keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        steps_per_execution=min(STEPS_PER_CALL, steps_per_epoch),
        jit_compile=False,
    )


def compile_portable(model: keras.Model, config: TrialConfig) -> None:
    """Compile with parts of plain Keras alone: a constant rate, and labels that are not smoothed.

    So the saved file can be evaluated, and trained further, where `sweep` is not installed. The
    optimizer is built, with a fresh state, because Keras refuses to load one that is not.
    """
    model.compile(
        optimizer=_optimizer(config, config.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    model.optimizer.build(model.trainable_variables)


def _smoothed(share: float, classes: int) -> Callable[[Any, Any], Any]:
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=share, reduction=None)

    def smoothed_cross_entropy(labels: Any, probabilities: Any) -> Any:
        flat = keras.ops.reshape(labels, (-1,))
        return loss(keras.ops.one_hot(flat, classes), probabilities)

    return smoothed_cross_entropy
