"""The parts of the fused engine that decide what is trained together, and where it goes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sweep.engines.fused import layout
from sweep.engines.fused.adapters import make_adapter
from sweep.engines.fused.capacity import choose_capacity
from sweep.engines.fused.footprint import slot_bytes
from sweep.engines.fused.key import FusionKey, fusion_key
from sweep.engines.fused.placement import grouped
from sweep.engines.fused.program import Sizes
from sweep.engines.fused.programs import MOST_PROGRAMS, Programs
from sweep.engines.fused.slot import Slot
from sweep.network.weights import initial_weights
from sweep.trial import FIELDS, TrialConfig, TrialTask

PLAIN = TrialConfig(depth=2, width=6)

# A field that does not decide the structure, with a value other than the default's.
INPUTS: dict[str, Any] = {
    "leaky_relu_slope": 0.5, "kernel_initializer": "he_normal", "kernel_stddev": 0.1,
    "kernel_sparsity": 0.5, "bias_initializer": "constant", "bias_value": 0.3,
    "batch_norm_momentum": 0.5, "dropout_rate": 0.4, "dropout_position": "last",
    "momentum": 0.9, "nesterov": True, "learning_rate": 0.1, "weight_decay": 0.1,
    "schedule": "cosine", "cosine_floor": 0.1, "exponential_decay": 0.5, "plateau_factor": 0.2,
    "plateau_patience": 2, "scaling": "feature", "label_smoothing": 0.1, "epochs": 3,
    "early_stopping": "val_loss", "patience": 2, "restore_best_weights": False,
}  # fmt: skip
STRUCTURE: dict[str, Any] = {
    "depth": 3, "width": 7, "activation": "tanh", "batch_norm": "before", "dropout": "dropout",
    "l1": 0.1, "l2": 0.1, "max_norm": 1.0, "optimizer": "sgd", "clip_norm": 1.0, "flip": True,
    "shift": 1, "batch_size": 32,
}  # fmt: skip


def test_every_field_is_an_input_or_part_of_the_structure() -> None:
    assert set(INPUTS) | set(STRUCTURE) == set(FIELDS)
    for name, value in INPUTS.items():
        assert getattr(PLAIN, name) != value
        assert fusion_key(replace(PLAIN, **{name: value})) == fusion_key(PLAIN), name
    for name, value in STRUCTURE.items():
        assert fusion_key(replace(PLAIN, **{name: value})) != fusion_key(PLAIN), name


@pytest.mark.parametrize(
    ("one", "other", "is_alike"),
    [
        ({"activation": "relu"}, {"activation": "leaky_relu"}, True),
        ({"activation": "elu"}, {"activation": "selu"}, True),
        ({"activation": "relu"}, {"activation": "prelu"}, False),
        ({"activation": "swish"}, {"activation": "gelu"}, False),
        ({"optimizer": "adam"}, {"optimizer": "rmsprop"}, True),
        ({"optimizer": "nadam"}, {"optimizer": "adamw"}, True),
        ({"l1": 0.1}, {"l2": 0.3}, True),
        ({"flip": True}, {"shift": 3}, True),
        ({"dropout": "dropout"}, {"dropout": "alpha_dropout"}, True),
        ({"dropout": "dropout"}, {"dropout": "dropout", "dropout_position": "last"}, False),
        ({"kernel_initializer": "sparse"}, {"kernel_initializer": "constant"}, False),
        ({"batch_norm": "before"}, {"batch_norm": "after"}, False),
    ],
    ids=str,
)
def test_what_differs_by_numbers_alone_is_trained_together(
    one: dict[str, Any], other: dict[str, Any], is_alike: bool
) -> None:
    keys = [fusion_key(replace(PLAIN, **changes)) for changes in (one, other)]
    assert (keys[0] == keys[1]) is is_alike


def slot(number: int, **changes: Any) -> Slot:
    config = replace(PLAIN, **changes)
    return Slot(
        TrialTask(number, config, number), images=50, classes=10, statistics=None, dtype="float32"
    )


def test_trials_are_grouped_in_order_of_arrival() -> None:
    slots = [slot(0), slot(1, activation="tanh"), slot(2, activation="elu"), slot(3, width=3)]
    groups = grouped(slots)
    assert [[s.task.number for s in group] for group in groups.values()] == [[0, 2], [1], [3]]
    assert list(groups) == [slots[0].key, slots[1].key, slots[3].key]


@pytest.mark.parametrize("activation", ["relu", "prelu"])
@pytest.mark.parametrize("batch_norm", ["none", "before", "after"])
def test_weights_come_back_as_they_went(activation: str, batch_norm: str) -> None:
    config = replace(PLAIN, activation=activation, batch_norm=batch_norm)
    key = fusion_key(config)
    generator = np.random.default_rng(1)
    shapes = [array.shape for array in initial_weights(config, seed=1)]
    weights = [generator.normal(size=shape).astype(np.float32) for shape in shapes]
    trained, moving = layout.from_keras(key, weights, "float64")
    assert trained["first"].shape == (1, 6, 3072)
    assert trained["output"].shape == (1, 10, 6)
    assert trained["bias"].shape == (2, 1, 6, 1)
    assert set(trained) == {"first", "hidden", "output", "output_bias", "bias"} | (
        {"gamma", "beta"} if batch_norm != "none" else set()
    ) | ({"alpha"} if activation == "prelu" else set())
    assert set(moving) == ({"mean", "variance"} if batch_norm != "none" else set())
    back = layout.to_keras(key, trained, moving)
    assert [array.dtype for array in back] == [np.float64] * len(weights)
    for ours, theirs in zip(back, weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_weights_of_another_structure_are_refused() -> None:
    key = fusion_key(replace(PLAIN, depth=3))
    with pytest.raises(ValueError, match="zip"):
        layout.from_keras(key, initial_weights(PLAIN, seed=1), "float32")


@pytest.mark.parametrize(
    ("speeds", "chosen", "measured"),
    [
        ({16: 100, 64: 300, 256: 900, 512: 1600}, 512, 4),
        ({16: 100, 64: 300, 256: 900, 512: 950}, 256, 4),
        ({16: 100, 64: 105, 256: 900, 512: 950}, 16, 2),
        ({16: 100, 64: 300, 256: None, 512: 9999}, 64, 3),
        ({16: None, 64: 1, 256: 1, 512: 1}, 1, 1),
        ({16: 0.001, 64: None, 256: None, 512: None}, 16, 2),
    ],
)
def test_capacity_grows_as_long_as_it_pays(
    speeds: dict[int, float | None], chosen: int, measured: int
) -> None:
    asked: list[int] = []

    def measure(width: int) -> float | None:
        asked.append(width)
        return speeds[width]

    assert choose_capacity(measure, tuple(speeds)) == chosen
    assert asked == list(speeds)[:measured]


def test_footprint_is_that_of_the_arrays() -> None:
    """The weights and moments of a slot, counted from its state, twice, and the gradient."""
    for changes in ({}, {"optimizer": "sgd"}, {"kernel_initializer": "sparse", "depth": 4}):
        one = slot(0, **changes)
        state = one.initial_state()
        weights = sum(array.nbytes for array in state["weights"].values())
        masks = sum(array.nbytes for array in state.get("masks", {}).values())
        moments = weights * len(state["moments"])
        least = 2 * (weights + moments) + weights + masks
        images = one.key.batch_size * 3072 * 4
        assert least + images < slot_bytes(one.key, 10, 4) < 1.5 * least + 8 * images
        assert slot_bytes(one.key, 10, 8) == 2 * slot_bytes(one.key, 10, 4)


def test_programs_used_last_are_kept() -> None:
    programs = Programs(Sizes(50, 30, 10), make_adapter())
    keys = [replace(fusion_key(PLAIN), width=width) for width in range(1, MOST_PROGRAMS + 2)]
    first, is_new = programs.get(keys[0], 4)
    assert is_new
    assert first.width == 4
    for key in keys[1:-1]:
        assert programs.get(key, 4)[1]
    assert programs.get(keys[0], 4) == (first, False)
    # One too many: the one that was not used for the longest time goes.
    programs.get(keys[-1], 4)
    assert programs.get(keys[0], 4) == (first, False)
    assert programs.get(keys[1], 4)[1]
    assert programs.get(keys[0], 8)[1]
    programs.drop(keys[0], 4)
    assert programs.get(keys[0], 4)[1]
    programs.drop(FusionKey(**{**asdict(keys[0]), "width": 999}), 4)


def asdict(key: FusionKey) -> dict[str, Any]:
    return {name: getattr(key, name) for name in FusionKey.__dataclass_fields__}


@pytest.mark.parametrize(
    ("images", "batch", "steps"), [(50, 25, 2), (50, 32, 2), (50, 64, 1), (50, 1, 50)]
)
def test_the_last_batch_counts(images: int, batch: int, steps: int) -> None:
    assert Sizes(images, 250, 10).steps(batch) == steps
    assert Sizes(images, 251, 10).val_batches == 1 + Sizes(images, 250, 10).val_batches
