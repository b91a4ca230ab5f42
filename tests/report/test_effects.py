import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_studies import epoch_row, failed_row, frames_of, trial_row
from scipy import stats

from sweep.report.effects import effects, group_means, levels


def test_interval_of_a_mean_is_students() -> None:
    values = pd.Series([0.1, 0.4, 0.35, 0.8, 0.5])
    table = group_means(values, pd.Series(["a", "a", "a", "a", "b"]))
    low, high = stats.t.interval(0.95, 3, values[:4].mean(), stats.sem(values[:4]))
    assert table.loc["a", ["low", "high"]].tolist() == pytest.approx([low, high])
    assert table.loc["b", "mean"] == 0.5
    assert math.isnan(table.loc["b", "low"])


def test_effect_is_welchs_comparison_with_the_other_trials() -> None:
    chance = np.random.default_rng(0)
    relu, selu = chance.normal(0.4, 0.02, 8), chance.normal(0.5, 0.06, 5)
    rows = [
        trial_row(n, values=[v], config={"activation": a})
        for n, (v, a) in enumerate([*((v, "relu") for v in relu), *((v, "selu") for v in selu)])
    ]
    table = effects(frames_of(rows)).set_index("level")
    welch = stats.ttest_ind(selu, relu, equal_var=False)
    interval = welch.confidence_interval(0.95)
    row = table.loc["selu"]
    assert row["effect"] == pytest.approx(selu.mean() - relu.mean())
    assert [row["low"], row["high"]] == pytest.approx([interval.low, interval.high])
    assert (row["count"], row["others"]) == (5, 8)
    assert table.loc["relu", "effect"] == pytest.approx(-row["effect"])


def test_diverged_and_pruned_trials_count_and_failed_ones_do_not() -> None:
    rows = [
        trial_row(0, values=[0.5], config={"batch_norm": "before"}),
        trial_row(1, values=[0.1], stop_reason="diverged", config={"batch_norm": "before"}),
        trial_row(2, values=[0.2], state="PRUNED", stop_reason="pruned", config={}),
        trial_row(3, values=[0.3], config={}),
        failed_row(4, config={}),
    ]
    table = effects(frames_of(rows, [epoch_row(0, 1, 0.5)])).set_index("level")
    assert table.loc["before", ["count", "diverged", "pruned"]].tolist() == [2, 1, 0]
    assert table.loc["none", ["count", "diverged", "pruned"]].tolist() == [2, 0, 1]
    assert table.loc["before", "mean"] == pytest.approx(0.3)


def test_settings_are_ordered_by_the_variance_they_explain() -> None:
    rows = [
        trial_row(
            n,
            values=[0.3 + 0.2 * (n % 2) + 0.001 * n],
            config={"activation": ("relu", "selu")[n % 2], "scaling": ("unit", "channel")[n // 5]},
        )
        for n in range(10)
    ]
    table = effects(frames_of(rows))
    assert list(dict.fromkeys(table["setting"])) == ["activation", "scaling"]
    assert table["explained"].max() > 0.99
    assert table["explained"].min() == 0.0


def test_a_single_trial_has_no_effects() -> None:
    assert effects(frames_of([trial_row(0)])).empty


@given(
    st.lists(st.floats(1e-6, 1e-1), min_size=1, max_size=60),
    st.lists(st.sampled_from(["sgd", "adam"]), min_size=60, max_size=60),
)
@settings(max_examples=40, deadline=None)
def test_every_trial_falls_into_one_level(rates: list[float], optimizers: list[str]) -> None:
    rows = [
        trial_row(n, config={"learning_rate": rate, "optimizer": optimizers[n], "momentum": 0.5})
        for n, rate in enumerate(rates)
    ]
    trials = frames_of(rows).trials
    by_rate = levels(trials, "learning_rate")
    assert by_rate.notna().all()
    assert by_rate.nunique() <= 6
    assert levels(trials, "momentum").notna().tolist() == (trials["optimizer"] == "sgd").tolist()
    smallest = [trials.loc[by_rate == level, "learning_rate"].min() for level in by_rate.unique()]
    assert len(set(smallest)) == len(smallest)


def test_momenta_close_to_one_stay_apart() -> None:
    rows = [
        trial_row(n, config={"optimizer": "sgd", "momentum": momentum})
        for n, momentum in enumerate((0.99, 0.999, 0.9999, 0.99999))
    ]
    named = levels(frames_of(rows).trials, "momentum")
    assert named.tolist() == ["0.99", "0.999", "0.9999", "0.99999"]
