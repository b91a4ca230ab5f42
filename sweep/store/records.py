"""What the store keeps of a study besides what Optuna keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """What a study was started with.

    Attributes:
        name: Name of the study.
        spec: The resolved study file, YAML text that parses to the same `StudySpec`.
        space_hash: Digest of what must not change between two runs of a study: search space,
            rules, fixed settings, objectives, seed and engine.
        data_name: Name of the data trained on.
        data_is_fallback: Whether the data stands in for what was asked.
        data_fingerprint: Digest of the data and its splits.
        seed: Seed of the study.
        versions: Version by package name: sweep, python, optuna, tensorflow, keras, numpy;
            like `spec` and `git_revision`, of the last run that began.
        git_revision: Commit of the working directory, or None outside a repository.
        created_at: Time of the first run, UTC and aware.
    """

    name: str
    spec: str
    space_hash: str
    data_name: str
    data_is_fallback: bool
    data_fingerprint: str
    seed: int
    versions: Mapping[str, str] = field(default_factory=dict)
    git_revision: str | None = None
    created_at: datetime | None = None
