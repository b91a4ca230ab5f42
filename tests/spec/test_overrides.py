"""`--set path=value`."""

from typing import Any

import pytest

from sweep.errors import SpecError
from sweep.spec.document import parse_document
from sweep.spec.overrides import apply_overrides

TEXT = """\
study: a
budget: {trials: 5}
search:
  momentum: [0.1, 0.9]
objectives:
  - metric: val_loss
"""


def changed(*overrides: str) -> Any:
    return apply_overrides(parse_document(TEXT, "file"), overrides).value


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("budget.trials=20", ("budget", "trials"), 20),
        ("budget.trials= 20", ("budget", "trials"), 20),
        ("budget.wall_seconds=10m", ("budget", "wall_seconds"), "10m"),
        ("search.momentum=[0.5]", ("search", "momentum"), (0.5,)),
        ("search.momentum.1=1e-3", ("search", "momentum", 1), 1e-3),
        ("search.momentum.2=0.99", ("search", "momentum"), (0.1, 0.9, 0.99)),
        ("search.depth.low=3", ("search", "depth"), {"low": 3}),
        ("fixed.epochs=3", ("fixed",), {"epochs": 3}),
        ("rules.0.when={a: b}", ("rules",), ({"when": {"a": "b"}},)),
        ("objectives.0.metric=val_accuracy", ("objectives", 0), {"metric": "val_accuracy"}),
        ("description=a=b", ("description",), "a=b"),
        ("description=", ("description",), ""),
    ],
)
def test_a_value_is_replaced_or_added(override: str, path: tuple[Any, ...], value: Any) -> None:
    found = changed(override)
    for key in path:
        found = found[key]
    assert found == value


def test_null_removes_what_is_there() -> None:
    assert changed("search.momentum=null")["search"] == {}
    assert changed("objectives.0=null")["objectives"] == ()


def test_the_last_one_wins_and_the_rest_of_the_file_stays() -> None:
    value = changed("budget.trials=6", "budget.trials=7")
    assert value == {**parse_document(TEXT, "file").value, "budget": {"trials": 7}}


def test_errors_name_the_override() -> None:
    document = apply_overrides(parse_document(TEXT, "file"), ["bugdet.trials=3", "seed=1"])
    assert document.where(("bugdet",)) == "--set bugdet.trials=3, bugdet"
    assert document.where(("seed",)) == "--set seed=1, seed"
    assert document.where(("study",)) == "file:1, study"


@pytest.mark.parametrize(
    ("override", "fragment"),
    [
        ("budget.trials", "a.b.c=value"),
        ("=3", "a.b.c=value"),
        ("a..b=3", "a.b.c=value"),
        ("study.name=3", "a value with keys at study"),
        ("search.momentum.low=3", "an index from 0 to 2"),
        ("objectives.5.metric=val_loss", "an index from 0 to 1"),
        ("seed=[1", "correct end"),
    ],
)
def test_paths_that_lead_nowhere(override: str, fragment: str) -> None:
    with pytest.raises(SpecError) as error:
        changed(override)
    assert fragment in str(error.value)
    assert (error.value.where or "").startswith(f"--set {override}")
