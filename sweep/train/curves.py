"""The learning curves of one training, as a page of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweep.data import DataRef
from sweep.spec.config_file import TrialFile
from sweep.train.evaluation import TestFigures
from sweep.trial import EpochReport

TRAINING, VALIDATION, TRIAL = "#9aa5b1", "#1f6feb", "#d97706"


def write_curves(
    path: Path,
    trial_file: TrialFile,
    data: DataRef,
    reports: Sequence[EpochReport],
    kept_epoch: int,
    test: TestFigures | None,
) -> None:
    """Write the page; it needs no network.

    Args:
        path: The `.html` file.
        trial_file: What was trained; its expected curve is drawn too.
        data: What it was trained on.
        reports: The epochs, at least one.
        kept_epoch: Epoch whose weights were kept; 0 for none.
        test: Figures of the test split, if there are any.
    """
    figure = curves(trial_file, data, reports, kept_epoch, test)
    figure.write_html(path, include_plotlyjs=True, full_html=True)


def curves(
    trial_file: TrialFile,
    data: DataRef,
    reports: Sequence[EpochReport],
    kept_epoch: int,
    test: TestFigures | None,
) -> Any:
    """The figure: accuracy and loss, of training, validation and the trial that is repeated."""
    figure = make_subplots(
        rows=1, cols=2, subplot_titles=("accuracy", "loss"), horizontal_spacing=0.08
    )
    epochs = [report.epoch for report in reports]
    for column, metric in enumerate(("accuracy", "loss"), start=1):
        expected = (trial_file.expected or {}).get(f"val_{metric}") or []
        lines = (
            ("the trial's validation", list(range(1, len(expected) + 1)), expected, TRIAL, "dot"),
            ("training", epochs, [getattr(r, metric) for r in reports], TRAINING, "solid"),
            (
                "validation",
                epochs,
                [getattr(r, f"val_{metric}") for r in reports],
                VALIDATION,
                "solid",
            ),
        )
        for name, x, y, color, dash in lines:
            if x:
                width = 5 if color == TRIAL else 2
                figure.add_trace(
                    go.Scatter(
                        x=x,
                        y=y,
                        name=name,
                        legendgroup=name,
                        showlegend=column == 1,
                        mode="lines+markers" if len(x) < 3 else "lines",
                        line={"color": color, "dash": dash, "width": width},
                    ),
                    row=1,
                    col=column,
                )
    if kept_epoch:
        figure.add_vline(kept_epoch, line={"color": "#555", "dash": "dash", "width": 1})
    figure.update_xaxes(title_text="epoch")
    figure.update_layout(
        title=_title(trial_file, data, kept_epoch, test),
        template="plotly_white",
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.15},
    )
    return figure


def _title(trial_file: TrialFile, data: DataRef, kept_epoch: int, test: TestFigures | None) -> str:
    config = trial_file.config
    name = f"{config.depth} x Dense({config.width}, {config.activation}), {config.optimizer}"
    remark = " - FALLBACK: not the data that was asked for" if data.is_fallback else ""
    parts = [f"{name} on {data.name}{remark}"]
    if kept_epoch:
        parts.append(f"weights of epoch {kept_epoch}")
    if test is not None:
        parts.append(f"test accuracy {test.accuracy:.4f}")
    return ", ".join(parts)
