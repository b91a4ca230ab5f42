"""What a study ran with: recorded once, so that its figures can be traced."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

from sweep.data import DataRef
from sweep.space import space_hash
from sweep.spec import dump_study
from sweep.spec.model import StudySpec
from sweep.store.records import UNKNOWN_DATA, StudyRecord

PACKAGES: Final = ("sweep", "optuna", "keras", "numpy", "sqlalchemy")


def study_record(spec: StudySpec, data: DataRef | None) -> StudyRecord:
    """Everything that the store keeps of a study from its first run.

    Args:
        spec: The study.
        data: What it trains on; None if that is not known before a run has found it.
    """
    packages = (*PACKAGES, spec.backend)
    return StudyRecord(
        name=spec.study,
        spec=dump_study(spec),
        space_hash=space_hash(spec),
        data_name=data.name if data else spec.data.name,
        data_is_fallback=data.is_fallback if data else False,
        data_fingerprint=data.fingerprint if data else UNKNOWN_DATA,
        seed=spec.seed,
        versions={"python": platform.python_version()} | {p: version(p) for p in packages},
        git_revision=git_revision(),
        created_at=datetime.now(UTC),
    )


def git_revision() -> str | None:
    """The commit of the working directory, `+` added if files changed; None outside git."""
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
