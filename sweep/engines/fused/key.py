"""What trials must have in common to be trained by one program."""

from collections.abc import Mapping
from dataclasses import dataclass

from sweep.trial import TrialConfig

# Activations that differ by numbers alone share a program.
FAMILY_OF: Mapping[str, str] = {
    "relu": "rectifier",
    "leaky_relu": "rectifier",
    "elu": "exponential",
    "selu": "exponential",
}


@dataclass(frozen=True, slots=True)
class FusionKey:
    """The structure of a trial's network and training step; all else is an input of the program.

    Attributes:
        depth: Hidden layers.
        width: Units of each.
        batch_size: Images per step.
        activation: Family of the activation: `rectifier` (relu, leaky_relu), `exponential` (elu,
            selu), or the activation itself.
        batch_norm: `none`, `before` or `after` the activation.
        dropout_layers: Layers that are followed by dropout of either kind.
        optimizer: `sgd`, or `adaptive` (rmsprop, adam, adamw, nadam).
        is_penalised: Whether there is an L1 or L2 penalty.
        is_clipped: Whether the gradient's norm is limited.
        has_max_norm: Whether the norms of the units' weights are limited.
        is_sparse: Whether kernels keep zeros.
        is_augmented: Whether training images are flipped or shifted.
    """

    depth: int
    width: int
    batch_size: int
    activation: str
    batch_norm: str
    dropout_layers: int
    optimizer: str
    is_penalised: bool
    is_clipped: bool
    has_max_norm: bool
    is_sparse: bool
    is_augmented: bool


def fusion_key(config: TrialConfig) -> FusionKey:
    """The structure of a trial: trials of the same key can train in one program."""
    layers = {"all": config.depth, "last": 1}[config.dropout_position]
    return FusionKey(
        depth=config.depth,
        width=config.width,
        batch_size=config.batch_size,
        activation=FAMILY_OF.get(config.activation, config.activation),
        batch_norm=config.batch_norm,
        dropout_layers=0 if config.dropout == "none" else layers,
        optimizer="sgd" if config.optimizer == "sgd" else "adaptive",
        is_penalised=config.l1 > 0.0 or config.l2 > 0.0,
        is_clipped=config.clip_norm > 0.0,
        has_max_norm=config.max_norm > 0.0,
        is_sparse=config.kernel_initializer == "sparse",
        is_augmented=config.flip or config.shift > 0,
    )
