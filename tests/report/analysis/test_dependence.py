import numpy as np
import planted
import pytest
from report_studies import frames_of, trial_row

from sweep.errors import UsageError
from sweep.report.analysis.dependence import partial_dependence


def test_a_curve_follows_what_was_planted() -> None:
    nature = planted.Nature(np.random.default_rng(0), peculiar=0.001, noise=0.001)
    draw = planted.random_search(nature, 1, 200)
    ((frames, truth),) = draw.frames()
    curve = partial_dependence(frames, "learning_rate")
    assert draw.rate is not None
    expected = draw.slope * (np.log10(curve["value"].astype(float)) + 3.0) ** 2
    expected -= truth["learning_rate"].mean()
    assert curve["effect"].to_numpy() == pytest.approx(expected.to_numpy(), abs=0.002)
    assert ((curve["low"] <= expected) & (expected <= curve["high"])).mean() > 0.9
    assert curve["value"].iloc[[0, -1]].tolist() == pytest.approx(
        [10 ** draw.rate[0].min(), 10 ** draw.rate[0].max()]
    )


def test_each_choice_is_a_place() -> None:
    rows = [
        trial_row(n, values=[0.4 + 0.1 * (n % 2) + 0.001 * (n % 3)], config=config)
        for n in range(24)
        for config in [{"activation": ("relu", "selu")[n % 2], "width": 50 + n}]
    ]
    table = partial_dependence(frames_of(rows), "activation").set_index("value")
    assert table["effect"].to_dict() == pytest.approx({"relu": -0.05, "selu": 0.05}, abs=0.002)
    assert (table["low"] < table["effect"]).all()


def test_a_setting_that_does_not_vary_is_named() -> None:
    with pytest.raises(UsageError, match="does not vary") as caught:
        partial_dependence(frames_of([trial_row(0)]), "width")
    assert "width" in str(caught.value)
