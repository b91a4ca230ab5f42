"""Whatever is written in a study file, the answer is a study or an error for people."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.errors import ConfigError, SpecError
from sweep.spec import dump_study, load_study, parse_study, template
from sweep.spec.config_file import dump_trial_file, parse_trial_file
from sweep.trial import FIELDS

ROOT = Path(__file__).parents[2]
SHIPPED = [path.read_text() for path in sorted(ROOT.glob("studies/**/*.yaml"))] + [template()]
CONFIG = """\
study: a
trial: 3
config: {activation: relu, optimizer: sgd, momentum: 0.9}
seed: 1
data: {name: synthetic}
expected: {val_accuracy: [0.1, null, 0.3], engine: reference}
"""
WORDS = sorted(
    {word.strip(",:[]{}-") for text in SHIPPED for word in text.split()}
    | {*FIELDS, "1e999", "-1", "0", "1.5", "null", "~", "true", "yes", "''", "&a", "*a", "!!x"}
    | {
        "<<",
        "99999999999999999999",
        "[]",
        "{}",
        "?",
        "|",
        ">",
        "%YAML",
        "---",
        "\t",
        "\0",
        "\ud800",
    }
)
PATHS = ["study", "data", "name", "fixed", "search", "rules", "when", "then", "budget", "trials"]

fuzz = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def survives(text: str, overrides: list[str] | None = None) -> None:
    """Either an error made for people, or a study that can be written and read again."""
    with suppress(SpecError, ConfigError):
        spec = parse_study(text, overrides=overrides or [])
        assert parse_study(dump_study(spec)) == spec


@st.composite
def mutations(draw: st.DrawFn, texts: list[str]) -> str:
    """A text with a few of its lines or words dropped, repeated, moved or replaced."""
    lines = draw(st.sampled_from(texts)).splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        line, word = lines[at], draw(st.sampled_from(WORDS))
        words = line.split(" ")
        which = draw(st.integers(0, len(words) - 1))
        lines[at] = draw(
            st.sampled_from(
                [
                    "",
                    f"{line}\n{line}",
                    f"  {line}",
                    line.strip(),
                    line + word,
                    " ".join([*words[:which], word, *words[which + 1 :]]),
                    " ".join([*words[:which], *words[which + 1 :]]),
                    line.replace(":", "", 1),
                    line.replace("[", "{", 1),
                    line.replace("]", "", 1),
                ]
            )
        )
    return "\n".join(lines)


@fuzz
@given(text=mutations(SHIPPED))
def test_damaged_studies(text: str) -> None:
    survives(text)


@fuzz
@given(text=st.text() | st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join))
def test_any_text(text: str) -> None:
    survives(text)
    survives("study: a\nsearch: " + text)
    survives("study: a", [text, f"search={text}", f"fixed.depth={text}"])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*PATHS, *FIELDS, "choices", "low", "high", "step"]), inner
        )
    ),
    max_leaves=8,
)


@fuzz
@given(
    text=st.sampled_from(SHIPPED),
    overrides=st.lists(
        st.tuples(
            st.lists(
                st.sampled_from([*PATHS, *FIELDS, "0", "1", "9", ""]), min_size=1, max_size=4
            ),
            values,
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_any_override(text: str, overrides: list[tuple[list[str], object]]) -> None:
    survives(text, [f"{'.'.join(path)}={value}" for path, value in overrides])


@fuzz
@given(content=st.binary())
def test_any_bytes(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(content)
    with suppress(SpecError):
        load_study(path)


@fuzz
@given(text=mutations([CONFIG]) | st.text().map(lambda text: "config: " + text))
def test_damaged_configs(text: str) -> None:
    with suppress(SpecError, ConfigError):
        trial_file = parse_trial_file(text)
        assert parse_trial_file(dump_trial_file(trial_file)) == trial_file


@pytest.mark.parametrize("depth", [20, 30, 300, 30_000])
@pytest.mark.parametrize("unit", ["[", "{a: ", "- ", "? ", "&a [*a, ", "!x "])
def test_deep_nesting(unit: str, depth: int) -> None:
    survives(unit * depth)
    survives("study: a\nsearch: " + unit * depth)
