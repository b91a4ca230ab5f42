"""The fused engine against Keras's `fit`. A test module inherits `Equality`, names its optimizers.

In double precision, from the same weights and on the same batches, all weights and all reported
metrics agree to `TOLERANCE`. Nothing is excepted.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from combinations import BATCH_NORMS, Choice, cohorts, every_pair, everything, task
from keras_fit import EngineOf, Trained, difference, fused_fit, keras_fit

from sweep.data import DataRef
from sweep.trial import ACTIVATIONS

TOLERANCE = 1e-9
SIZES = (1, 3, 8)


class Equality:
    """Inherit, and set `optimizers`."""

    optimizers: ClassVar[Mapping[str, Any]]

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_every_pair_equals_keras_s(
        self, activation: str, plain_engine: EngineOf, few_images: DataRef
    ) -> None:
        mine = [c for c in every_pair() if c[0] == activation and c[1] in self.optimizers]
        apart = {}
        for choice in mine:
            trial = task(0, choice)
            (ours,) = fused_fit(plain_engine(1), [trial])
            apart[choice] = difference(ours, keras_fit(trial, few_images, eagerly=True))
        assert {choice: apart[choice] for choice in mine if not apart[choice] <= TOLERANCE} == {}

    @pytest.mark.slow
    @pytest.mark.parametrize("batch_norm", BATCH_NORMS)
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_every_combination_equals_keras_s_in_cohorts_of_any_size(
        self, activation: str, batch_norm: str, double_engine: EngineOf, few_images: DataRef
    ) -> None:
        choices = everything(tuple(self.optimizers), (activation,), (batch_norm,))
        truth: dict[Choice, Trained] = {
            choice: keras_fit(task(0, choice), few_images, eagerly=True) for choice in choices
        }
        apart = {
            (size, choice): difference(ours, truth[choice])
            for size in SIZES
            for cohort in cohorts(choices, size)
            for choice, ours in zip(
                cohort,
                fused_fit(double_engine(size), [task(n, c) for n, c in enumerate(cohort)]),
                strict=True,
            )
        }
        assert {key: apart[key] for key in apart if not apart[key] <= TOLERANCE} == {}
