"""The frozen values that a study file becomes."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sweep.trial import Value

ObjectiveMetric = Literal["val_accuracy", "val_loss", "seconds_per_epoch", "parameters"]


class Frozen(BaseModel):
    """A value that refuses unknown fields and changes, and converts nothing silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ValidationSpec(Frozen):
    """Which training images form the validation split.

    Attributes:
        take: The `first` or the `last` images of the training archive.
        share: Share of the training images, above 0 and below 1.
        images: Number of images; overrides `share`.
    """

    take: Literal["first", "last"] = "last"
    share: float = Field(default=0.2, gt=0.0, lt=1.0)
    images: int | None = Field(default=None, ge=1)


class DataSpec(Frozen):
    """What to train on.

    Attributes:
        name: `cifar10`, `synthetic`, or the path of an `.npz` file with x_train, y_train and,
            where there is a test set, x_test and y_test.
        fallback: What to use when `cifar10` is nowhere to be had.
        validation: Which training images form the validation split.
        train_images: Use only so many images for training: the first of the training split.
    """

    name: str = "cifar10"
    fallback: Literal["none", "synthetic"] = "none"
    validation: ValidationSpec = ValidationSpec()
    train_images: int | None = Field(default=None, ge=1)


class ChoicesSpec(Frozen):
    """A parameter that takes one of several values; `when` as in a rule."""

    choices: tuple[Value, ...] = Field(min_length=1)
    when: dict[str, tuple[Value, ...]] = {}


class RangeSpec(Frozen):
    """A number between `low` and `high`, both inclusive.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Sample its logarithm uniformly.
        step: Distance of neighbouring values from `low` on; not together with `log`.
        when: As in a rule: the parameter is searched only where this holds.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None
    when: dict[str, tuple[Value, ...]] = {}


class RuleSpec(Frozen):
    """Wherever every field in `when` has one of its values, every field in `then` does too."""

    when: dict[str, tuple[Value, ...]] = Field(min_length=1)
    then: dict[str, tuple[Value, ...]] = Field(min_length=1)


class BudgetSpec(Frozen):
    """When the study ends.

    Attributes:
        trials: Finished trials (complete, pruned or failed) asked for.
        wall_seconds: Wall time of one `sweep run`; running trials are then interrupted and the
            next run resumes them. A study file may write `30s`, `10m` or `2h`.
        epochs: Most epochs of a trial; overrides `fixed.epochs`.
    """

    trials: int = Field(default=20, ge=1)
    wall_seconds: float | None = Field(default=None, gt=0.0)
    epochs: int | None = Field(default=None, ge=1)


class SamplerSpec(Frozen):
    """How configurations are chosen.

    Attributes:
        name: The algorithm.
        startup_trials: Random trials before `tpe`, `gp` or `cmaes` use what they learned.
    """

    name: Literal["tpe", "random", "grid", "qmc", "gp", "cmaes"] = "tpe"
    startup_trials: int = Field(default=10, ge=1)


class PrunerSpec(Frozen):
    """How hopeless trials are ended early.

    Attributes:
        name: The algorithm.
        startup_trials: Finished trials before `median` prunes.
        min_epochs: Epochs that every trial may train.
        reduction_factor: Of `asha` and `hyperband`: one in so many trials goes on at each rung.
    """

    name: Literal["none", "median", "asha", "hyperband"] = "none"
    startup_trials: int = Field(default=5, ge=0)
    min_epochs: int = Field(default=1, ge=1)
    reduction_factor: int = Field(default=3, ge=2)


class ObjectiveSpec(Frozen):
    """A metric of the kept weights and the direction that is better."""

    metric: ObjectiveMetric = "val_accuracy"
    direction: Literal["maximize", "minimize"] = "maximize"


Dimension = ChoicesSpec | RangeSpec
StudyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class StudySpec(Frozen):
    """A whole study.

    Attributes:
        study: Name of the study in the database.
        description: A sentence for people who read the dashboard.
        data: What to train on.
        fixed: Settings of `TrialConfig` that every trial shares.
        search: Settings of `TrialConfig` that are searched.
        rules: What must hold in every trial.
        budget: When the study ends.
        sampler: How configurations are chosen.
        pruner: How hopeless trials are ended early.
        objectives: What is optimised; pruning needs exactly one.
        seed: Seed of the sampler and of every trial.
        engine: How trials train.
        keep_weights: Number of best trials whose weights are kept, at least 1.
    """

    study: StudyName
    description: str = ""
    data: DataSpec = DataSpec()
    fixed: dict[str, Value] = {}
    search: dict[str, Dimension] = {}
    rules: tuple[RuleSpec, ...] = ()
    budget: BudgetSpec = BudgetSpec()
    sampler: SamplerSpec = SamplerSpec()
    pruner: PrunerSpec = PrunerSpec()
    objectives: tuple[ObjectiveSpec, ...] = Field(default=(ObjectiveSpec(),), min_length=1)
    seed: int = Field(default=42, ge=0, le=2**31 - 1)
    engine: Literal["reference"] = "reference"
    keep_weights: int = Field(default=3, ge=1)
