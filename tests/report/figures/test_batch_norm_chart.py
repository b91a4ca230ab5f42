from typing import Any

import pytest
from report_studies import epoch_row, frames_of, trial_row

from sweep.report.figures.batch_norm import batch_norm
from sweep.report.figures.style import Chart

# Kind, how it ended, accuracy by epoch.
TRIALS = [
    ("none", "completed", [0.1, 0.2, 0.3, 0.4]),
    ("none", "completed", [0.1, 0.2, 0.3, 0.31]),
    ("none", "pruned", [0.1, 0.2]),
    ("none", "diverged", [0.1]),
    ("before", "completed", [0.3, 0.4, 0.45, 0.5]),
    ("before", "completed", [0.2, 0.35, 0.45, 0.5]),
    ("before", "completed", [0.2, 0.35, 0.45, 0.5]),
]


@pytest.fixture(scope="module")
def chart() -> Chart:
    rows, epochs = [], []
    for number, (kind, reason, curve) in enumerate(TRIALS):
        changes: dict[str, Any] = {"stop_reason": reason, "epochs": len(curve)}
        if reason == "pruned":
            changes["state"] = "PRUNED"
        rows.append(
            trial_row(
                number,
                config={"batch_norm": kind},
                values=[max(curve)],
                kept_epoch=len(curve),
                **changes,
            )
        )
        seconds = 2.0 if kind == "none" else 3.0
        epochs += [epoch_row(number, e, a, seconds=seconds) for e, a in enumerate(curve, 1)]
    return batch_norm(frames_of(rows, epochs))


def middles(chart: Chart, axis: str) -> list[tuple[float, str]]:
    return [
        (trace.x[0], trace.marker.symbol)
        for trace in chart.figure.data
        if trace.xaxis == axis and trace.error_x.array is not None
    ]


def test_the_level_is_what_half_of_the_trials_reached(chart: Chart) -> None:
    # Best accuracies: .4 .31 .2 .1 .5 .5 .5.
    assert chart.figure.layout.xaxis2.title.text == "epochs to an accuracy of 0.4"


def test_panels_show_accuracy_epochs_and_seconds(chart: Chart) -> None:
    assert [x for x, _ in middles(chart, "x")] == pytest.approx([0.2525, 0.5])
    assert [x for x, _ in middles(chart, "x3")] == pytest.approx([2.0, 3.0])
    none, before = middles(chart, "x2")
    # One of four without it reached 0.4; with it, all did at epochs 2, 3 and 3.
    assert none == (pytest.approx(1.06 * 4), "triangle-right")
    assert before == (3.0, "diamond")


def test_what_never_reached_it_is_counted(chart: Chart) -> None:
    head, *counts = chart.figure.layout.annotations
    assert head.text == "not reached"
    assert [count.text for count in counts] == ["3", "0"]
    assert [count.y for count in counts] == [1, 0]
    assert "0.4 reached by fewer than half, 3 never did, 2 s per epoch (n=4)" in chart.text
    assert "0.4 reached by half after 3 epochs [2, 3], 0 never did, 3 s per epoch" in chart.text
