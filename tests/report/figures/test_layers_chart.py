from statistics import median

import pytest
from report_studies import frames_of, layer_rows_of, trial_row

from sweep.report.figures.layers import LEAST_GRADIENT, layer_statistics
from sweep.report.figures.style import Chart

DEPTH = 4
# Standard deviation of the outputs of the first hidden layer, by trial.
FIRST = {"relu": (0.2, 0.4, 0.9), "selu": (1.0, 1.1)}


def chart() -> Chart:
    trials, layers = [], []
    for activation, spreads in FIRST.items():
        for spread in spreads:
            number = len(trials)
            trials.append(trial_row(number, config={"activation": activation, "depth": DEPTH}))
            for row in layer_rows_of(number, DEPTH):
                change = {"std": spread} if row["layer"] == 1 else {}
                layers.append(row | change | {"gradient_norm": 0.0})
    return layer_statistics(frames_of(trials, [], layers))


def test_lines_are_medians_over_the_hidden_layers_alone() -> None:
    lines = [t for t in chart().figure.data if t.yaxis == "y2" and t.fill is None]
    found = {trace.legendgroup: trace for trace in lines}
    for activation, spreads in FIRST.items():
        assert list(found[activation].x) == list(range(1, DEPTH + 1))
        assert found[activation].y[0] == pytest.approx(median(spreads))


def test_a_band_takes_three_trials() -> None:
    bands = [t for t in chart().figure.data if t.yaxis == "y2" and t.fill == "toself"]
    assert [band.legendgroup for band in bands] == ["relu"]
    ends = sorted(y for x, y in zip(bands[0].x, bands[0].y, strict=True) if x == 1)
    assert ends == pytest.approx([0.3, 0.65]), "the quartiles"


def test_gradients_that_vanish_are_drawn_at_the_end_of_their_scale() -> None:
    found = chart().figure
    assert found.layout.yaxis4.type == "log"
    lines = [t for t in found.data if t.yaxis == "y4" and t.fill is None]
    assert {y for line in lines for y in line.y} == {LEAST_GRADIENT}
