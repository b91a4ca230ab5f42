import pandas as pd
import pytest
from report_studies import frames_of, trial_row

from sweep.report.figures.heatmap import _inks, activation_by_initializer
from sweep.report.figures.style import Chart

PAIRS = {
    ("relu", "he_normal"): [0.40, 0.50],
    ("selu", "lecun_normal"): [0.60, 0.61, 0.62],
    ("tanh", "he_normal"): [0.30, 0.31, 0.32, 0.33],
}


def chart(pairs: dict[tuple[str, str], list[float]]) -> Chart:
    tried = [(*pair, value) for pair, values in pairs.items() for value in values]
    return activation_by_initializer(
        frames_of(
            [
                trial_row(n, values=[v], config={"activation": a, "kernel_initializer": i})
                for n, (a, i, v) in enumerate(tried)
            ]
        )
    )


def test_cells_show_mean_interval_and_count_with_gaps_where_nothing_was_tried() -> None:
    sure, unsure, cells = chart(PAIRS).figure.data
    # From the best row and column to the worst; a heat map counts rows from below.
    assert list(sure.y) == list(unsure.y) == ["tanh", "relu", "selu"]
    assert list(sure.x) == list(unsure.x) == ["lecun<br>normal", "he<br>normal"]
    assert [list(row) for row in sure.z] == [[None, 0.315], [None, None], [0.61, None]]
    assert [list(row) for row in unsure.z] == [[None, None], [None, 0.45], [None, None]]
    assert sure.text[2][0] == "mean 0.610 [0.585, 0.635], best 0.620<br>3 trials"
    small = "<span style='font-size:0.85em'>"
    assert set(zip(cells.y, cells.x, cells.text, strict=True)) == {
        ("relu", "he<br>normal", f".450<br>{small}n=2</span>"),
        ("selu", "lecun<br>normal", f".610<br>{small}±.02<br>n=3</span>"),
        ("tanh", "he<br>normal", f".315<br>{small}±.02<br>n=4</span>"),
    }


def test_cells_of_one_or_two_trials_are_smaller() -> None:
    sure, unsure, cells = chart(PAIRS).figure.data
    assert unsure.xgap > sure.xgap
    assert unsure.ygap > sure.ygap
    sizes = dict(zip(cells.y, cells.textfont.size, strict=True))
    assert sizes["relu"] < sizes["selu"] == sizes["tanh"]


def test_the_sentence_says_whether_the_best_pair_can_be_told_from_the_second() -> None:
    clear = chart(PAIRS).text
    assert "selu with lecun normal is best with 0.610 [0.585, 0.635] (3 trials)" in clear
    assert "it can be told from the second, tanh with he normal, 0.315 (Welch's test" in clear
    close = chart({**PAIRS, ("gelu", "sparse"): [0.5, 0.6, 0.7]}).text
    assert "it cannot be told from the second, gelu with sparse, 0.600" in close
    few = chart({("relu", "he_normal"): [0.4, 0.5]}).text
    assert "highest mean is 0.450 for relu with he normal, but no pair has three trials" in few


def test_texts_can_be_read_on_every_colour() -> None:
    """Dark on light and light on dark, with one change on the way."""
    inks = _inks(pd.Series([n / 20 for n in range(21)]))
    assert inks[0] == "#FFFFFF"
    assert inks[-1] == "#000000"
    assert inks == sorted(inks, reverse=True)
    assert _inks(pd.Series([0.3, 0.3])) == _inks(pd.Series([0.3])) * 2


@pytest.mark.parametrize("columns", [4, 9])
def test_many_names_stand_askew(columns: int) -> None:
    names = ["constant", "sparse", "orthogonal", "he_normal", "he_uniform", "lecun_normal"]
    names += ["lecun_uniform", "glorot_normal", "glorot_uniform"]
    axis = chart({("relu", name): [0.1] for name in names[:columns]}).figure.layout.xaxis
    assert (axis.tickangle != 0) == (columns > 5)
    assert any("<br>" in name for name in axis.categoryarray) == (columns <= 5)
