"""From a trial's epochs to its objective values."""

import math
from collections.abc import Sequence
from statistics import median

from sweep.spec.model import ObjectiveSpec
from sweep.trial import EpochReport, TrialConfig


def kept_epoch(config: TrialConfig, reports: Sequence[EpochReport]) -> int:
    """The epoch whose weights a trial keeps.

    Args:
        config: Its configuration.
        reports: Its epochs, in order.

    Returns:
        The best epoch by the metric of early stopping, the first of equals, if the best weights
        are restored; otherwise the last. 0 if there are no reports.
    """
    if not reports:
        return 0
    if config.early_stopping == "none" or not config.restore_best_weights:
        return reports[-1].epoch
    sign = 1.0 if config.early_stopping == "val_loss" else -1.0

    def badness(report: EpochReport) -> float:
        value = sign * float(getattr(report, config.early_stopping))
        return math.inf if math.isnan(value) else value

    return min(reports, key=badness).epoch


def objective_values(
    objectives: Sequence[ObjectiveSpec],
    reports: Sequence[EpochReport],
    *,
    kept: int,
    parameters: int,
) -> list[float]:
    """The values of a trial that trained to its end.

    Args:
        objectives: What the study optimises.
        reports: The trial's epochs, in order, at least one.
        kept: Epoch whose weights were kept.
        parameters: Number of weights of its network.
    """
    report = next(r for r in reports if r.epoch == kept)
    return [_metric(o.metric, report, reports, parameters) for o in objectives]


def diverged_values(
    objectives: Sequence[ObjectiveSpec],
    reports: Sequence[EpochReport],
    *,
    classes: int,
    parameters: int,
) -> list[float]:
    """The values of a trial that diverged: finite, and bad enough to keep the sampler away.

    A quality metric is the worst of what was measured and of guessing: accuracy 1/classes, loss
    ln(classes). Cost metrics are what was measured.

    Args:
        objectives: What the study optimises.
        reports: The trial's epochs, in order, at least one.
        classes: Number of classes of the data.
        parameters: Number of weights of its network.
    """
    values = []
    for objective in objectives:
        if objective.metric in ("val_accuracy", "val_loss"):
            measured = [float(getattr(report, objective.metric)) for report in reports]
            finite = [value for value in measured if math.isfinite(value)]
            if objective.metric == "val_accuracy":
                values.append(min([*finite, 1 / classes]))
            else:
                values.append(max([*finite, math.log(classes)]))
        else:
            values.append(_metric(objective.metric, reports[-1], reports, parameters))
    return values


def intermediate_value(objective: ObjectiveSpec, report: EpochReport) -> float | None:
    """What a pruner is told of an epoch, or None if the metric is not finite or not per epoch."""
    if objective.metric not in ("val_accuracy", "val_loss"):
        return None
    value = float(getattr(report, objective.metric))
    return value if math.isfinite(value) else None


def _metric(
    metric: str, report: EpochReport, reports: Sequence[EpochReport], parameters: int
) -> float:
    if metric == "parameters":
        return float(parameters)
    if metric == "seconds_per_epoch":
        return median(r.seconds for r in reports)
    return float(getattr(report, metric))
