from typing import Any

import pytest
from report_studies import epoch_row, frames_of, trial_row

from sweep.report.figures.momentum import momentum
from sweep.report.figures.style import Chart


def sgd(number: int, momentum: float, rate: float, diverged: bool, **more: Any) -> dict[str, Any]:
    config = {"optimizer": "sgd", "momentum": momentum, "learning_rate": rate}
    reason = "diverged" if diverged else "completed"
    return trial_row(
        number, config=config, stop_reason=reason, values=[0.1 * (number % 5)], **more
    )


def chart(momenta: list[float], rates: list[float], limit: float) -> Chart:
    """Trials diverge where rate / (1 - momentum) is above a limit."""
    pairs = [(m, r) for m in momenta for r in rates]
    return momentum(
        frames_of([sgd(n, m, r, r / (1 - m) > limit) for n, (m, r) in enumerate(pairs)])
    )


def shaded(chart: Chart) -> list[Any]:
    return [trace for trace in chart.figure.data if trace.fill == "toself"]


MOMENTA = [0.0, 0.5, 0.9, 0.99, 0.999]
RATES = [1e-4, 1e-3, 1e-2, 1e-1]


def test_the_region_of_divergence_holds_what_diverged() -> None:
    drawn = chart(MOMENTA, RATES, limit=0.3)
    (region,) = shaded(drawn)
    assert "shaded" in drawn.figure.layout.title.text
    assert max(region.y) > 0.1
    assert 1e-4 < min(region.y) < 1e-3
    assert "of 20 trials lie on their side of that line" in drawn.text
    # It ends where nothing was tried.
    assert max(region.x) < 3.5


@pytest.mark.parametrize("limit", [1e9, 30.0, 1e-9])
def test_no_region_is_drawn_from_few(limit: float) -> None:
    drawn = chart(MOMENTA, RATES, limit)
    assert shaded(drawn) == []
    assert "no region of divergence shown" in drawn.figure.layout.title.text
    assert "side of that line" not in drawn.text


def test_what_diverged_before_it_had_an_accuracy_has_its_place() -> None:
    rows = [
        sgd(0, 0.9, 0.01, diverged=False),
        sgd(1, 0.99, 0.1, diverged=True, kept_epoch=0) | {"values": [float("nan")]},
    ]
    epochs = [epoch_row(0, e, 0.3) for e in (1, 2)]
    frames = frames_of(rows, epochs, metrics=("val_loss",), directions=("minimize",))
    drawn = momentum(frames)
    assert "diverged (1)" in {trace.name for trace in drawn.figure.data}
    assert "2 SGD trials by momentum and learning rate, 1 diverged" in drawn.text


def test_with_one_rate_it_shows_means_by_momentum() -> None:
    drawn = chart([0.0] * 3 + [0.9] * 3, [0.01], limit=1.0)
    marks = next(trace for trace in drawn.figure.data if trace.name == "mean")
    assert list(marks.y) == pytest.approx([0.1, (0.3 + 0.4 + 0.0) / 3], abs=1e-4)
    assert list(marks.x) == [0.0, 1.0]
