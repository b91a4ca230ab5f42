"""Every activation with every optimizer, batch normalisation and schedule, as trials.

All other numbers are drawn, so that no two slots of a cohort are alike.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sweep.trial import ACTIVATIONS, FIELDS, SCHEDULES, TrialConfig, TrialTask

Choice = tuple[str, str, str, str]

SGD: Mapping[str, Mapping[str, Any]] = {
    "sgd": {"optimizer": "sgd"},
    "momentum": {"optimizer": "sgd", "momentum": 0.9},
    "nesterov": {"optimizer": "sgd", "momentum": 0.8, "nesterov": True},
}
ADAPTIVE: Mapping[str, Mapping[str, Any]] = {
    "rmsprop": {"optimizer": "rmsprop"},
    "adam": {"optimizer": "adam"},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "nadam": {"optimizer": "nadam"},
}
ALL_OPTIMIZERS = SGD | ADAPTIVE
BATCH_NORMS = FIELDS["batch_norm"].choices or ()
INITIALIZERS = ("glorot_uniform", "he_normal", "lecun_normal", "orthogonal", "random_normal")


def task(number: int, choice: Choice) -> TrialTask:
    """A trial of a combination; its other numbers follow from the combination alone."""
    activation, optimizer, batch_norm, schedule = choice
    index = everything(tuple(ALL_OPTIMIZERS)).index(choice)
    generator = np.random.default_rng(index)
    # At a plateau the engines keep the rate in single precision, as Keras does unless told to
    # compute in double: this rate and the factors below are exact in both.
    highest = 0.03 if optimizer in SGD else 0.003
    config = TrialConfig(
        depth=2,
        width=6,
        batch_size=32,
        # A plateau needs an epoch that does not improve, and one after it.
        epochs=3 if schedule == "plateau" else 2,
        activation=activation,
        leaky_relu_slope=generator.uniform(0.05, 0.5),
        kernel_initializer=str(generator.choice(INITIALIZERS)),
        bias_initializer=str(generator.choice(["zeros", "constant"])),
        bias_value=generator.uniform(-0.2, 0.2),
        batch_norm=batch_norm,
        batch_norm_momentum=generator.uniform(0.5, 0.99),
        learning_rate=float(np.float32(highest * generator.uniform(0.1, 1.0))),
        schedule=schedule,
        cosine_floor=generator.uniform(0.0, 0.5),
        exponential_decay=generator.uniform(0.3, 0.9),
        plateau_factor=float(generator.choice([0.125, 0.25, 0.5])),
        plateau_patience=1,
        **ALL_OPTIMIZERS[optimizer],
    )
    return TrialTask(number, config, seed=index)


def everything(
    optimizers: Sequence[str],
    activations: Sequence[str] = ACTIVATIONS,
    batch_norms: Sequence[str] = BATCH_NORMS,
) -> list[Choice]:
    """All combinations."""
    return list(itertools.product(activations, optimizers, batch_norms, SCHEDULES))


def every_pair() -> Iterator[Choice]:
    """Few combinations, in which any two values of two kinds meet somewhere."""
    for (a, activation), (o, optimizer) in itertools.product(
        enumerate(ACTIVATIONS), enumerate(ALL_OPTIMIZERS)
    ):
        batch_norm = BATCH_NORMS[(a + o) % len(BATCH_NORMS)]
        yield activation, optimizer, batch_norm, SCHEDULES[(a + 2 * o) % len(SCHEDULES)]


def cohorts(choices: Sequence[Choice], size: int) -> Iterator[list[Choice]]:
    """The combinations as full cohorts; the last one is filled up with the first ones."""
    filled = [*choices, *itertools.islice(itertools.cycle(choices), -len(choices) % size)]
    for first in range(0, len(filled), size):
        yield filled[first : first + size]
