"""The frozen values that a study file becomes.

The descriptions are what `sweep schema` shows in an editor and the README in its reference.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from sweep.spec.names import STUDY_NAME
from sweep.trial import Value

ObjectiveMetric = Literal["val_accuracy", "val_loss", "seconds_per_epoch", "parameters"]
EngineName = Literal["fused", "reference"]
BackendName = Literal["tensorflow", "jax"]
EPOCH_METRICS: tuple[ObjectiveMetric, ...] = ("val_accuracy", "val_loss")
MAX_COUNT = 2**31 - 1

Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Values = Annotated[tuple[Value, ...], Field(min_length=1)]
Conditions = dict[str, Values]


class Frozen(BaseModel):
    """A value that refuses unknown fields and changes, and converts nothing silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ValidationSpec(Frozen):
    """Which training images form the validation split."""

    take: Literal["first", "last"] = Field(
        default="last", description="the `first` or the `last` images of the training archive"
    )
    share: float = Field(
        default=0.2, gt=0.0, lt=1.0, description="share of the training images, above 0, below 1"
    )
    images: Count | None = Field(default=None, description="number of images; overrides `share`")


class DataSpec(Frozen):
    """What to train on."""

    name: str = Field(
        default="cifar10",
        min_length=1,
        description="`cifar10`, `synthetic`, or the path of an `.npz` file with x_train, y_train "
        "and, where there is a test set, x_test and y_test",
    )
    fallback: Literal["none", "synthetic"] = Field(
        default="none", description="what to use when `cifar10` is nowhere to be had"
    )
    validation: ValidationSpec = Field(
        default=ValidationSpec(), description="which training images form the validation split"
    )
    train_images: Count | None = Field(
        default=None, description="train on so many images only: the first of the training split"
    )


class ChoicesSpec(Frozen):
    """A parameter that takes one of several values; a bare list means the same."""

    choices: Values = Field(description="the values to choose from")
    when: Conditions = Field(
        default={}, description="search only where every named field has one of these values"
    )


class RangeSpec(Frozen):
    """A number between `low` and `high`, both inclusive."""

    low: int | float = Field(description="smallest value")
    high: int | float = Field(description="largest value")
    log: bool = Field(default=False, description="sample the logarithm uniformly")
    step: int | float | None = Field(
        default=None, description="distance of neighbouring values, from `low` on; not with `log`"
    )
    when: Conditions = Field(
        default={}, description="search only where every named field has one of these values"
    )


class RuleSpec(Frozen):
    """Wherever every field in `when` has one of its values, every field in `then` does too.

    A field that has no effect in a configuration, such as momentum under Adam, meets no `when`
    and satisfies every `then`. A field that is neither fixed nor searched stays at its default
    unless a rule forbids that: then it takes the first value that the rules allow. A rule whose
    `then` excludes its own `when` forbids a combination:
    `{when: {activation: relu, dropout: none}, then: {dropout: [dropout]}}`.
    """

    when: Conditions = Field(min_length=1, description="values that trigger the rule, by field")
    then: Conditions = Field(min_length=1, description="values that are then allowed, by field")


class BudgetSpec(Frozen):
    """When the study ends."""

    trials: Count = Field(
        default=20, description="finished trials (complete, pruned or failed) asked for"
    )
    wall_seconds: float | None = Field(
        default=None,
        gt=0.0,
        le=float(MAX_COUNT),
        description="wall time for which it is run, over all runs, in seconds or as 30s, 10m or "
        "2h; running trials are then set aside, and a run with more time goes on with them",
    )
    gpu_hours: float | None = Field(
        default=None,
        gt=0.0,
        le=float(MAX_COUNT),
        description="GPU hours that it may use, over all runs and GPUs; then as with wall time",
    )
    target: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="value of the first objective that ends it as soon as a trial reaches it",
    )
    epochs: Count | None = Field(
        default=None, description="most epochs of a trial; overrides `fixed.epochs`"
    )


class SamplerSpec(Frozen):
    """How configurations are chosen."""

    name: Literal["tpe", "random", "grid", "qmc", "gp", "cmaes"] = Field(
        default="tpe", description="the algorithm"
    )
    startup_trials: Count = Field(
        default=10, description="random trials before `tpe`, `gp` or `cmaes` use what they learned"
    )


class PrunerSpec(Frozen):
    """How hopeless trials are ended early."""

    name: Literal["none", "median", "asha", "hyperband"] = Field(
        default="none", description="the algorithm"
    )
    startup_trials: int = Field(
        default=5, ge=0, le=MAX_COUNT, description="finished trials before `median` prunes"
    )
    min_epochs: Count = Field(default=1, description="epochs that every trial may train")
    reduction_factor: int = Field(
        default=3,
        ge=2,
        le=1000,
        description="`asha` and `hyperband`: one in so many trials goes on at each rung",
    )


class ObjectiveSpec(Frozen):
    """A metric of the kept weights and the direction that is better."""

    metric: ObjectiveMetric = Field(default="val_accuracy", description="what is measured")
    direction: Literal["maximize", "minimize"] = Field(
        default="maximize",
        description="which way is better; if not given, `maximize` for val_accuracy and "
        "`minimize` for the others",
    )

    @model_validator(mode="before")
    @classmethod
    def _natural_direction(cls, data: Any) -> Any:
        if isinstance(data, dict) and "direction" not in data and "metric" in data:
            natural = "maximize" if data["metric"] == "val_accuracy" else "minimize"
            return {**data, "direction": natural}
        return data


def _kind(data: Any) -> str:
    if isinstance(data, dict):
        return "choices" if "choices" in data else "range"
    return "choices" if isinstance(data, ChoicesSpec) else "range"


Dimension = ChoicesSpec | RangeSpec
TaggedDimension = Annotated[
    Annotated[ChoicesSpec, Tag("choices")] | Annotated[RangeSpec, Tag("range")],
    Discriminator(_kind),
]
StudyName = Annotated[str, Field(pattern=STUDY_NAME)]


class StudySpec(Frozen):
    """A whole study."""

    study: StudyName = Field(
        description="name of the study in the database: letters, digits, `.`, `_` and `-`"
    )
    description: str = Field(
        default="", description="a sentence for people who read the dashboard"
    )
    data: DataSpec = Field(default=DataSpec(), description="what to train on")
    fixed: dict[str, Value] = Field(
        default={}, description="settings that every trial shares; the rest stays at its default"
    )
    search: dict[str, TaggedDimension] = Field(
        default={}, description="settings that are searched: a list of choices, or low and high"
    )
    rules: tuple[RuleSpec, ...] = Field(
        default=(), max_length=100, description="what must hold in every trial"
    )
    budget: BudgetSpec = Field(default=BudgetSpec(), description="when the study ends")
    sampler: SamplerSpec = Field(
        default=SamplerSpec(), description="how configurations are chosen"
    )
    pruner: PrunerSpec = Field(
        default=PrunerSpec(), description="how hopeless trials are ended early"
    )
    objectives: tuple[ObjectiveSpec, ...] = Field(
        default=(ObjectiveSpec(),),
        min_length=1,
        max_length=4,
        description="what is optimised; pruning needs exactly one",
    )
    seed: int = Field(
        default=42,
        ge=0,
        le=2**31 - 1,
        description="seed of the sampler and of every trial",
    )
    engine: EngineName = Field(
        default="fused",
        description="how trials train: `fused`, whole epochs compiled, or `reference`, plain "
        "Keras `fit`",
    )
    backend: BackendName = Field(
        default="tensorflow",
        description="what Keras runs on; `jax` comes with the extra `sweep[jax]` and needs the "
        "engine `fused`",
    )
    keep_weights: Count = Field(
        default=3, description="number of best trials whose weights are kept"
    )
