"""The JSON Schema agrees with the parser about what an editor can know."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from spec_strategies import studies

from sweep.spec import dump_study, json_schema, template
from sweep.spec.document import parse_document
from sweep.spec.model import StudySpec
from sweep.trial import FIELDS

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(ROOT.glob("studies/**/*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def plain(text: str) -> Any:
    return json.loads(json.dumps(parse_document(text, "file").value))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert json.loads(json.dumps(json_schema())) == json_schema()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_studies_validate(path: Path) -> None:
    VALIDATOR.validate(plain(path.read_text()))


def test_the_template_validates() -> None:
    VALIDATOR.validate(plain(template()))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spec=studies())
def test_written_studies_validate(spec: StudySpec) -> None:
    VALIDATOR.validate(plain(dump_study(spec)))


def test_every_field_is_described() -> None:
    schema = json_schema()
    for info in FIELDS.values():
        value = schema["$defs"][f"field-{info.name}"]
        assert value["description"] == info.description
        assert value["default"] == info.default
        for section in ("fixed", "search"):
            assert info.name in schema["properties"][section]["properties"]
    models = [d for name, d in schema["$defs"].items() if name.endswith("Spec")]
    for model in (schema, *models):
        for name, place in model["properties"].items():
            assert place.get("description"), name


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "study: a b",
        "study: a\nserch: {}",
        "study: a\nseed: many",
        "study: a\nfixed: {dropout_rat: 0.1}",
        "study: a\nfixed: {activation: softmax}",
        "study: a\nfixed: {momentum: 1.0}",
        "study: a\nfixed: {depth: 1.5}",
        "study: a\nfixed: {flip: yes}",
        "study: a\nsearch: {activation: []}",
        "study: a\nsearch: {activation: [relu, relu]}",
        "study: a\nsearch: {activation: {low: 1, high: 2}}",
        "study: a\nsearch: {l2: {low: 1}}",
        "study: a\nsearch: {l2: {low: 1, high: 2, stp: 1}}",
        "study: a\nsearch: {l2: 1}",
        "study: a\nsearch: {l2: {choices: [1], when: {optimizer: sdg}}}",
        "study: a\nrules: [{when: {}, then: {depth: 1}}]",
        "study: a\nrules: [{when: {depth: 1}}]",
        "study: a\nbudget: {wall_seconds: 1 day}",
        "study: a\nbudget: {trials: 0}",
        "study: a\nbudget: {gpu_hours: 0}",
        "study: a\nbudget: {gpu_hours: 2h}",
        "study: a\nbudget: {target: high}",
        "study: a\nsampler: {name: tpa}",
        "study: a\nobjectives: []",
        "study: a\ndata: {validation: {share: 1}}",
    ],
)
def test_typical_mistakes_are_marked(text: str) -> None:
    assert not VALIDATOR.is_valid(plain(text))


@pytest.mark.parametrize(
    "text",
    [
        "study: a\nbudget: {wall_seconds: 10m}",
        "study: a\nbudget: {wall_seconds: 90}",
        "study: a\nbudget: {gpu_hours: 0.5, target: -1}",
        "study: a\nbudget: {gpu_hours: , target: }",
        "study: a\nsearch: {activation: [silu]}",
        "study: a\nsearch: {l2: {choices: [0, 1], when: {optimizer: [sgd, adam], depth: 3}}}",
        "study: a\nsearch: {l2: {low: 1e-4, high: 1, log: true, when: {optimizer: sgd}}}",
        "study: a\nrules: [{when: {depth: 1}, then: {flip: [true, false]}}]",
    ],
)
def test_shorthands_are_accepted(text: str) -> None:
    VALIDATOR.validate(plain(text))
