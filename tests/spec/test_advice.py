"""What `sweep check` warns of, and what it leaves alone."""

from pathlib import Path

import pytest

from sweep.spec import parse_study
from sweep.spec.advice import warnings


def advice(text: str) -> str:
    return "\n".join(warnings(parse_study("study: a\n" + text)))


GOOD = """\
fixed: {activation: relu, kernel_initializer: he_normal, scaling: feature}
search:
  learning_rate: {low: 1e-4, high: 1e-2, log: true}
"""


def test_a_sound_study_is_left_alone() -> None:
    assert advice(GOOD) == ""


CASES = {
    "momentum": (
        "fixed: {optimizer: sgd, learning_rate: 0.01}\nsearch: {momentum: [0.9, 0.999]}",
        "momentum can reach 0.999",
    ),
    "selu and dropout": ("search: {dropout: [none, dropout]}", "plain dropout"),
    "selu and he": ("fixed: {kernel_initializer: he_normal}", "other than lecun_normal"),
    "selu and batch norm": ("fixed: {batch_norm: after}", "batch normalisation"),
    "selu and raw input": ("fixed: {scaling: unit}", "standardised input"),
    "alpha dropout": (
        "fixed: {activation: relu, dropout: alpha_dropout}",
        "an activation other than selu",
    ),
    "constant": ("fixed: {kernel_initializer: constant}", "one unit wide"),
    "sigmoid": ("fixed: {activation: sigmoid}", "vanishes layer by layer"),
    "tanh": ("fixed: {activation: tanh, kernel_initializer: random_normal}", "saturates"),
    "he and tanh": ("fixed: {activation: tanh, kernel_initializer: he_normal}", "Glorot's suits"),
    "one cycle": ("fixed: {schedule: one_cycle, early_stopping: val_loss}", "the cycle needs all"),
    "last weights": (
        "fixed: {early_stopping: val_loss, restore_best_weights: false}",
        "without restore_best_weights",
    ),
    "asha": ("pruner: {name: asha, min_epochs: 6}\nbudget: {epochs: 6}", "never prunes"),
    "median": ("pruner: {name: median, min_epochs: 6}\nfixed: {epochs: 6}", "never prunes"),
    "cmaes choices": (
        "sampler: {name: cmaes}\nsearch: {depth: [1, 2]}",
        "draws choices at random",
    ),
    "cmaes branches": (
        "sampler: {name: cmaes}\nsearch: {optimizer: [sgd, adam], momentum: {low: 0, high: 0.9}}",
        "has branches",
    ),
    "large grid": (
        "sampler: {name: grid}\nsearch: {depth: [1, 2, 3]}\nbudget: {trials: 2}",
        "3 configurations, the budget 2",
    ),
    "small space": ("search: {depth: [1, 2]}\nbudget: {trials: 9}", "only 2 different"),
    "fixed without effect": ("fixed: {momentum: 0.9}", "fixed.momentum has no effect"),
    "never searched": ("search: {momentum: [0.1, 0.9]}", "search.momentum is never searched"),
    "condition that fails here": (
        "search: {l2: {choices: [0.1, 0.2], when: {optimizer: sgd}}}",
        "search.l2 is never searched",
    ),
    "forbidden choice": (
        "fixed: {batch_norm: before}\nsearch: {activation: [relu, selu]}\n"
        "rules: [{when: {activation: selu}, then: {batch_norm: none}}]",
        "selu never occurs; rules forbid it",
    ),
    "idle rule": (
        "rules: [{when: {activation: relu}, then: {depth: 3}}]",
        "rules.0 never applies",
    ),
    "direction": (
        "objectives: [{metric: val_loss, direction: maximize}]",
        "is to maximize val_loss",
    ),
    "no data": ("data: {name: nowhere/at_all.npz}", "is not there"),
}


@pytest.mark.parametrize(("text", "fragment"), CASES.values(), ids=CASES)
def test_unwise_studies(text: str, fragment: str) -> None:
    assert fragment in advice(text)


def test_rules_that_keep_things_apart_silence_the_warning() -> None:
    text = """\
fixed: {scaling: feature}
search:
  activation: [relu, selu]
  dropout: [none, dropout]
rules:
  - {when: {activation: selu}, then: {dropout: none}}
"""
    assert "plain dropout" not in advice(text)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.spec.advice.find_spec", lambda name: None)
    text = "sampler: {name: cmaes}\nsearch: {l2: {low: 0, high: 1}}"
    assert "cmaes needs cmaes, which is not installed" in advice(text)


def test_a_missing_backend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    text = GOOD + "engine: fused\nbackend: jax"
    assert "backend" not in advice(text)
    monkeypatch.setattr("sweep.spec.advice.find_spec", lambda name: None)
    assert "the backend jax is not installed: pip install 'sweep[jax]'" in advice(text)


def test_data_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    path.touch()
    assert "is not there" not in advice(f"data: {{name: {path}}}")
