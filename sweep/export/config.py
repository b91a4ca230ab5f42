"""A trial as a config that `sweep train` runs."""

import json
from typing import Any

from sweep.export.subject import Subject
from sweep.spec.config_file import TrialFile, dump_trial_file, trial_file_dict


def trial_file(subject: Subject) -> TrialFile:
    """The trial with what it needs to be trained again and what is then expected."""
    return TrialFile(
        config=subject.config,
        seed=subject.seed,
        data=subject.spec.data,
        study=subject.record.name,
        trial=subject.number,
        engine=subject.engine,
        backend=subject.backend,
        expected=_expected(subject),
    )


def render_yaml(subject: Subject) -> str:
    """The config as YAML, with comments that say where it comes from."""
    versions = subject.record.versions
    packages = "".join(f", {n} {versions[n]}" for n in (subject.backend, "keras") if n in versions)
    lines = [
        f"{subject.title[0].upper()}{subject.title[1:]}.",
        subject.outcome,
        f"Trained on {subject.data}",
        f"with the engine {subject.engine}{packages}, on {subject.row['device']}.",
        "Train it again with `sweep train FILE`; it says whether the curve under `expected` came",
        "out again. Settings not named here have no effect in this network.",
    ]
    comments = "".join(f"# {line}\n" for line in lines if line)
    return f"{comments}{dump_trial_file(trial_file(subject))}"


def render_json(subject: Subject) -> str:
    """The config as JSON; it says the same as the YAML."""
    return json.dumps(trial_file_dict(trial_file(subject)), indent=2) + "\n"


def _expected(subject: Subject) -> dict[str, Any] | None:
    """The validation curve and what it was trained with; None before the first epoch."""
    if not subject.epochs:
        return None
    return {
        "config_fingerprint": subject.config.fingerprint(),
        "seed": subject.seed,
        "data_fingerprint": subject.record.data_fingerprint,
        "engine": subject.engine,
        "backend": subject.backend,
        "device": subject.row["device"],
        "val_accuracy": [epoch["val_accuracy"] for epoch in subject.epochs],
        "val_loss": [epoch["val_loss"] for epoch in subject.epochs],
    }
