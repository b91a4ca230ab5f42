"""Whether a training gave the curve of the trial that its config was exported from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.data import DataRef
from sweep.spec.config_file import TrialFile
from sweep.trial import EpochReport, TrialResult

METRICS = ("val_accuracy", "val_loss")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A training beside the trial it repeats.

    Attributes:
        message: What came of it, in one line.
        is_exact: Whether every figure compared is the same; None if none could be compared.
        epochs: Epochs compared.
        differences: Largest difference by metric; infinite where one side alone has a number.
    """

    message: str
    is_exact: bool | None
    epochs: int
    differences: Mapping[str, float]


def compare(
    trial_file: TrialFile, data: DataRef, result: TrialResult, reports: Sequence[EpochReport]
) -> Comparison | None:
    """Compare the validation curve with the one the config expects.

    Args:
        trial_file: The config.
        data: What was trained on.
        result: With which engine, and where.
        reports: The epochs.

    Returns:
        None if the config expects nothing.
    """
    expected = trial_file.expected
    if not expected:
        return None
    curves = {metric: expected.get(metric) for metric in METRICS}
    obstacle = _obstacle(trial_file, expected, data)
    if obstacle is None and not (reports and all(map(_is_curve, curves.values()))):
        obstacle = "there is no curve to compare"
    if obstacle is not None:
        return Comparison(f"not compared with the trial: {obstacle}", None, 0, {})
    gaps = {
        metric: [
            _gap(value, getattr(report, metric))
            for value, report in zip(curve or (), reports, strict=False)
        ]
        for metric, curve in curves.items()
    }
    epochs = min(map(len, gaps.values()))
    differences = {metric: max(values) for metric, values in gaps.items()}
    if not any(differences.values()):
        message = (
            f"reproduced exactly: validation accuracy and loss of all {epochs} epochs are those "
            "of the trial"
        )
        return Comparison(message, True, epochs, differences)
    if unlike := _unlike(expected, trial_file.backend, result):
        message = (
            f"validation accuracy within {differences['val_accuracy']:.4g} and loss within "
            f"{differences['val_loss']:.4g} of the trial's, over all {epochs} epochs; exactly the "
            f"same was not to be expected: {unlike}"
        )
        return Comparison(message, False, epochs, differences)
    first = 1 + next(i for i in range(epochs) if any(gaps[metric][i] for metric in METRICS))
    message = (
        f"not reproduced: validation accuracy differs by up to {differences['val_accuracy']:.4g} "
        f"and loss by up to {differences['val_loss']:.4g}, from epoch {first} on"
    )
    return Comparison(message, False, epochs, differences)


def _unlike(expected: Mapping[str, Any], backend: str, result: TrialResult) -> str:
    """In what this training was of another kind than the trial; empty if it was the same."""
    engines = expected.get("engine", "reference"), result.engine
    # The reference engine may have stood in for another, and has one backend.
    backends = (
        expected.get("backend", "tensorflow"),
        "tensorflow" if result.engine == "reference" else backend,
    )
    kinds = str(expected.get("device")).partition(":")[0], result.device.partition(":")[0]
    differing = [pair for pair in (engines, backends, kinds) if pair[0] != pair[1]]
    if differing:
        there, here = (", ".join(words) for words in zip(*differing, strict=True))
        return f"the trial trained with {there}, this with {here}"
    if (engines[0], kinds[0]) == ("fused", "gpu"):
        return "on a GPU the last digits depend on how many trials train together"
    return ""


def _obstacle(trial_file: TrialFile, expected: Mapping[str, Any], data: DataRef) -> str | None:
    if expected.get("data_fingerprint") != data.fingerprint:
        return "it trained on other images or another split"
    if expected.get("config_fingerprint") != trial_file.config.fingerprint():
        return "its settings were changed"
    if expected.get("seed") != trial_file.seed:
        return "its seed was changed"
    return None


def _is_curve(values: object) -> bool:
    """Whether a config's value is a list of figures; it may have been edited."""
    return (
        isinstance(values, list)
        and bool(values)
        and all(value is None or type(value) in (int, float) for value in values)
    )


def _gap(one: float | None, other: float) -> float:
    """The distance of two figures; those that are not finite are all alike."""
    if one is None or not math.isfinite(one):
        return math.inf if math.isfinite(other) else 0.0
    return abs(one - other) if math.isfinite(other) else math.inf
