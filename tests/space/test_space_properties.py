"""Whatever the study: every sample satisfies it, and nothing that satisfies it is left out."""

import itertools
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, assume, given, settings
from spec_strategies import studies

from sweep.space import SearchSpace
from sweep.spec.fields import grid_size, grid_value
from sweep.spec.model import ChoicesSpec, StudySpec
from sweep.trial import FIELDS, TrialConfig

thorough = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def meets(config: TrialConfig, conditions: dict[str, Any]) -> bool:
    return all(
        config.is_active(name) and getattr(config, name) in values
        for name, values in conditions.items()
    )


def satisfies_rules(config: TrialConfig, spec: StudySpec) -> bool:
    return all(
        not meets(config, rule.when)
        or all(
            not config.is_active(name) or getattr(config, name) in values
            for name, values in rule.then.items()
        )
        for rule in spec.rules
    )


def assert_in_space(config: TrialConfig, spec: StudySpec) -> None:
    assert config == config.canonical()
    assert satisfies_rules(config, spec)
    for name, info in FIELDS.items():
        value = getattr(config, name)
        if not config.is_active(name):
            continue
        if name in spec.fixed:
            assert value == spec.fixed[name]
        elif name in spec.search:
            dimension = spec.search[name]
            if not meets(config, dimension.when):
                assert value == info.default
            elif isinstance(dimension, ChoicesSpec):
                assert value in dimension.choices
            else:
                assert dimension.low <= value <= dimension.high
                assert type(value) is info.type
        else:
            allowed = {v for rule in spec.rules for v in rule.then.get(name, ())}
            assert value in {info.default, *allowed}


@thorough
@given(spec=studies())
def test_every_sample_is_in_the_space_and_comes_back_from_its_parameters(spec: StudySpec) -> None:
    space = SearchSpace.from_spec(spec)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=spec.seed))
    distributions = space.distributions()
    for _ in range(8):
        trial = study.ask()
        config = space.suggest(trial)
        assert_in_space(config, spec)
        assert space.config(trial.params) == config
        assert space.suggest(optuna.trial.FixedTrial(trial.params)) == config
        assert trial.distributions.items() <= distributions.items()
        study.tell(trial, 0.0)


def values(spec: StudySpec, name: str) -> list[Any]:
    dimension = spec.search[name]
    if isinstance(dimension, ChoicesSpec):
        return list(dimension.choices)
    size = grid_size(dimension, whole=FIELDS[name].type is int)
    return [grid_value(dimension, index) for index in range(size or 0)]


def brute_force(spec: StudySpec) -> set[str]:
    """Every configuration: all products of all values, the impossible ones thrown away."""
    found = set()
    names = list(spec.search)
    for chosen in itertools.product(*(values(spec, name) for name in names)):
        config: Any = dict(spec.fixed) | dict(zip(names, chosen, strict=True))
        for _ in names:  # a condition may fail because another one did
            trial = TrialConfig(**config)
            config = {
                name: FIELDS[name].default
                if name in spec.search and not meets(trial, spec.search[name].when)
                else value
                for name, value in config.items()
            }
        trial = TrialConfig(**config).canonical()
        if satisfies_rules(trial, spec):
            found.add(str(trial.to_dict()))
    return found


@thorough
@given(spec=studies(finite=True, most=4))
def test_a_finite_space_is_counted_and_listed_completely(spec: StudySpec) -> None:
    space = SearchSpace.from_spec(spec)
    size = 1
    for name in spec.search:
        size *= len(values(spec, name))
    assume(size <= 300)
    listed = [str(space.config(params).to_dict()) for params in space.enumerate()]
    assert len(listed) == space.combinations()
    assert len(listed) == len(set(listed))
    assert set(listed) == brute_force(spec)
