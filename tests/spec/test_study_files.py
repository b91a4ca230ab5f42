"""Study files: shorthands, the errors people make, and writing them again."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from spec_strategies import studies

from sweep.errors import SpecError
from sweep.spec import dump_study, load_study, parse_study
from sweep.spec.model import BudgetSpec, ChoicesSpec, RangeSpec, StudySpec

STUDY = """\
study: test
search:
  activation: [relu, silu]
  optimizer: [sgd, adam]
  momentum: {low: 0, high: 0.9, when: {optimizer: sgd}}
  depth:
    low: 1
    high: 9
rules:
  - when: {activation: relu}
    then: {kernel_initializer: [he_normal, he_uniform]}
budget: {trials: 3, wall_seconds: 1.5m}
"""


def test_shorthands_are_written_out() -> None:
    spec = parse_study(STUDY)
    assert spec.search["activation"] == ChoicesSpec(choices=("relu", "swish"))
    momentum = spec.search["momentum"]
    assert momentum == RangeSpec(low=0.0, high=0.9, when={"optimizer": ("sgd",)})
    assert isinstance(momentum, RangeSpec)
    assert type(momentum.low) is float
    assert spec.rules[0].when == {"activation": ("relu",)}
    assert spec.budget.wall_seconds == 90.0


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30.0), ("10m", 600.0), ("2h", 7200.0), ("2.5 h", 9000.0)]
)
def test_durations(text: str, seconds: float) -> None:
    spec = parse_study(STUDY, overrides=[f"budget.wall_seconds={text}"])
    assert spec.budget.wall_seconds == seconds
    assert parse_study(dump_study(spec)) == spec


def test_what_ends_a_study_besides_its_trials() -> None:
    overrides = ["budget.target=0.55", "budget.gpu_hours=12"]
    budget = parse_study(STUDY, overrides=overrides).budget
    assert (budget.target, budget.gpu_hours, budget.wall_seconds) == (0.55, 12.0, 90.0)
    assert parse_study(dump_study(parse_study(STUDY, overrides=overrides))).budget == budget
    assert parse_study("study: a").budget == BudgetSpec(trials=20)
    assert BudgetSpec().target is BudgetSpec().gpu_hours is BudgetSpec().wall_seconds is None


def test_empty_sections_mean_the_defaults() -> None:
    spec = parse_study("study: a\ndata:\nsearch:\nrules:\nbudget: {wall_seconds: }\n")
    assert spec == StudySpec(study="a")


def test_objectives_take_their_natural_direction() -> None:
    spec = parse_study("study: a\nobjectives: [{metric: val_loss}, {metric: val_accuracy}]")
    assert [o.direction for o in spec.objectives] == ["minimize", "maximize"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spec=studies())
def test_what_is_written_reads_back_as_the_same_study(spec: StudySpec) -> None:
    assert parse_study(dump_study(spec)) == spec


ERRORS = {
    "reference on jax": (
        "study: a\nengine: reference\nbackend: jax",
        [],
        "file:3, backend",
        "set engine to fused, or leave backend out",
    ),
    "unknown engine": ("study: a\nengine: fuse", [], "file:2, engine", "did you mean `fused`?"),
    "no mapping": ("[1]", [], "file:1", "a mapping"),
    "no name": ("seed: 1", [], "file:1", "only seed"),
    "bad name": ("study: a b", [], "file:1, study", "letter or digit"),
    "unknown section": ("study: a\nserch: {}", [], "file:2, serch", "did you mean `search`?"),
    "unknown key": (
        "study: a\nbudget:\n  trails: 3",
        [],
        "file:3, budget.trails",
        "did you mean `trials`?",
    ),
    "unknown key of a range": (
        "study: a\nsearch:\n  l2:\n    low: 0\n    hihg: 1",
        [],
        "file:3, search.l2",
        "search.l2.high is missing",
    ),
    "unknown field": (
        "study: a\nfixed: {dropout_rat: 0.1}",
        [],
        "file:2, fixed.dropout_rat",
        "did you mean `dropout_rate`?",
    ),
    "unknown field in a rule": (
        "study: a\nrules:\n  - when: {actvation: relu}\n    then: {depth: 1}",
        [],
        "file:3, rules.0.when.actvation",
        "did you mean `activation`?",
    ),
    "wrong type": ("study: a\nseed: many", [], "file:2, seed", "a whole number"),
    "whole number": ("study: a\nbudget: {trials: 2.0}", [], "budget.trials", "received: 2.0"),
    "flag": ("study: a\nfixed: {flip: yes}", [], "file:2, fixed.flip", "`true` and `false`"),
    "flag for number": ("study: a\nfixed: {depth: true}", [], "fixed.depth", "a whole number"),
    "null": ("study: a\nfixed:\n  depth:", [], "file:3, fixed.depth", "received: nothing"),
    "below": ("study: a\nbudget: {trials: 0}", [], "file:2, budget.trials", "at least 1"),
    "share": ("study: a\ndata: {validation: {share: 1}}", [], "data.validation.share", "below 1"),
    "choice of a setting": (
        "study: a\nsampler: {name: tpa}",
        [],
        "file:2, sampler.name",
        "did you mean `tpe`?",
    ),
    "choice of a field": (
        "study: a\nsearch:\n  optimizer:\n    - adam\n    - adm",
        [],
        "file:5, search.optimizer.choices.1",
        "did you mean `adam`?",
    ),
    "softmax": ("study: a\nfixed: {activation: softmax}", [], "file:2", "output layer"),
    "out of range": (
        "study: a\nsearch: {momentum: [0.9, 1.0]}",
        [],
        "search.momentum.choices.1",
        "0 to 0.99999",
    ),
    "empty range": ("study: a\nsearch: {l2: {low: 1, high: 1}}", [], "l2.high", "fixed.l2"),
    "reversed range": ("study: a\nsearch: {depth: {low: 3, high: 1}}", [], "depth.high", "above"),
    "no choices": ("study: a\nsearch: {activation: []}", [], "activation.choices", "at least 1"),
    "choice twice": (
        "study: a\nsearch: {activation: [silu, swish]}",
        [],
        "activation.choices.1",
        "every choice once",
    ),
    "single value": ("study: a\nsearch: {depth: 3}", [], "search.depth", "fixed.depth"),
    "log of zero": (
        "study: a\nsearch: {l2: {low: 0, high: 1, log: true}}",
        [],
        "search.l2.low",
        "above 0",
    ),
    "log and step": (
        "study: a\nsearch: {l2: {low: 1, high: 2, log: true, step: 1}}",
        [],
        "search.l2.step",
        "no step",
    ),
    "long step": ("study: a\nsearch: {depth: {low: 1, high: 3, step: 4}}", [], "step", "at most"),
    "broken step": (
        "study: a\nsearch: {depth: {low: 1, high: 3, step: 0.5}}",
        [],
        "search.depth.step",
        "a whole number",
    ),
    "inexact step": (
        "study: a\nsearch: {l2: {low: 0.05, high: 0.15, step: 0.09999999999999999}}",
        [],
        "search.l2.step",
        "so few digits",
    ),
    "range of words": (
        "study: a\nsearch: {activation: {low: 1, high: 2}}",
        [],
        "search.activation",
        "a list of choices",
    ),
    "text in a range": ("study: a\nsearch: {l2: {low: a, high: 2}}", [], "l2.low", "a number"),
    "fixed and searched": (
        STUDY,
        ["fixed.momentum=0.5"],
        "file:5, search.momentum",
        "--set search.momentum=null",
    ),
    "epochs twice": (
        "study: a\nsearch: {epochs: [1, 2]}\nbudget: {epochs: 3}",
        [],
        "file:3, budget.epochs",
        "search.epochs",
    ),
    "too many epochs": ("study: a\nbudget: {epochs: 100001}", [], "budget.epochs", "100000"),
    "no GPU hours": (STUDY, ["budget.gpu_hours=0"], "budget.gpu_hours", "above 0"),
    "GPU hours as a duration": (STUDY, ["budget.gpu_hours=2h"], "budget.gpu_hours", "number"),
    "target without end": (STUDY, ["budget.target=.nan"], "budget.target", "a number"),
    "duration": (STUDY, ["budget.wall_seconds=1 day"], "budget.wall_seconds", "30s, 10m, 2h"),
    "objectives and sampler": (
        "study: a\nsampler: {name: cmaes}\nobjectives: [{metric: val_loss}, {metric: parameters}]",
        [],
        "file:2, sampler.name",
        "a single objective",
    ),
    "objectives and pruner": (
        "study: a\npruner: {name: asha}\nobjectives: [{metric: val_loss}, {metric: parameters}]",
        [],
        "file:2, pruner.name",
        "a single objective",
    ),
    "nothing to prune by": (
        "study: a\npruner: {name: asha}\nobjectives: [{metric: parameters}]",
        [],
        "file:2, pruner.name",
        "val_accuracy, val_loss",
    ),
    "objective twice": (
        "study: a\nobjectives: [{metric: val_loss}, {metric: val_loss}]",
        [],
        "objectives.1.metric",
        "every metric once",
    ),
    "no objective": ("study: a\nobjectives: []", [], "objectives", "at least 1"),
    "infinite grid": (
        "study: a\nsampler: {name: grid}\nsearch: {l2: {low: 0, high: 1}}",
        [],
        "file:3, search.l2",
        "finite",
    ),
    "data": ("study: a\ndata: {name: cifar-10}", [], "data.name", "did you mean `cifar10`?"),
    "fallback": (
        "study: a\ndata: {name: my.npz, fallback: synthetic}",
        [],
        "data.fallback",
        "cifar10 alone",
    ),
    "circle": (
        "study: a\nsearch:\n  l1: {choices: [0.1], when: {l2: 0.1}}\n"
        "  l2: {choices: [0.1], when: {l1: 0.1}}",
        [],
        "file:3, search.l1.when",
        "form a circle",
    ),
    "condition on itself": (
        "study: a\nsearch: {l1: {choices: [0.1], when: {l1: 0.1}}}",
        [],
        "search.l1.when",
        "form a circle",
    ),
    "condition that never holds": (
        "study: a\nsearch: {l1: {choices: [0.1], when: {momentum: 0.9, optimizer: adam}}}",
        [],
        "search.l1.when",
        "can never hold",
    ),
    "rules that exclude each other": (
        "study: a\nrules:\n  - {when: {activation: selu}, then: {dropout: none}}\n"
        "  - {when: {activation: selu}, then: {dropout: alpha_dropout}}",
        [],
        "file:3, rules.0.when",
        "can never hold",
    ),
    "rules that leave nothing": (
        "study: a\nsearch: {dropout: [dropout]}\nfixed: {activation: relu}\nrules:\n"
        "  - {when: {depth: 20}, then: {width: 100}}\n"
        "  - {when: {activation: relu}, then: {dropout: none}}",
        [],
        "file:6, rules.1",
        "a contradiction in rules.1",
    ),
    "empty condition": (
        "study: a\nrules: [{when: {}, then: {depth: 1}}]",
        [],
        "rules.0.when",
        "at least 1",
    ),
    "unknown override": (
        "study: a",
        ["bugdet.trials=3"],
        "--set bugdet.trials=3, bugdet",
        "budget",
    ),
    "wrong override": (
        "study: a",
        ["budget.trials=many"],
        "--set budget.trials=many, budget.trials",
        "a whole number",
    ),
}


@pytest.mark.parametrize(("text", "overrides", "where", "fragment"), ERRORS.values(), ids=ERRORS)
def test_errors_say_where_and_what_to_do(
    text: str, overrides: list[str], where: str, fragment: str
) -> None:
    with pytest.raises(SpecError) as error:
        parse_study(text, source="file", overrides=overrides)
    assert where in (error.value.where or "")
    assert (error.value.where or "").startswith(("file", "--set"))
    assert fragment in str(error.value)
    assert error.value.exit_code == 2


def test_narrowing_a_study_is_no_mistake() -> None:
    spec = parse_study(STUDY, overrides=["search.optimizer=[adam]", "search.activation=[elu]"])
    assert spec.search["momentum"].when == {"optimizer": ("sgd",)}


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b""])
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "study.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError) as error:
        load_study(path)
    assert str(path) in str(error.value)


def test_a_directory_and_a_byte_order_mark(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        load_study(tmp_path)
    path = tmp_path / "study.yaml"
    path.write_bytes(b"\xef\xbb\xbfstudy: a")
    assert load_study(path, ["seed=7"]) == StudySpec(study="a", seed=7)
