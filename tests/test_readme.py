"""The README's tables are made from the code, and every command and field is in it.

`SWEEP_REGENERATE_GOLDEN=1 pytest tests/test_readme.py` writes them anew.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from sweep.cli.app import SECTIONS, Root
from sweep.space import SearchSpace
from sweep.spec import parse_study
from sweep.spec.model import (
    BudgetSpec,
    DataSpec,
    ObjectiveSpec,
    PrunerSpec,
    SamplerSpec,
    StudySpec,
    ValidationSpec,
)
from sweep.store import EXAMPLE_QUERIES, describe_schema
from sweep.trial import FIELDS, Condition, FieldInfo

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
NESTED: Mapping[str, type[BaseModel]] = {
    "data": DataSpec,
    "data.validation": ValidationSpec,
    "budget": BudgetSpec,
    "sampler": SamplerSpec,
    "pruner": PrunerSpec,
    "objectives": ObjectiveSpec,
}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def commands() -> str:
    root, context = Root(), click.Context(Root())
    rows = []
    for name in (name for names in SECTIONS.values() for name in names):
        command = root.get_command(context, name)
        assert command is not None
        rows.append([f"`sweep {name}`", command.get_short_help_str(limit=100)])
    return table(["command", "does"], rows)


def study_fields() -> str:
    return table(["field", "default", "meaning"], _study_rows("", StudySpec))


def _study_rows(prefix: str, model: type[BaseModel]) -> list[list[str]]:
    rows = []
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        if path in NESTED:
            inner = f"{path}.0." if path == "objectives" else f"{path}."
            rows += _study_rows(inner, NESTED[path])
        else:
            default = "needed" if field.is_required() else _default(field.default)
            rows.append([f"`{path}`", default, field.description or ""])
    return rows


def _default(value: object) -> str:
    if value is None or value == () or value == {} or value == "":
        return ""
    return f"`{value}`"


def settings() -> str:
    rows = [
        [f"`{f.name}`", _values(f), f"`{_text(f.default)}`", _meaning(f)] for f in FIELDS.values()
    ]
    return table(["setting", "values", "default", "meaning"], rows)


def _values(info: FieldInfo) -> str:
    if info.choices is not None:
        return ", ".join(info.choices)
    if info.low is not None and info.high is not None:
        return f"{info.low:g} to {info.high:g}"
    return "true, false"


def _meaning(info: FieldInfo) -> str:
    conditions = []
    if info.when:
        conditions.append("with " + _condition(info.when))
    if info.unless:
        conditions.append("not with " + _condition(info.unless))
    return info.description + (f" ({', '.join(conditions)})" if conditions else "")


def _condition(condition: Condition) -> str:
    return ", ".join(
        f"`{name}` {' or '.join(map(_text, values))}" for name, values in condition.items()
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def tables() -> str:
    schema = describe_schema()
    rows = []
    for name in dict.fromkeys(row["table"] for row in schema):
        mine = [row for row in schema if row["table"] == name]
        columns = ", ".join(f"`{row['column']}`" for row in mine if row["column"])
        rows.append([f"`{name}`", mine[0]["meaning"], columns])
    return table(["table", "holds", "columns"], rows)


def queries() -> str:
    return "\n".join(f"{title}:\n\n```sql\n{sql}```\n" for title, sql in EXAMPLE_QUERIES.items())


BLOCKS: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "study fields": study_fields,
    "settings": settings,
    "tables": tables,
    "queries": queries,
}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_table_of_the_readme_is_what_the_code_says(name: str) -> None:
    text = README.read_text()
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    before, found, rest = text.partition(begin)
    block, closing, after = rest.partition(end)
    assert found
    assert closing
    expected = BLOCKS[name]()
    if os.environ.get("SWEEP_REGENERATE_GOLDEN"):
        README.write_text(before + begin + expected + end + after)
    else:
        assert block == expected


def test_files_that_the_documents_name_exist() -> None:
    for document in (README, ROOT / "CONTRIBUTING.md"):
        text = document.read_text()
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert (ROOT / target).exists(), target
        for path in re.findall(r"`((?:sweep|tests|studies|\.ci)/[\w/.]+)`", text):
            assert (ROOT / path).exists(), path


def test_every_top_level_entry_has_a_reason() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split("/")[0] for line in listed.splitlines()} <= {
        ".ci",
        ".gitignore",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "README.md",
        "docker",
        "pyproject.toml",
        "requirements.lock",
        "studies",
        "sweep",
        "tests",
    }


def test_the_study_in_the_readme_makes_sense() -> None:
    (example,) = re.findall(r"```yaml\n(.+?)```", README.read_text(), re.DOTALL)
    spec = parse_study(example)
    assert spec.budget.wall_seconds == 7200
    assert SearchSpace.from_spec(spec).combinations() is None
