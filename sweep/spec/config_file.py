"""Config files: one trial to be trained again; `sweep export` writes, `sweep train` reads them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pydantic import Field

from sweep.errors import SpecError
from sweep.spec.document import Document, dump_document, parse_document, shown
from sweep.spec.fields import field_value
from sweep.spec.model import BackendName, DataSpec, EngineName, Frozen
from sweep.spec.overrides import apply_overrides
from sweep.spec.study_file import check_data_name, check_engine, drop_empty, read_text
from sweep.spec.validate import validate
from sweep.trial import TrialConfig, Value


@dataclass(frozen=True, slots=True)
class TrialFile:
    """What is needed to train a trial again.

    Attributes:
        config: What to train.
        seed: Seed of all its randomness.
        data: What to train on, and how it is split.
        study: Study that the trial comes from, if it comes from one.
        trial: Its number there.
        expected: What the trial measured, for comparison; plain values and lists.
        engine: How it trains; files from before there was a choice mean `reference`.
        backend: What Keras runs on.
    """

    config: TrialConfig
    seed: int
    data: DataSpec
    study: str | None = None
    trial: int | None = None
    expected: dict[str, Any] | None = None
    engine: EngineName = "reference"
    backend: BackendName = "tensorflow"


class _TrialFileModel(Frozen):
    config: dict[str, Value] = Field(min_length=1)
    seed: int = Field(default=42, ge=0, le=2**31 - 1)
    data: DataSpec = DataSpec()
    study: str | None = None
    trial: int | None = Field(default=None, ge=0)
    engine: EngineName = "reference"
    backend: BackendName = "tensorflow"
    expected: dict[str, Any] | None = None


def load_trial_file(path: str | FilePath, overrides: Sequence[str] = ()) -> TrialFile:
    """Read a config file, YAML or JSON.

    Args:
        path: The file.
        overrides: `config.epochs=5` and the like, applied in order.

    Raises:
        SpecError: The file cannot be read or is no config; the message names line and key path.
    """
    text = read_text(path, "config")
    return parse_trial_file(text, source=str(path), overrides=overrides)


def parse_trial_file(
    text: str, *, source: str = "<string>", overrides: Sequence[str] = ()
) -> TrialFile:
    """Read a config from text.

    Raises:
        SpecError: The text is no config; the message names line and key path.
    """
    document = apply_overrides(parse_document(text, source), overrides)
    if not isinstance(document.value, dict):
        raise SpecError(
            "this is not the config of a trial",
            where=document.where(()),
            expected="a mapping with `config`, `seed` and `data`",
            received=shown(document.value),
            next_step="`sweep export` writes one",
        )
    plain = Document(
        document.source,
        {
            key: drop_empty(value) if key == "data" else value
            for key, value in document.value.items()
            if value is not None
        },
        document.places,
    )
    model = validate(_TrialFileModel, plain)
    check_data_name(model.data, plain.where)
    check_engine(model.engine, model.backend, plain.where)
    values: dict[str, Any] = {
        name: field_value(name, value, ("config", name), plain.where)
        for name, value in model.config.items()
    }
    return TrialFile(
        config=TrialConfig(**values).canonical(),
        seed=model.seed,
        data=model.data,
        study=model.study,
        trial=model.trial,
        engine=model.engine,
        backend=model.backend,
        expected=_plain(model.expected),
    )


def dump_trial_file(trial_file: TrialFile) -> str:
    """YAML text that `parse_trial_file` turns into an equal `TrialFile`."""
    return dump_document(trial_file_dict(trial_file))


def trial_file_dict(trial_file: TrialFile) -> dict[str, Any]:
    """The file's content as plain values, strict JSON: settings that have an effect, no NaN."""
    config = trial_file.config.canonical()
    content = {
        "study": trial_file.study,
        "trial": trial_file.trial,
        "config": {
            name: value for name, value in config.to_dict().items() if config.is_active(name)
        },
        "seed": trial_file.seed,
        "data": trial_file.data.model_dump(exclude_none=True),
        "engine": trial_file.engine,
        "backend": trial_file.backend,
        "expected": _plain(trial_file.expected),
    }
    return {key: value for key, value in content.items() if value is not None}


def _plain(value: Any) -> Any:
    """Lists for tuples, None for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
