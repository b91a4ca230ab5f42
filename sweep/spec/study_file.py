"""Study files: read, checked and written."""

import re
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any, Final

from sweep.errors import SpecError
from sweep.spec.document import (
    Document,
    Path,
    did_you_mean,
    dotted,
    dump_document,
    parse_document,
    shown,
)
from sweep.spec.fields import Where, field_value, normalise_fields
from sweep.spec.model import EPOCH_METRICS, DataSpec, StudySpec
from sweep.spec.overrides import apply_overrides
from sweep.spec.tree import check_branches
from sweep.spec.validate import validate

_FREE_KEYS: Final = ("fixed", "search", "rules")
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}


def load_study(path: str | FilePath, overrides: Sequence[str] = ()) -> StudySpec:
    """Read a study file.

    Args:
        path: The file.
        overrides: `a.b.c=value`, applied in order.

    Raises:
        SpecError: The file cannot be read or is no study; the message names line and key path.
    """
    document = apply_overrides(parse_document(read_text(path, "study"), str(path)), overrides)
    return _to_spec(document)


def parse_study(
    text: str, *, source: str = "<string>", overrides: Sequence[str] = ()
) -> StudySpec:
    """Read a study from text; the data it names need not be there.

    Raises:
        SpecError: The text is no study; the message names the line and the key path.
    """
    return _to_spec(apply_overrides(parse_document(text, source), overrides))


def dump_study(spec: StudySpec) -> str:
    """YAML text that `parse_study` turns into an equal study, every default written out."""
    plain = spec.model_dump(exclude_none=True)
    for dimension in plain["search"].values():
        if not dimension["when"]:
            del dimension["when"]
    return dump_document(plain)


def check_study(spec: StudySpec, where: Where = dotted) -> StudySpec:
    """Check what the types alone do not, and give every setting its field's type.

    Raises:
        SpecError: The study makes no sense; the message names the key path.
    """
    spec = normalise_fields(spec, where)
    _check_budget(spec, where)
    _check_objectives(spec, where)
    branches = check_branches(spec, where)
    if spec.sampler.name == "grid" and branches.combinations() is None:
        name = next(
            d.name for d in branches.domains if d.others is None and d.dimension is not None
        )
        raise SpecError(
            "a grid needs a finite search space",
            where=where(("search", name)),
            expected="choices, or low and high with a step",
            received=f"a continuous range for {name}",
            next_step="give it a step, list choices, or use another sampler",
        )
    check_data_name(spec.data, where)
    check_engine(spec.engine, spec.backend, where)
    return spec


def check_engine(engine: str, backend: str, where: Where) -> None:
    """Check that an engine can train on a backend of Keras.

    Raises:
        SpecError: It cannot.
    """
    if engine == "reference" and backend != "tensorflow":
        raise SpecError(
            "the reference engine trains on tensorflow alone",
            where=where(("backend",)),
            expected="tensorflow, or the engine fused",
            received=f"{backend}, with the engine reference",
            next_step="its batches come from tf.data: set engine to fused, or leave backend out",
        )


def check_data_name(data: DataSpec, where: Where) -> None:
    """Check that the name of a data set can mean something.

    Raises:
        SpecError: It is neither a known data set nor the path of an `.npz` file.
    """
    known = ("cifar10", "synthetic")
    if data.name not in known and not data.name.endswith(".npz"):
        raise SpecError(
            "data.name is not known",
            where=where(("data", "name")),
            expected="cifar10, synthetic, or the path of an .npz file",
            received=shown(data.name),
            next_step=did_you_mean(data.name.replace("-", ""), known),
        )
    if data.fallback != "none" and data.name != "cifar10":
        raise SpecError(
            "data.fallback is for cifar10 alone",
            where=where(("data", "fallback")),
            expected="none",
            received=f"{data.fallback}, with data.name {shown(data.name)}",
        )


def read_text(path: str | FilePath, kind: str) -> str:
    """The text of a UTF-8 file.

    Raises:
        SpecError: It cannot be read or is no text.
    """
    try:
        return FilePath(path).read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the file is not UTF-8 text"
        raise SpecError(
            f"the {kind} file cannot be read",
            where=shown(str(path), quoted=False),
            expected="a UTF-8 text file",
            received=reason or str(error),
            next_step="correct the path; `sweep init` writes a new study file"
            if kind == "study"
            else "correct the path; `sweep export -o FILE` writes a config file",
        ) from error


def _to_spec(document: Document) -> StudySpec:
    places = dict(document.places)
    for path, place in document.places.items():
        if path[:1] == ("search",) and len(path) == 3 and isinstance(path[2], int):
            places[*path[:2], "choices", path[2]] = place
    plain = Document(document.source, _expand(document), places)
    return check_study(validate(StudySpec, plain), plain.where)


def _expand(document: Document) -> Any:
    """Write out what the file may abbreviate."""
    study = document.value
    if not isinstance(study, dict):
        raise SpecError(
            "this is not a study",
            where=document.where(()),
            expected="a mapping, `name: value`",
            received=shown(study),
        )
    study = {
        key: value if key in _FREE_KEYS else drop_empty(value)
        for key, value in study.items()
        if value is not None
    }
    if isinstance(study.get("search"), dict):
        study["search"] = {
            key: _expand_dimension(value, ("search", key), document.where)
            for key, value in study["search"].items()
        }
    if isinstance(study.get("rules"), tuple):
        study["rules"] = tuple(_expand_conditions(rule) for rule in study["rules"])
    budget = study.get("budget")
    if isinstance(budget, dict) and isinstance(budget.get("wall_seconds"), str):
        seconds = _seconds(budget["wall_seconds"], document.where)
        study["budget"] = {**budget, "wall_seconds": seconds}
    return study


def drop_empty(value: Any) -> Any:
    """A section without the keys that were given no value."""
    if not isinstance(value, dict):
        return value
    return {name: drop_empty(item) for name, item in value.items() if item is not None}


def _expand_dimension(value: Any, path: Path, where: Where) -> Any:
    if isinstance(value, tuple):
        return {"choices": value}
    if not isinstance(value, dict):
        raise SpecError(
            f"{dotted(path)} is not something to search",
            where=where(path),
            expected="a list of choices, or a mapping with low and high",
            received=shown(value),
            next_step=f"for a single value write it under fixed.{dotted(path[1:])}",
        )
    return _expand_conditions(value)


def _expand_conditions(value: Any) -> Any:
    """`optimizer: sgd` means the same as `optimizer: [sgd]` in `when` and `then`."""
    if not isinstance(value, dict):
        return value
    return {
        key: {name: one if isinstance(one, tuple) else (one,) for name, one in item.items()}
        if key in ("when", "then") and isinstance(item, dict)
        else item
        for key, item in value.items()
    }


def _seconds(text: str, where: Where) -> float:
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([smh])", text)
    if match is None:
        raise SpecError(
            "budget.wall_seconds is not a duration",
            where=where(("budget", "wall_seconds")),
            expected="a number of seconds, or a number with s, m or h: 30s, 10m, 2h",
            received=shown(text),
        )
    return float(match[1]) * _SECONDS[match[2]]


def _check_budget(spec: StudySpec, where: Where) -> None:
    if spec.budget.epochs is not None and "epochs" in spec.search:
        raise SpecError(
            "epochs are both searched and set by the budget",
            where=where(("budget", "epochs")),
            expected="one of the two",
            received=f"budget.epochs = {spec.budget.epochs} and search.epochs",
            next_step="remove one; on the command line --set search.epochs=null does",
        )
    if spec.budget.epochs is not None:
        field_value("epochs", spec.budget.epochs, ("budget", "epochs"), where)


def _check_objectives(spec: StudySpec, where: Where) -> None:
    metrics = [objective.metric for objective in spec.objectives]
    for index, metric in enumerate(metrics):
        if metric in metrics[:index]:
            raise SpecError(
                "an objective is listed twice",
                where=where(("objectives", index, "metric")),
                expected="every metric once",
                received=metric,
            )
    if spec.sampler.name == "cmaes" and len(metrics) > 1:
        raise SpecError(
            "cmaes cannot optimise several objectives",
            where=where(("sampler", "name")),
            expected="another sampler, or a single objective",
            received=f"cmaes with {', '.join(metrics)}",
        )
    if spec.pruner.name == "none":
        return
    if len(metrics) > 1:
        raise SpecError(
            "a pruner cannot compare trials by several objectives",
            where=where(("pruner", "name")),
            expected="none, or a single objective",
            received=f"{spec.pruner.name} with {', '.join(metrics)}",
        )
    if metrics[0] not in EPOCH_METRICS:
        raise SpecError(
            f"a pruner has nothing to compare in {metrics[0]}",
            where=where(("pruner", "name")),
            expected="none, or one of the objectives " + ", ".join(EPOCH_METRICS),
            received=spec.pruner.name,
        )
