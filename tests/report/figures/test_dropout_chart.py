import pytest
from report_studies import frames_of, trial_row

from sweep.report.figures.dropout import dropout
from sweep.report.figures.style import Chart

KINDS = {
    ("none", 0.1): [0.40, 0.42, 0.44],
    ("dropout", 0.1): [0.50, 0.52, 0.54],
    ("dropout", 0.3): [0.30, 0.32, 0.34],
    ("dropout", 0.5): [0.2],
}


def chart() -> Chart:
    tried = [(*kind, value) for kind, values in KINDS.items() for value in values]
    return dropout(
        frames_of(
            [
                trial_row(n, values=[v], config={"dropout": k, "dropout_rate": r})
                for n, (k, r, v) in enumerate(tried)
            ]
        )
    )


def test_each_rate_has_its_mean_and_none_is_a_line_across() -> None:
    traces = chart().figure.data
    marks = next(t for t in traces if t.name == "dropout (7)" and t.error_y.array is not None)
    assert list(marks.x) == [0.1, 0.3, 0.5]
    assert list(marks.y) == pytest.approx([0.52, 0.32, 0.2])
    assert marks.error_y.array[0] == pytest.approx(4.303 * 0.02 / 3**0.5, rel=1e-3)
    assert list(marks.marker.symbol) == ["diamond", "diamond", "diamond-open"]
    line = next(t for t in traces if t.mode == "lines" and t.fill is None)
    assert list(line.y) == [0.42, 0.42]
    assert line.x[0] < 0.0 < 0.5 < line.x[1]
    band = next(t for t in traces if t.fill == "toself")
    assert max(band.y) - 0.42 == pytest.approx(0.0497, abs=1e-4)


def test_the_sentence_names_means_and_the_best_rate() -> None:
    text = chart().text
    assert "none 0.420 [0.370, 0.470] (n=3)" in text
    assert "highest at a rate of 0.1" in text
