"""The history and the config of a training, as files."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from sweep.spec.config_file import TrialFile, dump_trial_file
from sweep.trial import EpochReport

COLUMNS = (
    "epoch",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
)


def write_config(path: Path, trial_file: TrialFile) -> None:
    """Write the config that is trained, overrides included."""
    path.write_text(dump_trial_file(trial_file), encoding="utf-8")


def write_history(json_path: Path, csv_path: Path, reports: Sequence[EpochReport]) -> None:
    """Write one entry per epoch, as JSON and as CSV; what is not finite is null or empty."""
    rows = [{name: _finite(asdict(report)[name]) for name in COLUMNS} for report in reports]
    json_path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    with csv_path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
