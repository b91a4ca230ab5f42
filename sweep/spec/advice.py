"""What experience says about a study that is valid and yet unwise."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sweep.spec.branches import Branches, Test
from sweep.spec.document import shown
from sweep.spec.fields import conditions_text
from sweep.spec.model import ChoicesSpec, StudySpec
from sweep.spec.study_file import check_study
from sweep.spec.tree import forbids, most_epochs, study_branches, tests
from sweep.trial import Value

Advice = Callable[[StudySpec, Branches], Iterator[str]]

_PACKAGES: Final = {"gp": ("torch", "scipy"), "cmaes": ("cmaes",)}
_BACKENDS: Final = {"tensorflow": "pip install tensorflow", "jax": "pip install 'sweep[jax]'"}
_FEW_CHOICES: Final = 6


def warnings(spec: StudySpec) -> tuple[str, ...]:
    """Everything that is likely to be a mistake, one sentence or two for each.

    Raises:
        SpecError: The study makes no sense at all.
    """
    spec = check_study(spec)
    branches = study_branches(spec)
    return tuple(text for advise in _ADVICE for text in advise(spec, branches))


def missing_packages(sampler: str) -> list[str]:
    """Packages that a sampler needs and that are not installed."""
    return [package for package in _PACKAGES.get(sampler, ()) if find_spec(package) is None]


def missing_backend(backend: str) -> str | None:
    """The command that installs what Keras shall run on; None if it is there."""
    return _BACKENDS[backend] if find_spec(backend) is None else None


def at_least(bound: float) -> Test:
    """Whether a number is at least so large."""
    return lambda value: not isinstance(value, str) and value >= bound


def one_of(*wanted: Value) -> Test:
    """Whether a value is one of these."""
    return wanted.__contains__


def none_of(*unwanted: Value) -> Test:
    """Whether a value is none of these."""
    return lambda value: value not in unwanted


def _selu(spec: StudySpec, branches: Branches) -> Iterator[str]:
    selu = one_of("selu")
    if branches.possible(activation=selu, dropout=one_of("dropout")):
        yield (
            "selu occurs with plain dropout, which shifts mean and variance and so ends "
            "self-normalisation; alpha_dropout keeps both"
        )
    if branches.possible(activation=selu, kernel_initializer=none_of("lecun_normal")):
        yield (
            "selu occurs with an initializer other than lecun_normal; it normalises itself only "
            "from lecun_normal on"
        )
    if branches.possible(activation=selu, batch_norm=none_of("none")):
        yield "selu occurs with batch normalisation; each makes the other pointless"
    if branches.possible(activation=selu, scaling=one_of("unit")):
        yield (
            "selu occurs with pixels in [0, 1]; it expects a standardised input: scaling feature "
            "or channel"
        )
    if branches.possible(activation=none_of("selu"), dropout=one_of("alpha_dropout")):
        yield "alpha_dropout occurs with an activation other than selu, for which alone it is made"


def _signal(spec: StudySpec, branches: Branches) -> Iterator[str]:
    if branches.possible(kernel_initializer=one_of("constant")):
        yield (
            "the constant initializer makes all units of a layer equal, and training keeps them "
            "equal: without dropout the network learns as if it were one unit wide"
        )
    deep = {"depth": at_least(10), "batch_norm": one_of("none")}
    if branches.possible(activation=one_of("sigmoid"), **deep):
        yield (
            "sigmoid occurs in a deep network without batch normalisation; its slope is at most "
            "1/4, so the gradient vanishes layer by layer"
        )
    good = ("glorot_normal", "glorot_uniform", "lecun_normal", "lecun_uniform", "orthogonal")
    if branches.possible(activation=one_of("tanh"), kernel_initializer=none_of(*good), **deep):
        yield (
            "tanh occurs in a deep network with neither batch normalisation nor a Glorot, LeCun "
            "or orthogonal initializer; it saturates and the gradient vanishes"
        )
    he = one_of("he_normal", "he_uniform")
    if branches.possible(activation=one_of("tanh", "sigmoid"), kernel_initializer=he):
        yield (
            "He initialisation occurs with tanh or sigmoid; it makes up for the half that relu "
            "cuts away, Glorot's suits these"
        )


def _training(spec: StudySpec, branches: Branches) -> Iterator[str]:
    if branches.possible(momentum=at_least(0.999), learning_rate=at_least(0.01)):
        yield (
            "momentum can reach 0.999 together with a learning rate of 0.01 or more; the step "
            "grows to learning_rate / (1 - momentum), here 10 or more, and training diverges"
        )
    stops = none_of("none")
    if branches.possible(schedule=one_of("one_cycle"), early_stopping=stops):
        yield (
            "one_cycle occurs with early stopping; the cycle needs all of its epochs, and a trial "
            "that ends before them never reaches the low rates"
        )
    if branches.possible(early_stopping=stops, restore_best_weights=one_of(False)):
        yield (
            "early stopping occurs without restore_best_weights; the weights kept are then those "
            "of the last epoch, `patience` epochs past the best one"
        )


def _pruning(spec: StudySpec, branches: Branches) -> Iterator[str]:
    pruner, most = spec.pruner, most_epochs(spec)
    if pruner.name != "none" and most <= pruner.min_epochs:
        yield (
            f"the pruner {pruner.name} never prunes: it first compares trials after epoch "
            f"{pruner.min_epochs}, and they have at most {most}"
        )


def _sampling(spec: StudySpec, branches: Branches) -> Iterator[str]:
    name, trials, combinations = spec.sampler.name, spec.budget.trials, branches.combinations()
    if missing := missing_packages(name):
        yield f"the sampler {name} needs {' and '.join(missing)}, which is not installed"
    if name in _PACKAGES and any(len(forms) > 1 for forms in _forms(branches).values()):
        yield (
            f"the search space has branches; the sampler {name} learns only about what every "
            "trial has and draws the rest at random: tpe learns about all"
        )
    if name == "cmaes" and any(isinstance(d, ChoicesSpec) for d in spec.search.values()):
        yield "the sampler cmaes draws choices at random; it learns about ranges only"
    if name == "grid" and combinations is not None and combinations > trials:
        yield f"the grid has {combinations} configurations, the budget {trials} trials"
    elif combinations is not None and 1 < combinations < trials:
        yield (
            f"there are only {combinations} different configurations for {trials} trials; they "
            "will repeat, with other seeds"
        )


def _forms(branches: Branches) -> dict[str, set[tuple[object, ...]]]:
    """What is left of each searched field, in all the situations that occur."""
    forms: dict[str, set[tuple[object, ...]]] = {}
    for index, _, atoms in branches.reachable():
        if branches.domains[index].source == "searched":
            forms.setdefault(branches.domains[index].name, set()).add(atoms)
    return forms


def _idle(spec: StudySpec, branches: Branches) -> Iterator[str]:
    def anything(value: Value) -> bool:
        return True

    for name in spec.fixed:
        if not branches.possible(**{name: anything}):
            yield f"fixed.{name} has no effect in any configuration"
    for name, dimension in spec.search.items():
        if not branches.possible(**{name: anything}, **tests(dimension.when)):
            yield f"search.{name} is never searched: the field has no effect or its `when` fails"
        elif isinstance(dimension, ChoicesSpec):
            idle = [v for v in dimension.choices if not branches.possible(**{name: one_of(v)})]
            for value in idle[:_FEW_CHOICES]:
                yield f"search.{name}: {shown(value, quoted=False)} never occurs; rules forbid it"
    for index, rule in enumerate(spec.rules):
        if not forbids(rule) and not branches.possible(**tests(rule.when)):
            yield f"rules.{index} never applies: {conditions_text(rule.when)} does not occur"


def _odds(spec: StudySpec, branches: Branches) -> Iterator[str]:
    for objective in spec.objectives:
        natural = "maximize" if objective.metric == "val_accuracy" else "minimize"
        if objective.direction != natural:
            yield f"the objective is to {objective.direction} {objective.metric}"
    name = spec.data.name
    if name.endswith(".npz") and not Path(name).expanduser().is_file():
        yield f"the data file {shown(name)} is not there, seen from the working directory"
    if command := missing_backend(spec.backend):
        yield f"the backend {spec.backend} is not installed: {command}"


_ADVICE: Final[tuple[Advice, ...]] = (
    _selu,
    _signal,
    _training,
    _pruning,
    _sampling,
    _idle,
    _odds,
)
