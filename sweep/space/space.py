"""StudySpec -> Optuna's parameters, and parameters -> `TrialConfig`."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweep.errors import ConfigError
from sweep.space.describe import SpaceRow, describe
from sweep.space.parameter import Parameter, parameter
from sweep.spec.branches import Atom, Branches, Mark
from sweep.spec.model import StudySpec
from sweep.spec.study_file import check_study
from sweep.spec.tree import study_branches
from sweep.trial import FIELDS, TrialConfig, Value

Choose = Callable[[Parameter], Value]


class SearchSpace:
    """The configurations of a study, sampled one field after the other.

    Conditions and rules are never met by trying again: each field is offered only the values with
    which the rest can be completed. A parameter has the field's name where the whole range of the
    study file is open, otherwise the name says what is left, as in `dropout[none, dropout]`; so
    Optuna sees one distribution for each name. Fields without a choice, without an effect, or
    whose `when` does not hold are no parameters of the trial.
    """

    def __init__(self, branches: Branches) -> None:
        """Take the tree of a study that was checked; `from_spec` makes both."""
        self.branches = branches

    @classmethod
    def from_spec(cls, spec: StudySpec) -> "SearchSpace":
        """The space of a study.

        Raises:
            SpecError: The study makes no sense.
        """
        return cls(study_branches(check_study(spec)))

    def suggest(self, trial: optuna.trial.BaseTrial) -> TrialConfig:
        """Sample a configuration, canonical and true to every condition and rule."""
        return self._walk(lambda wanted: _suggest(trial, wanted))

    def config(self, params: Mapping[str, Any]) -> TrialConfig:
        """The configuration that `suggest` returned for a trial with these parameters.

        Raises:
            ConfigError: A parameter is missing, unknown or outside its distribution.
        """
        used: set[str] = set()

        def choose(wanted: Parameter) -> Value:
            if wanted.name not in params:
                raise ConfigError(
                    "the parameters are not of this study",
                    expected=f"a value for {wanted.name}",
                    received=", ".join(params) or "no parameters",
                )
            used.add(wanted.name)
            return _checked(wanted, params[wanted.name])

        config = self._walk(choose)
        if unknown := sorted(set(params) - used):
            raise ConfigError(
                "the parameters are not of this study",
                expected=", ".join(sorted(used)) or "no parameters",
                received="also " + ", ".join(unknown),
            )
        return config

    def enumerate(self) -> Iterator[dict[str, Value]]:
        """Parameters of every configuration of a finite space, for `Study.enqueue_trial`.

        Raises:
            ConfigError: The space is infinite.
        """
        if self.combinations() is None:
            raise ConfigError(
                "a grid needs a finite search space",
                expected="choices, or low and high with a step",
                received="a continuous range",
            )
        yield from self._enumerate(0, {}, {})

    def combinations(self) -> int | None:
        """The number of different configurations, or None for infinitely many."""
        return self.branches.combinations()

    def describe(self) -> list[SpaceRow]:
        """One row for every field, in the order in which they are chosen."""
        names: defaultdict[str, list[str]] = defaultdict(list)
        for index, prefix, atoms in self.branches.reachable():
            wanted = self._parameter(index, prefix, atoms)
            field = self.branches.domains[index].name
            if isinstance(wanted, Parameter) and wanted.name not in names[field]:
                names[field].append(wanted.name)
        return describe(self.branches, names)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Every parameter that some trial has, with its one distribution."""
        found: dict[str, BaseDistribution] = {}
        for index, prefix, atoms in self.branches.reachable():
            wanted = self._parameter(index, prefix, atoms)
            if isinstance(wanted, Parameter):
                found[wanted.name] = wanted.distribution
        return found

    def _walk(self, choose: Choose) -> TrialConfig:
        prefix: dict[str, Atom] = {}
        values: dict[str, Any] = {}
        for index, domain in enumerate(self.branches.domains):
            atoms = self.branches.choices(index, prefix)
            wanted = self._parameter(index, prefix, atoms)
            value: Value | None = (
                wanted.final(choose(wanted)) if isinstance(wanted, Parameter) else wanted
            )
            if value is not None:
                values[domain.name] = value
            prefix[domain.name] = _atom(value, atoms)
        return TrialConfig(**values).canonical()

    def _enumerate(
        self, index: int, prefix: Mapping[str, Atom], params: dict[str, Value]
    ) -> Iterator[dict[str, Value]]:
        if index == len(self.branches.domains):
            yield params
            return
        name = self.branches.domains[index].name
        atoms = self.branches.choices(index, prefix)
        wanted = self._parameter(index, prefix, atoms)
        if isinstance(wanted, Parameter):
            for value in wanted.values():
                chosen = {**params, wanted.name: value}
                yield from self._enumerate(
                    index + 1, {**prefix, name: _atom(value, atoms)}, chosen
                )
        else:
            yield from self._enumerate(index + 1, {**prefix, name: _atom(wanted, atoms)}, params)

    def _parameter(
        self, index: int, prefix: Mapping[str, Atom], atoms: Sequence[Atom]
    ) -> Parameter | Value | None:
        """What to sample; a value where there is no choice, None where there is no effect."""
        domain = self.branches.domains[index]
        if tuple(atoms) == (Mark.INACTIVE,):
            return None
        if self.branches.is_searched(index, prefix):
            return parameter(domain, atoms, FIELDS[domain.name].type is int)
        return domain.values(atoms)[0]


def _atom(value: Value | None, atoms: Sequence[Atom]) -> Atom:
    if value is None:
        return Mark.INACTIVE
    return value if value in atoms else Mark.OTHER


def _suggest(trial: optuna.trial.BaseTrial, wanted: Parameter) -> Value:
    name, distribution = wanted.name, wanted.distribution
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    return cast(Value, trial.suggest_categorical(name, wanted.choices))


def _checked(wanted: Parameter, value: Any) -> Value:
    distribution = wanted.distribution
    if isinstance(distribution, CategoricalDistribution):
        fits = any(value == choice and type(value) is type(choice) for choice in wanted.choices)
    else:
        fits = (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and distribution._contains(distribution.to_internal_repr(value))
        )
    if not fits:
        raise ConfigError(
            f"{wanted.name} has a value outside its distribution",
            expected=str(distribution),
            received=repr(value),
        )
    checked: Value = value
    return checked
