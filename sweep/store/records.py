"""What the store keeps of a study and its runs besides what Optuna keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

RETRY_OF: Final = "retry_of"
"""User attribute of a trial that repeats a failed one: the number of that one."""

RUN_ENDED: Final = "the run ended"
"""Why a worker is no longer there that was not lost."""

UNKNOWN_DATA: Final = ""
"""The fingerprint of data that no run has found yet."""


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """What a study was started with.

    Attributes:
        name: Name of the study.
        spec: The resolved study file, YAML text that parses to the same `StudySpec`.
        space_hash: Digest of what must not change between two runs of a study: search space,
            rules, fixed settings, objectives, seed, engine and backend.
        data_name: Name of the data trained on.
        data_is_fallback: Whether the data stands in for what was asked.
        data_fingerprint: Digest of the data and its splits, or `UNKNOWN_DATA`.
        seed: Seed of the study.
        versions: Version by package name: sweep, python, optuna, keras, numpy, and what Keras
            runs on; like `spec` and `git_revision`, of the last run that began.
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


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """How a run spent its time, in seconds.

    Attributes:
        workers: Number of workers.
        seconds: Wall time of the run.
        training_seconds: Training and validation, summed over the workers.
        compiling_seconds: Building and compiling, placing trials and taking them out, summed over
            the workers.
        idle_seconds: Waiting for the driver, summed over the workers; their start is left out.
        sampling_seconds: Asking the sampler, in the driver.
        storage_seconds: The database and the pruner, in the driver.
    """

    workers: int
    seconds: float
    training_seconds: float
    compiling_seconds: float
    idle_seconds: float
    sampling_seconds: float
    storage_seconds: float

    @property
    def worker_seconds(self) -> float:
        """What the workers had, from when each was ready."""
        return self.training_seconds + self.compiling_seconds + self.idle_seconds


class Wanted(StrEnum):
    """What is to become of a study."""

    RUN = "run"
    """Trials are trained."""
    PAUSE = "pause"
    """Trials in training are set aside after their epoch; none begins."""
    STOP = "stop"
    """Trials in training run to their end; none begins."""
    CANCEL = "cancel"
    """Trials in training are broken off and fail."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to become of a study, and what it has cost.

    Attributes:
        wanted: What is to become of it.
        wall_seconds: Time during which at least one run drove it.
        gpu_seconds: Time that it had of GPUs, added up.
    """

    wanted: Wanted
    wall_seconds: float
    gpu_seconds: float
