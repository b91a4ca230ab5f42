"""Values as text."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.cli.text import BARS, compact, differences, duration, metric, short, sparkline
from sweep.trial import TrialConfig


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (math.inf, "-"),
        (0.04, "0.0s"),
        (9.96, "10.0s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (200, "3m 20s"),
        (3599.7, "1h 00m"),
        (7500, "2h 05m"),
        (97200, "1d 03h"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_numbers():
    assert [short(x) for x in (None, True, 0.000512345, 3, "he_normal")] == [
        "-",
        "true",
        "0.0005123",
        "3",
        "he_normal",
    ]
    assert [metric(x) for x in (None, 0.43123, 123456.0)] == ["-", "0.4312", "1.2346e+05"]


def test_differences_show_what_is_searched_or_set_and_has_an_effect():
    config = TrialConfig(activation="swish", optimizer="adam", momentum=0.9, epochs=5)
    assert differences(config, {"epochs": 5}, ("learning_rate", "momentum")) == {
        "activation": "swish",
        "learning_rate": 0.001,
    }


def test_compact_leaves_out_what_is_off():
    changes = {"activation": "swish", "batch_norm": "none", "flip": False, "learning_rate": 0.05}
    assert compact(changes) == "swish lr=0.05"
    assert compact({"flip": True, "batch_norm": "before"}) == "flip=true bn=before"
    assert compact({}) == "plain"


def test_sparkline_spans_the_bars():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == BARS
    assert sparkline([0.1, 0.2], low=0.0, high=0.2) == BARS[4] + BARS[7]
    assert sparkline([1, None, 2]) == BARS[0] + " " + BARS[7]
    assert sparkline([]) == ""
    assert sparkline([math.nan]) == " "


def test_a_long_curve_keeps_its_shape():
    assert sparkline([float(i) for i in range(80)], width=8) == BARS


@given(
    st.lists(st.none() | st.floats(-1e300, 1e300) | st.just(math.nan), max_size=200),
    st.integers(1, 30),
)
def test_sparkline_is_never_wider_than_asked(values, width):
    curve = sparkline(values, width=width)
    assert len(curve) == min(len(values), width)
    assert set(curve) <= set(BARS + " ")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.99999, "0.99999"), (1.0, "1"), (0.12345678, "0.1235"), (None, "-"), (True, "true")],
)
def test_a_momentum_near_one_is_not_one(value: object, text: str) -> None:
    assert short(value) == text
