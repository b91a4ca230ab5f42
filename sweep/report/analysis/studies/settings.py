"""What studies were told to do: where their study files differ."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from sweep.report.frames import StudyFrames
from sweep.space.describe import describe
from sweep.spec import parse_study
from sweep.spec.fields import conditions_text
from sweep.spec.model import RuleSpec, StudySpec
from sweep.spec.tree import study_branches

# Shown setting by setting, or no matter of what is compared.
_ELSEWHERE: Final = ("study", "description", "fixed", "search", "rules")
# They say `budget.epochs` as well, which overrides them.
_EPOCHS: Final = "epochs"
NOTHING: Final = "–"


def spec_differences(studies: Sequence[StudyFrames]) -> pd.DataFrame:
    """Where the study files differ, the settings of trials first.

    Returns:
        A row for each difference: `what` (a field of `TrialConfig`, or the key in a study file),
        `kind` (`fixed` if it never varies inside a study, `searched` if it does in one of them,
        `study` if it is no setting of trials), and `treatments`: for each study, in order, what
        it says there.
    """
    specs = [parse_study(frames.spec) for frames in studies]
    fields = [_fields(spec) for spec in specs]
    rows: list[dict[str, Any]] = []
    for name in fields[0]:
        said = [of_study[name] for of_study in fields]
        if len(set(said)) > 1:
            is_searched = any(text.startswith("searched") for text in said)
            rows.append(_row(name, "searched" if is_searched else "fixed", said))
    parts = [_parts(spec) for spec in specs]
    for name in dict.fromkeys(name for part in parts for name in part):
        said = [part.get(name, NOTHING) for part in parts]
        if len(set(said)) > 1:
            rows.append(_row(name, "study", said))
    return pd.DataFrame(rows, columns=["what", "kind", "treatments"])


def _row(what: str, kind: str, treatments: list[str]) -> dict[str, Any]:
    return {"what": what, "kind": kind, "treatments": treatments}


def _fields(spec: StudySpec) -> dict[str, str]:
    """For each field of a trial, whether it is searched and what it may be."""
    texts = {}
    for row in describe(study_branches(spec), {}):
        how = {"searched": "searched: ", "rule": "by rules: "}.get(row["source"], "")
        asked = spec.search[row["name"]].when if row["name"] in spec.search else {}
        when = f", if {conditions_text(asked)}" if asked else ""
        texts[row["name"]] = f"{how}{row['values']}{when}"
    return texts


def _parts(spec: StudySpec) -> dict[str, str]:
    """What a study file says besides the settings of trials, by dotted key."""
    document = spec.model_dump(exclude=set(_ELSEWHERE))
    document["budget"].pop(_EPOCHS)
    flat = dict(_flat(document))
    return flat | {f"rules: {_rule(rule)}": "yes" for rule in spec.rules}


def _flat(node: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(node, Mapping):
        return [
            pair
            for key, value in node.items()
            for pair in _flat(value, f"{path}.{key}" if path else str(key))
        ]
    if isinstance(node, list | tuple):
        return [
            pair for place, value in enumerate(node) for pair in _flat(value, f"{path}.{place}")
        ]
    return [(path, NOTHING if node is None else str(node))]


def _rule(rule: RuleSpec) -> str:
    return f"when {conditions_text(rule.when)} then {conditions_text(rule.then)}"
