"""The studies that come with `sweep`."""

import re
from pathlib import Path
from typing import Any

import pytest

from sweep.spec import dump_study, load_study, parse_study, template
from sweep.spec.model import DataSpec, StudySpec, ValidationSpec
from sweep.trial import FIELDS, TrialConfig

ROOT = Path(__file__).parents[2] / "studies"
SHIPPED = sorted(ROOT.glob("**/*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_they_load(path: Path) -> None:
    spec = load_study(path)
    assert parse_study(dump_study(spec)) == spec
    assert spec.description


def test_their_names_differ() -> None:
    names = [load_study(path).study for path in SHIPPED]
    assert len(set(names)) == len(names) == 8


def only_config(spec: StudySpec) -> TrialConfig:
    assert not spec.search
    assert spec.budget.trials == 1
    fixed: dict[str, Any] = dict(spec.fixed)
    return TrialConfig(**fixed)


def test_the_baseline_is_the_notebook() -> None:
    spec = load_study(ROOT / "baseline.yaml")
    assert spec.data == DataSpec(validation=ValidationSpec(take="last", share=0.2))
    assert only_config(spec) == TrialConfig(
        depth=20,
        width=100,
        activation="selu",
        kernel_initializer="lecun_normal",
        optimizer="adam",
        learning_rate=0.001,
        batch_size=64,
        scaling="unit",
        epochs=50,
        early_stopping="val_loss",
        patience=5,
        restore_best_weights=True,
    )


NADAM: dict[str, Any] = {
    "depth": 20,
    "width": 100,
    "optimizer": "nadam",
    "batch_size": 32,
    "epochs": 100,
    "early_stopping": "val_loss",
    "patience": 20,
}
SWISH = {**NADAM, "activation": "swish", "kernel_initializer": "he_normal", "learning_rate": 5e-5}
SELU = {
    **NADAM,
    "activation": "selu",
    "kernel_initializer": "lecun_normal",
    "scaling": "feature",
    "learning_rate": 7e-4,
}
ALPHA = {
    **SELU,
    "dropout": "alpha_dropout",
    "dropout_rate": 0.1,
    "dropout_position": "last",
    "learning_rate": 5e-4,
}
CYCLE = {
    **ALPHA,
    "optimizer": "sgd",
    "learning_rate": 0.05,
    "schedule": "one_cycle",
    "batch_size": 128,
    "epochs": 15,
    "early_stopping": "none",
}
PUBLISHED = {
    "1_swish": SWISH,
    "2_batch_norm": {**SWISH, "batch_norm": "before", "learning_rate": 5e-4},
    "3_selu": SELU,
    "4_alpha_dropout": ALPHA,
    "5_one_cycle": CYCLE,
}


@pytest.mark.parametrize(("name", "settings"), PUBLISHED.items(), ids=PUBLISHED)
def test_the_published_networks(name: str, settings: dict[str, Any]) -> None:
    spec = load_study(ROOT / "published" / f"{name}.yaml")
    assert spec.data.validation == ValidationSpec(take="first", images=5000)
    assert only_config(spec).canonical() == TrialConfig(**settings).canonical()


def test_the_quick_start_runs_anywhere() -> None:
    spec = load_study(ROOT / "quickstart.yaml")
    assert spec.data.fallback == "synthetic"
    assert spec.budget.trials == 12


def test_the_full_space_is_of_the_reference_network() -> None:
    spec = load_study(ROOT / "deep_cifar10.yaml", ["budget.trials=24", "budget.epochs=5"])
    assert (spec.fixed["depth"], spec.fixed["width"]) == (20, 100)
    assert (spec.budget.trials, spec.budget.epochs) == (24, 5)
    named = {*spec.fixed, *spec.search, *(name for rule in spec.rules for name in rule.then)}
    assert set(FIELDS) - named == {"epochs"}


def test_every_section_appears_in_the_template() -> None:
    def keys(model: Any) -> set[str]:
        found = set(model)
        for value in model.values():
            if isinstance(value, dict):
                found |= keys(value)
        return found

    whole = StudySpec(study="a").model_dump()
    for free in ("fixed", "search"):
        whole[free] = {}
    for name in keys(whole) | set(whole["objectives"][0]):
        assert re.search(rf"\b{name}\b", template()), name
    assert parse_study(template()).study == "my_study"


def test_every_setting_is_explained_in_a_comment() -> None:
    lines = [line for path in SHIPPED for line in path.read_text().splitlines()]
    for name in FIELDS:
        assert any(re.match(rf" *{name}:.*# \w", line) for line in lines), name
