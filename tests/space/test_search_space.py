"""Parameters, their names, and configurations made from them."""

from typing import Any

import optuna
import pytest

from sweep.errors import ConfigError, SpecError
from sweep.space import SearchSpace, space_hash
from sweep.spec import parse_study
from sweep.spec.model import ChoicesSpec, StudySpec
from sweep.trial import TrialConfig

SELU = """\
study: a
search:
  activation: [relu, elu, selu]
  kernel_initializer: [he_normal, lecun_normal]
  dropout: [none, dropout, alpha_dropout]
  dropout_rate: {low: 0.1, high: 0.3, step: 0.1}
  batch_norm: [none, before]
rules:
  - when: {activation: selu}
    then: {kernel_initializer: lecun_normal, batch_norm: none, dropout: [none, alpha_dropout]}
  - when: {dropout: alpha_dropout}
    then: {activation: selu}
"""


def space(text: str, *overrides: str) -> SearchSpace:
    return SearchSpace.from_spec(parse_study(text, overrides=overrides))


def suggest(text: str, **params: Any) -> TrialConfig:
    return space(text).suggest(optuna.trial.FixedTrial(params))


def test_branches_have_names_of_their_own() -> None:
    assert set(space(SELU).distributions()) == {
        "activation",
        "kernel_initializer",
        "dropout[none, dropout]",
        "dropout[none, alpha_dropout]",
        "dropout_rate",
        "batch_norm",
    }


def test_what_is_implied_is_not_sampled() -> None:
    config = suggest(SELU, activation="selu", **{"dropout[none, alpha_dropout]": "none"})
    assert config == TrialConfig(activation="selu", kernel_initializer="lecun_normal")


def test_combinations_are_exact() -> None:
    # relu, elu: 2 initializers x 2 batch norms x (no dropout + 3 rates); selu: 1 + 3.
    assert space(SELU).combinations() == 2 * 2 * 2 * 4 + 4
    assert len(list(space(SELU).enumerate())) == 36


def test_rounding_of_steps_is_undone() -> None:
    rates = {
        space(SELU).config(params).dropout_rate
        for params in space(SELU).enumerate()
        if "dropout_rate" in params
    }
    assert rates == {0.1, 0.2, 0.3}
    fine = "study: a\nsearch: {l2: {low: 0.05, high: 0.2, step: 0.05}}"
    assert 0.05 + 0.05 + 0.05 != 0.15
    assert suggest(fine, l2=0.05 + 0.05 + 0.05).l2 == 0.15


CONTRAPOSITIVE = """\
study: a
fixed: {dropout: alpha_dropout}
search: {activation: [relu, selu, elu]}
rules: [{when: {dropout: alpha_dropout}, then: {activation: selu}}]
"""


def test_a_rule_works_backwards_on_what_is_chosen_earlier() -> None:
    assert space(CONTRAPOSITIVE).distributions() == {}
    assert suggest(CONTRAPOSITIVE).activation == "selu"


LADDER = """\
study: a
fixed: {scaling: channel}
search:
  activation: [relu, elu, tanh]
  batch_norm: [none, before]
  dropout: [none, dropout]
rules:
  - {when: {activation: relu}, then: {batch_norm: before}}
  - {when: {batch_norm: before}, then: {dropout: dropout}}
  - {when: {dropout: dropout}, then: {scaling: feature}}
"""


def test_a_choice_that_this_study_cannot_complete_is_not_offered() -> None:
    left = space(LADDER)
    assert "activation[elu, tanh]" in left.distributions()
    assert {left.config(params).activation for params in left.enumerate()} == {"elu", "tanh"}


def test_a_rule_against_its_own_condition_forbids_the_combination() -> None:
    text = """\
study: a
search: {activation: [relu, elu], batch_norm: [none, before]}
rules: [{when: {activation: relu, batch_norm: none}, then: {batch_norm: [before, after]}}]
"""
    assert space(text).combinations() == 3
    assert suggest(text, activation="relu").batch_norm == "before"


def test_rules_set_a_field_that_is_not_searched() -> None:
    text = """\
study: a
search: {activation: [relu, selu, tanh]}
rules:
  - {when: {activation: relu}, then: {kernel_initializer: [he_normal, he_uniform]}}
"""
    assert suggest(text, activation="relu").kernel_initializer == "he_normal"
    assert suggest(text, activation="tanh").kernel_initializer == "lecun_normal"
    assert space(text).combinations() == 3


def test_a_range_is_cut_down_to_the_values_that_a_rule_names() -> None:
    text = """\
study: a
search:
  optimizer: [sgd, adam]
  depth: {low: 1, high: 9}
rules:
  - {when: {optimizer: sgd}, then: {depth: [2, 4, 30]}}
  - {when: {optimizer: adam, depth: 9}, then: {width: 1}}
"""
    assert suggest(text, depth=2, optimizer="sgd").depth == 2
    assert "optimizer" in space(text).distributions()
    assert suggest(text, depth=3).optimizer == "adam"
    assert space(text).combinations() == 9 + 2


NUDGED = """\
study: a
search:
  activation: [relu, elu]
  l2: {low: 0.0, high: 1.0}
rules: [{when: {activation: relu, l2: 0.0}, then: {activation: elu}}]
"""


def test_a_forbidden_point_of_a_continuous_range_is_stepped_over() -> None:
    relu = suggest(NUDGED, activation="relu", l2=0.0)
    assert 0.0 < relu.l2 < 1e-300
    assert suggest(NUDGED, activation="elu", l2=0.0).l2 == 0.0
    assert space(NUDGED).config({"activation": "relu", "l2": 0.0}) == relu


def test_conditions_leave_a_field_at_its_default() -> None:
    text = """\
study: a
search:
  optimizer: [sgd, adam]
  l2: {choices: [0.1, 0.2], when: {optimizer: sgd}}
"""
    assert suggest(text, optimizer="adam").l2 == 0.0
    assert suggest(text, optimizer="sgd", l2=0.2).l2 == 0.2


def test_epochs_come_from_the_budget() -> None:
    config = suggest("study: a\nfixed: {epochs: 9}\nbudget: {epochs: 4}")
    assert config.epochs == 4


@pytest.mark.parametrize(
    ("params", "fragment"),
    [
        ({}, "a value for activation"),
        ({"activation": "tanh"}, "outside its distribution"),
        ({"activation": True}, "outside its distribution"),
        (
            {
                "activation": "relu",
                "kernel_initializer": "he_normal",
                "batch_norm": "none",
                "dropout[none, dropout]": "dropout",
                "dropout_rate": 0.9,
            },
            "outside its distribution",
        ),
        (
            {"activation": "selu", "dropout[none, alpha_dropout]": "none", "momentum": 0.9},
            "also momentum",
        ),
    ],
)
def test_foreign_parameters_are_refused(params: dict[str, Any], fragment: str) -> None:
    with pytest.raises(ConfigError) as error:
        space(SELU).config(params)
    assert fragment in str(error.value)


def test_an_infinite_space_cannot_be_listed() -> None:
    with pytest.raises(ConfigError, match="finite"):
        next(space("study: a\nsearch: {l2: {low: 0, high: 1}}").enumerate())
    assert space("study: a\nsearch: {l2: {low: 0, high: 1}}").combinations() is None


def test_a_study_made_in_python_is_checked_too() -> None:
    with pytest.raises(SpecError, match="no such choice"):
        SearchSpace.from_spec(
            StudySpec(study="a", search={"activation": ChoicesSpec(choices=("softmax",))})
        )


def test_names_stay_short() -> None:
    words = ", ".join(f"{n / 1000}" for n in range(40))
    text = f"""\
study: a
search: {{activation: [relu, elu], l2: [{words}, 0.9, 0.91]}}
rules:
  - {{when: {{activation: relu}}, then: {{l2: [{words}]}}}}
  - {{when: {{activation: elu}}, then: {{l2: [0.9, 0.91]}}}}
"""
    assert sorted(space(text).distributions()) == [
        "activation",
        "l2[0.9, 0.91]",
        "l2[without 0.9, 0.91]",
    ]
    narrow = space(text, f"search.l2=[{words}, 0.9, 0.91, {words.replace('0.0', '0.1')}]")
    assert all(len(name) <= 120 for name in narrow.distributions())


def test_rows_describe_every_field() -> None:
    rows = {row["name"]: row for row in space(SELU, "fixed.depth=3").describe()}
    assert set(rows) == set(TrialConfig().to_dict())
    assert rows["activation"]["values"] == "relu, elu, selu"
    assert rows["depth"]["source"] == "fixed"
    assert rows["dropout_rate"]["values"] == "0.1 to 0.3, step 0.1"
    assert rows["dropout_rate"]["when"] == "dropout = dropout or alpha_dropout"
    assert rows["dropout"]["parameters"] == [
        "dropout[none, alpha_dropout]",
        "dropout[none, dropout]",
    ]


@pytest.mark.parametrize(
    "override",
    [
        "search.activation=[relu, elu]",
        "rules.0.then.batch_norm=before",
        "fixed.depth=3",
        "objectives.0.metric=val_loss",
        "seed=1",
        "budget.epochs=3",
        "data.name=synthetic",
        "data.train_images=50",
    ],
)
def test_the_digest_changes_with_what_makes_trials_comparable(override: str) -> None:
    spec = parse_study(SELU)
    assert space_hash(parse_study(SELU, overrides=[override])) != space_hash(spec)


@pytest.mark.parametrize(
    "override",
    [
        "budget.trials=3",
        "budget.wall_seconds=3s",
        "description=other",
        "keep_weights=9",
        "sampler.name=random",
        "pruner.name=asha",
        "data.fallback=synthetic",
    ],
)
def test_the_digest_ignores_what_may_change_between_runs(override: str) -> None:
    spec = parse_study(SELU)
    assert space_hash(parse_study(SELU, overrides=[override])) == space_hash(spec)


def test_the_digest_tells_engines_and_backends_apart_and_knows_older_studies() -> None:
    text = "study: a\nsearch: {depth: [1, 2]}\nengine: "
    first, *others = (
        space_hash(parse_study(text + engine))
        for engine in ("reference", "fused", "fused\nbackend: jax")
    )
    assert first == "8ba31d9f528a02af", "what it was before there was a choice"
    assert len({first, *others}) == 3


def test_the_digest_is_the_same_however_epochs_are_written() -> None:
    one = parse_study("study: a\nfixed: {epochs: 5}")
    other = parse_study("study: a\nbudget: {epochs: 5}")
    assert space_hash(one) == space_hash(other)


def test_a_field_without_effect_satisfies_every_rule() -> None:
    text = """\
study: a
search:
  dropout: [none, dropout]
  dropout_rate: [0.1, 0.3]
  batch_norm: [none, before]
rules:
  - {when: {activation: selu}, then: {dropout_rate: 0.3}}
  - {when: {dropout_rate: 0.3}, then: {batch_norm: before}}
"""
    assert suggest(text, batch_norm="none") == TrialConfig()
    assert suggest(text, batch_norm="before", dropout="dropout").dropout_rate == 0.3
    assert space(text).combinations() == 3


def test_a_forbidden_value_of_a_long_range_moves_to_its_neighbour() -> None:
    text = """\
study: a
search: {depth: [1, 2], width: {low: 1, high: 1000}}
rules: [{when: {width: 5}, then: {depth: 1}}]
"""
    assert suggest(text, depth=1, width=5).width == 5
    assert suggest(text, depth=2, width=5).width == 6
    assert space(text).combinations() == 1000 + 999
    widths = [params["width"] for params in space(text).enumerate() if params["depth"] == 2]
    assert widths == [width for width in range(1, 1001) if width != 5]
