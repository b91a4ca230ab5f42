"""Config files of single trials."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import SpecError
from sweep.spec.config_file import (
    TrialFile,
    dump_trial_file,
    load_trial_file,
    parse_trial_file,
    trial_file_dict,
)
from sweep.spec.model import DataSpec, ValidationSpec
from sweep.trial import FIELDS, TrialConfig

EXAMPLE = TrialFile(
    config=TrialConfig(activation="relu", optimizer="sgd", momentum=0.9, epochs=3),
    seed=7,
    data=DataSpec(name="synthetic", validation=ValidationSpec(take="first", images=50)),
    study="deep",
    trial=3,
    engine="fused",
    backend="jax",
    expected={"engine": "fused", "val_accuracy": [0.1, 0.25]},
)


def test_a_file_is_read_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_text(dump_trial_file(EXAMPLE))
    assert load_trial_file(path) == EXAMPLE


configs = st.builds(
    TrialConfig,
    **{
        name: st.sampled_from(info.choices)
        if info.choices is not None
        else st.booleans()
        if info.type is bool
        else st.integers(int(info.low or 0), int(info.high or 0))
        if info.type is int
        else st.floats(info.low, info.high)
        for name, info in FIELDS.items()
    },
)


@given(config=configs, seed=st.integers(0, 2**31 - 1))
def test_every_config_survives(config: TrialConfig, seed: int) -> None:
    trial_file = TrialFile(config=config.canonical(), seed=seed, data=DataSpec())
    assert parse_trial_file(dump_trial_file(trial_file)) == trial_file


def test_only_settings_with_an_effect_are_written() -> None:
    written = trial_file_dict(EXAMPLE)["config"]
    assert written["momentum"] == 0.9
    assert "dropout_rate" not in written
    assert set(written) == {name for name in FIELDS if EXAMPLE.config.is_active(name)}


def test_figures_that_are_not_finite_become_null() -> None:
    trial_file = TrialFile(
        config=TrialConfig(),
        seed=0,
        data=DataSpec(),
        expected={"val_loss": [2.3, math.inf, math.nan]},
    )
    assert trial_file_dict(trial_file)["expected"] == {"val_loss": [2.3, None, None]}
    assert parse_trial_file(dump_trial_file(trial_file)).expected == {
        "val_loss": [2.3, None, None]
    }


def test_a_config_by_hand_needs_little_and_takes_overrides() -> None:
    trial_file = parse_trial_file(
        "config: {activation: silu}", overrides=["config.epochs=5", "data.name=synthetic"]
    )
    assert trial_file.config == TrialConfig(activation="swish", epochs=5)
    assert trial_file.data == DataSpec(name="synthetic")
    assert (trial_file.seed, trial_file.study, trial_file.expected) == (42, None, None)


def test_files_from_before_there_was_a_choice_mean_the_reference_engine() -> None:
    trial_file = parse_trial_file("config: {depth: 1}\nexpected: {engine: reference}")
    assert (trial_file.engine, trial_file.backend) == ("reference", "tensorflow")


@pytest.mark.parametrize(
    ("text", "where", "fragment"),
    [
        ("[1]", "file:1", "`sweep export` writes one"),
        ("seed: 1", "file:1", "config is missing"),
        ("config: {}", "file:1, config", "at least 1"),
        ("config:\n  activaton: relu", "file:2, config.activaton", "did you mean `activation`?"),
        ("config:\n  momentum: 2", "file:2, config.momentum", "0 to 0.99999"),
        ("config: {depth: 1}\nsede: 1", "file:2, sede", "did you mean `seed`?"),
        ("config: {depth: 1}\ndata: {nam: a}", "file:2, data.nam", "did you mean `name`?"),
        ("config: {depth: 1}\ndata: {name: mnist}", "file:2, data.name", "cifar10"),
        ("study: a\nsearch: {}", "file:1", "config is missing"),
        ("config: {depth: 1}\nengine: magic", "file:2, engine", "one of fused, reference"),
        ("config: {depth: 1}\nbackend: jax", "file:2, backend", "on tensorflow alone"),
    ],
)
def test_errors(text: str, where: str, fragment: str) -> None:
    with pytest.raises(SpecError) as error:
        parse_trial_file(text, source="file")
    assert (error.value.where or "").startswith(where)
    assert fragment in str(error.value)
