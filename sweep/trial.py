"""The values that describe one trial: what to train, how it went. Standard library only.

`TrialConfig` is the one list of hyperparameters: each field carries its range or choices, its
meaning and the condition under which it has an effect. The study file, the JSON Schema, the search
space, `sweep check` and the README's reference are all derived from it.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, cast

from sweep.errors import ConfigError

Value = bool | int | float | str
Condition = Mapping[str, tuple[Value, ...]]

ACTIVATIONS = (
    "relu",
    "leaky_relu",
    "prelu",
    "elu",
    "selu",
    "swish",
    "gelu",
    "mish",
    "softplus",
    "tanh",
    "sigmoid",
)
TYPE_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
ALIASES: Mapping[object, str] = {"silu": "swish"}
KERNEL_INITIALIZERS = (
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "random_normal",
    "constant",
    "sparse",
)
OPTIMIZERS = ("sgd", "rmsprop", "adam", "adamw", "nadam")
SCHEDULES = ("constant", "one_cycle", "cosine", "exponential", "plateau")


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """What is allowed in one field of `TrialConfig`, and when the field has an effect.

    Attributes:
        name: Field name, the key in a study file.
        type: `bool`, `int`, `float` or `str`.
        default: Value of the reference network.
        description: One line for readers.
        choices: Allowed values of a `str` field.
        low: Smallest allowed number, inclusive.
        high: Largest allowed number, inclusive.
        when: The field has an effect only if every named field has one of these values.
        unless: The field has no effect if any named field has one of these values.
    """

    name: str
    type: type[bool] | type[int] | type[float] | type[str]
    default: Value
    description: str
    choices: tuple[str, ...] | None
    low: float | None
    high: float | None
    when: Condition
    unless: Condition


def _choice(default: str, choices: tuple[str, ...], description: str) -> Any:
    return field(
        default=default, metadata={"choices": choices, "description": description, "when": {}}
    )


def _number(
    default: float,
    low: float,
    high: float,
    description: str,
    when: Condition | None = None,
    unless: Condition | None = None,
) -> Any:
    return field(
        default=default,
        metadata={
            "low": low,
            "high": high,
            "description": description,
            "when": when or {},
            "unless": unless or {},
        },
    )


def _flag(
    default: bool,
    description: str,
    when: Condition | None = None,
    unless: Condition | None = None,
) -> Any:
    return field(
        default=default,
        metadata={"description": description, "when": when or {}, "unless": unless or {}},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfig:
    """Every setting of one training run; the defaults are those of the reference network.

    Raises:
        ConfigError: A value has the wrong type or lies outside its range or choices.
    """

    depth: int = _number(20, 1, 200, "number of hidden Dense layers")
    width: int = _number(100, 1, 4096, "units of each hidden layer")
    activation: str = _choice("selu", ACTIVATIONS, "activation of the hidden layers")
    leaky_relu_slope: float = _number(
        0.2, 0.0, 1.0, "slope for negative inputs", {"activation": ("leaky_relu",)}
    )
    kernel_initializer: str = _choice(
        "lecun_normal",
        KERNEL_INITIALIZERS,
        "initializer of the hidden kernels; `constant` makes all weights of a layer equal, "
        "`sparse` keeps a share of them at zero",
    )
    kernel_stddev: float = _number(
        0.05,
        1e-6,
        10.0,
        "standard deviation of `random_normal`",
        {"kernel_initializer": ("random_normal",)},
    )
    kernel_sparsity: float = _number(
        0.9,
        0.0,
        0.999,
        "share of weights that are zero and stay zero",
        {"kernel_initializer": ("sparse",)},
    )
    bias_initializer: str = _choice("zeros", ("zeros", "constant"), "initializer of the biases")
    bias_value: float = _number(
        0.01, -10.0, 10.0, "value of a `constant` bias", {"bias_initializer": ("constant",)}
    )
    batch_norm: str = _choice(
        "none", ("none", "before", "after"), "batch normalisation before or after the activation"
    )
    batch_norm_momentum: float = _number(
        0.99,
        0.0,
        0.9999,
        "momentum of the moving statistics",
        {"batch_norm": ("before", "after")},
    )
    dropout: str = _choice("none", ("none", "dropout", "alpha_dropout"), "kind of dropout")
    dropout_rate: float = _number(
        0.1, 0.0, 0.95, "share of units dropped", {"dropout": ("dropout", "alpha_dropout")}
    )
    dropout_position: str = field(
        default="all",
        metadata={
            "choices": ("all", "last"),
            "description": "after every hidden layer, or only before the output",
            "when": {"dropout": ("dropout", "alpha_dropout")},
        },
    )
    l1: float = _number(0.0, 0.0, 10.0, "L1 penalty of the hidden kernels")
    l2: float = _number(0.0, 0.0, 10.0, "L2 penalty of the hidden kernels")
    max_norm: float = _number(
        0.0, 0.0, 1000.0, "largest norm of a unit's incoming weights, 0 for no limit"
    )
    optimizer: str = _choice("adam", OPTIMIZERS, "optimizer")
    momentum: float = _number(0.0, 0.0, 0.99999, "momentum of SGD", {"optimizer": ("sgd",)})
    nesterov: bool = _flag(
        False, "Nesterov momentum", {"optimizer": ("sgd",)}, {"momentum": (0.0,)}
    )
    learning_rate: float = _number(
        0.001, 1e-9, 100.0, "learning rate; the highest one of a schedule"
    )
    weight_decay: float = _number(0.0, 0.0, 1.0, "decoupled weight decay per step, times the rate")
    clip_norm: float = _number(
        0.0, 0.0, 1e6, "largest global norm of the gradient, 0 for no clipping"
    )
    schedule: str = _choice("constant", SCHEDULES, "learning rate schedule")
    cosine_floor: float = _number(
        0.0, 0.0, 1.0, "last rate as a share of the first", {"schedule": ("cosine",)}
    )
    exponential_decay: float = _number(
        0.9, 1e-6, 1.0, "factor of the rate per epoch", {"schedule": ("exponential",)}
    )
    plateau_factor: float = _number(
        0.5, 0.01, 0.99, "factor of the rate at a plateau", {"schedule": ("plateau",)}
    )
    plateau_patience: int = _number(
        5,
        1,
        1000,
        "epochs without a lower validation loss that make a plateau",
        {"schedule": ("plateau",)},
    )
    scaling: str = _choice(
        "unit",
        ("unit", "feature", "channel"),
        "pixels to [0, 1], or standardised per feature or per channel of the training split",
    )
    flip: bool = _flag(False, "flip training images left to right at random")
    shift: int = _number(0, 0, 16, "pixels by which training images are shifted at most")
    label_smoothing: float = _number(0.0, 0.0, 0.9, "label smoothing")
    batch_size: int = _number(64, 1, 65536, "images per training step")
    epochs: int = _number(50, 1, 100000, "most epochs of a trial")
    early_stopping: str = _choice(
        "none", ("none", "val_loss", "val_accuracy"), "metric that early stopping watches"
    )
    patience: int = _number(
        5,
        1,
        100000,
        "epochs without improvement that end a trial",
        {"early_stopping": ("val_loss", "val_accuracy")},
    )
    restore_best_weights: bool = _flag(
        True,
        "keep the weights of the best epoch instead of the last",
        {"early_stopping": ("val_loss", "val_accuracy")},
    )

    def __post_init__(self) -> None:
        """Check every field against its `FieldInfo`, and turn whole numbers into floats."""
        for info in FIELDS.values():
            object.__setattr__(self, info.name, check_value(info, getattr(self, info.name)))

    def is_active(self, name: str) -> bool:
        """Whether the field `name` has an effect in this configuration."""
        info = FIELDS[name]
        return all(getattr(self, key) in values for key, values in info.when.items()) and not any(
            getattr(self, key) in values for key, values in info.unless.items()
        )

    def canonical(self) -> "TrialConfig":
        """The same network and training with every field that has no effect at its default."""
        return TrialConfig(
            **{name: getattr(self, name) for name in FIELDS if self.is_active(name)}
        )

    def to_dict(self) -> dict[str, Value]:
        """All fields by name, in order of definition."""
        return {name: getattr(self, name) for name in FIELDS}

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that two configurations share only if they train alike."""
        text = json.dumps(self.canonical().to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_value(info: FieldInfo, value: object, where: str | None = None) -> Value:
    """Check one value against its field.

    Args:
        info: The field.
        value: What the user or the sampler gave.
        where: Where the value was found; the field's name if not given.

    Returns:
        The value, as the field's type.

    Raises:
        ConfigError: Wrong type, outside the range, or not one of the choices.
    """
    where = where or info.name
    accepted = (int, float) if info.type is float else (info.type,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and info.type is not bool):
        raise ConfigError(
            f"{info.name} has the wrong type",
            where=where,
            expected=f"{TYPE_WORDS[info.type]}: {info.description}",
            received=f"{value!r} ({type(value).__name__})",
        )
    if info.choices is not None:
        value = ALIASES.get(value, value)
    if info.choices is not None and value not in info.choices:
        reason = (
            "softmax turns a layer's outputs into probabilities; it belongs to the output layer "
            "alone, where it is always used"
            if info.name == "activation" and value == "softmax"
            else None
        )
        raise ConfigError(
            f"{info.name} has no such choice",
            where=where,
            expected="one of " + ", ".join(info.choices),
            received=repr(value),
            next_step=reason,
        )
    if info.low is not None and info.high is not None:
        number = cast(float, value)
        if not (math.isfinite(number) and info.low <= number <= info.high):
            raise ConfigError(
                f"{info.name} is out of range",
                where=where,
                expected=f"{info.low:g} to {info.high:g}: {info.description}",
                received=repr(value),
            )
    checked = cast(Value, value)
    return float(checked) if info.type is float else checked


def _field_info() -> dict[str, FieldInfo]:
    return {
        f.name: FieldInfo(
            name=f.name,
            type=cast(Any, f.type),
            default=cast(Value, f.default),
            description=f.metadata["description"],
            choices=f.metadata.get("choices"),
            low=f.metadata.get("low"),
            high=f.metadata.get("high"),
            when=f.metadata["when"],
            unless=f.metadata.get("unless", {}),
        )
        for f in fields(TrialConfig)
    }


FIELDS: dict[str, FieldInfo] = _field_info()


class StopReason(StrEnum):
    """Why a trial stopped training."""

    COMPLETED = "completed"
    EARLY_STOPPING = "early_stopping"
    DIVERGED = "diverged"
    PRUNED = "pruned"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class TrialTask:
    """A trial to be trained.

    Attributes:
        number: Optuna's trial number within the study.
        config: What to train.
        seed: Seed of all its randomness, see `trial_seed`.
        attempt: 1, or more if a worker was lost while it trained.
        stall: How the engine hung in the attempt before; empty if it did not. What hung once
            would hang again, so it trains some other way if it knows one.
        artifacts: Where the study's files are, its checkpoints among them; None to write none.
        checkpoint: Name of the checkpoint to go on from; None to begin at the first epoch.
        checkpoint_epoch: The last epoch before that checkpoint; 0 without one.
    """

    number: int
    config: TrialConfig
    seed: int
    attempt: int = 1
    stall: str = ""
    artifacts: str | None = None
    checkpoint: str | None = None
    checkpoint_epoch: int = 0


@dataclass(frozen=True, slots=True)
class EpochReport:
    """Metrics of one epoch of one trial.

    Attributes:
        number: Trial number.
        epoch: Epochs trained so far, from 1: absolute, so that a restart cannot shift it.
        loss: Mean training loss over the epoch, penalties included; may be NaN or infinite.
        accuracy: Training accuracy over the epoch, 0 to 1.
        val_loss: Loss on the validation split after the epoch; may be NaN or infinite.
        val_accuracy: Accuracy on the validation split after the epoch, 0 to 1.
        learning_rate: Rate of the epoch's last step.
        seconds: Wall time of the epoch, validation included.
        finished: Why the trial needs no further epoch, or None if it goes on.
        checkpoint: Name of the checkpoint written after the epoch, if one was.
    """

    number: int
    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    finished: StopReason | None = None
    checkpoint: str | None = None

    def __reduce__(self) -> tuple[type["EpochReport"], tuple[Any, ...]]:
        """Pickled in a third of the time: every trial sends one after every epoch."""
        return EpochReport, tuple(getattr(self, name) for name in EpochReport.__slots__)


@dataclass(frozen=True, slots=True)
class LayerInspection:
    """One layer of a trained network; `sweep.engines.inspection` says how it is measured.

    Attributes:
        layer: From 1; the output layer is the last one.
        mean: Mean of its outputs, over units and images.
        std: Standard deviation of its outputs.
        dead: Share of its units whose outputs hardly vary, 0 to 1.
        gradient_norm: Norm of the loss's gradient with respect to its kernel.
    """

    layer: int
    mean: float
    std: float
    dead: float
    gradient_norm: float


@dataclass(frozen=True, slots=True)
class Inspection:
    """A trained network as it answers to some validation images; NaN where that is not finite.

    Attributes:
        layers: In order.
        zero_weights: Share of the kernels' weights that are zero, 0 to 1.
        inference_seconds: Wall time of a forward pass of the images on a core.
    """

    layers: tuple[LayerInspection, ...]
    zero_weights: float
    inference_seconds: float


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What is left of a trial after its last epoch.

    Attributes:
        number: Trial number.
        reason: Why it stopped.
        epochs: Epochs trained.
        kept_epoch: Epoch whose weights were kept, from 1; 0 if no epoch was finished.
        parameters: Number of trainable and non-trainable weights of the network.
        seconds: Wall time from admission to retirement; of a trial that went on from a
            checkpoint, with the time up to there.
        engine: Name of the engine that trained it.
        device: Device it ran on, for example `cpu:0` or `gpu:1`.
        weights: File of the kept weights, if they were asked for.
        remark: A sentence about what was unusual in its training; empty if nothing was.
        checkpoint: Name of the checkpoint that an interrupted trial goes on from, if one was
            written when it was retired.
        inspection: Of the network with the kept weights; None if it has not trained an epoch, or
            if the weights are not finite.
    """

    number: int
    reason: StopReason
    epochs: int
    kept_epoch: int
    parameters: int
    seconds: float
    engine: str
    device: str
    weights: str | None = None
    remark: str = ""
    checkpoint: str | None = None
    inspection: Inspection | None = None


def trial_seed(study_seed: int, number: int, replicate: int = 0) -> int:
    """The seed of a trial: a function of the study, its number and the replicate alone.

    Returns:
        An integer in [0, 2**31), the range that every library takes.
    """
    return _digest(f"{study_seed}/{number}/{replicate}")


def stream_seed(seed: int, purpose: str, index: int = 0) -> int:
    """An independent seed for one use of a trial's randomness.

    Args:
        seed: The trial's seed.
        purpose: Name of the use: `weights`, `shuffle`, `dropout`, `augment`.
        index: Epoch or layer, where one use needs several seeds.

    Returns:
        An integer in [0, 2**31).
    """
    return _digest(f"{seed}/{purpose}/{index}")


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
