import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_studies import epoch_row, failed_row, frames_of, trial_row
from scipy import stats

from sweep.report.analysis.effects import effects
from sweep.report.analysis.levels import group_means, levels


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


def study(
    settings: list[dict[str, object]], values: list[float], **changes: object
) -> pd.DataFrame:
    """Effects of trials, indexed by setting and level."""
    rows = [
        trial_row(n, values=[float(v)], config=c, **changes)
        for n, (c, v) in enumerate(zip(settings, values, strict=True))
    ]
    return effects(frames_of(rows)).set_index(["setting", "level"])


def test_levels_are_compared_inside_blocks_of_equal_settings() -> None:
    """Widths differ by far more than the batch norm does, and hide nothing."""
    chance = np.random.default_rng(0)
    widths = [50, 100, 150, 200, 250]
    settings = [{"width": w, "batch_norm": b} for w in widths for b in ("none", "before")]
    gains = chance.normal(0.04, 0.005, 5)
    values = [
        w / 500 + (g if b else 0.0) for w, g in zip(widths, gains, strict=True) for b in (0, 1)
    ]
    row = study(settings, values).loc[("batch_norm", "before")]
    interval = stats.ttest_1samp(gains, 0.0).confidence_interval(0.95)
    assert (row["method"], row["configurations"]) == ("matched", 5)
    assert row["effect"] == pytest.approx(gains.mean())
    assert [row["low"], row["high"]] == pytest.approx([interval.low, interval.high])
    assert row["clear"]


def test_seeds_of_a_configuration_are_no_further_witnesses() -> None:
    chance = np.random.default_rng(1)
    settings = [
        {"activation": a, "learning_rate": float(r)}
        for a in ("relu", "selu")
        for r in np.geomspace(1e-4, 1e-1, 8) * (1.0 if a == "relu" else 1.1)
    ]
    values = chance.normal(0.5, 0.05, len(settings)).tolist()
    once = study(settings, values)
    again = study([c for c in settings for _ in range(5)], [v for v in values for _ in range(5)])
    same = ["effect", "low", "high", "configurations"]
    key = ("activation", "selu")
    assert again.loc[key, same].tolist() == pytest.approx(once.loc[key, same].tolist())
    assert (once.loc[key, "count"], again.loc[key, "count"]) == (8, 40)


def test_what_another_setting_does_is_not_laid_at_this_ones_door() -> None:
    """Selu was mostly tried with good rates, and does nothing itself."""
    chance = np.random.default_rng(2)
    good = chance.random(120) < 0.5
    selu = np.where(good, chance.random(120) < 0.8, chance.random(120) < 0.2)
    rates = np.where(good, 1e-3, 1e-1) * chance.uniform(0.5, 2.0, 120)
    values = np.where(good, 0.5, 0.4) + chance.normal(0, 0.01, 120)
    settings = [
        {"activation": "selu" if s else "relu", "learning_rate": float(r)}
        for s, r in zip(selu, rates, strict=True)
    ]
    row = study(settings, values.tolist()).loc[("activation", "selu")]
    assert row["method"] == "adjusted"
    assert row["low"] < 0 < row["high"]
    assert abs(row["effect"]) < 0.01 < 0.04 < values[selu].mean() - values[~selu].mean()


def test_settings_that_always_went_together_cannot_be_told_apart() -> None:
    settings = [
        {"activation": ("relu", "selu")[n % 2], "batch_norm": ("none", "after")[n % 2]}
        for n in range(24)
    ]
    settings = [c | {"width": 50 + n} for n, c in enumerate(settings)]
    table = study(settings, [0.3 + 0.1 * (n % 2) + 0.001 * (n % 5) for n in range(24)])
    row = table.loc[("activation", "selu")]
    assert math.isnan(row["effect"])
    assert row["caution"] == "never chosen apart from another setting"
    assert "these data cannot say" in row["sentence"]


def test_a_rare_level_is_compared_with_nothing() -> None:
    settings = [{"activation": "selu"}] * 2 + [{"activation": "relu"}] * 8
    table = study(settings + [{"activation": "tanh"}] * 8, [0.9] * 2 + [0.3, 0.4] * 8)
    assert math.isnan(table.loc[("activation", "selu"), "effect"])
    assert table.loc[("activation", "selu"), "caution"] == "too few trials to compare"
    # And the others are not compared with it.
    assert table.loc[("activation", "relu"), "effect"] == pytest.approx(0.0, abs=1e-12)


def test_levels_that_fail_more_often_are_named() -> None:
    rows = [trial_row(n, values=[0.3 + 0.01 * (n % 4)], config={"width": 50}) for n in range(12)]
    rows += [trial_row(12 + n, values=[0.3 + 0.01 * n], config={"width": 99}) for n in range(4)]
    rows += [failed_row(16 + n, config={"width": 99}) for n in range(6)]
    rows += [failed_row(22 + n, config={"width": 999}) for n in range(2)]
    table = effects(frames_of(rows)).set_index("level")
    assert table["failed"].to_dict() == {"50": 0, "99": 6, "999": 2}
    assert "6 of 10 trials failed and do not count" in table.loc["99", "caution"]
    assert table.loc["50", "caution"] == ""
    assert table.loc["999", "caution"] == "all 2 trials failed"
    assert math.isnan(table.loc["999", "effect"])


def test_pruned_trials_count_with_what_they_might_have_reached() -> None:
    """Every second narrow trial was pruned at half of its value."""
    chance = np.random.default_rng(3)
    rows, epochs = [], []
    for n in range(60):
        final = float(chance.normal(0.4, 0.02))
        epochs.append(epoch_row(n, 1, final / 2))
        ended = {"state": "PRUNED", "stop_reason": "pruned", "epochs": 1, "values": [final / 2]}
        if n % 4:
            epochs.append(epoch_row(n, 2, final))
            ended = {"values": [final]}
        rows.append(trial_row(n, config={"width": 50 + 50 * (n % 2)}, **ended))
    table = effects(frames_of(rows, epochs)).set_index("level")
    row = table.loc["50"]
    assert (row["pruned"], row["reckoned"]) == (15, 15)
    assert row["effect"] == pytest.approx(0.0, abs=0.02)
    assert "50% of its values reckoned on from pruned trials" in row["caution"]


def test_the_time_of_an_epoch_is_compared_too() -> None:
    rows = [
        trial_row(n, values=[0.3 + 0.01 * (n // 2 % 5)], config={"batch_norm": kind})
        for n, kind in enumerate(["none", "before"] * 12)
    ]
    pace = [2.0 * (1.5 if n % 2 else 1.0) * (1.0 + 0.01 * (n // 2 % 3)) for n in range(24)]
    epochs = [epoch_row(n, e, 0.3, seconds=pace[n]) for n in range(24) for e in (1, 2)]
    row = effects(frames_of(rows, epochs)).set_index("level").loc["before"]
    assert row["time_ratio"] == pytest.approx(1.5)
    assert row["time_low"] < 1.5 < row["time_high"] < 1.6
    assert row["sentence"] == (
        "batch norm before the activation: +0.0 points [-1.3, 1.3], which may be chance "
        "at 1.5x the time per epoch, 24 trials"
    )


def test_momentum_is_sgds_and_compared_among_its_trials() -> None:
    chance = np.random.default_rng(4)
    settings: list[dict[str, object]] = []
    for n in range(60):
        sgd = {"optimizer": "sgd", "momentum": (0.0, 0.9, 0.99)[n // 2 % 3]}
        settings.append((sgd if n % 2 else {"optimizer": "adam"}) | {"width": 50 + n})
    gain = {0.0: 0.0, 0.9: 0.06, 0.99: 0.03}
    values = [0.4 + gain.get(c.get("momentum"), 0.0) + chance.normal(0, 0.002) for c in settings]
    table = study(settings, values)
    assert table.loc[("momentum", "0.9"), "effect"] == pytest.approx(0.045, abs=0.004)
    assert table.loc[("momentum", "0.9"), ["count", "others"]].tolist() == [10, 20]
    # SGD with the momenta that were tried: 0.03 on average.
    assert table.loc[("optimizer", "sgd"), "effect"] == pytest.approx(0.03, abs=0.004)


def test_many_effects_of_nothing_are_not_clear() -> None:
    """Holm's correction: of p-values, the smallest times their number, and so on."""
    chance = np.random.default_rng(5)
    settings = [
        {"activation": str(chance.choice(["relu", "selu", "tanh"])), "width": int(w)}
        for w in chance.integers(50, 200, 90)
    ]
    table = study(settings, chance.normal(0.4, 0.02, 90).tolist())
    assert not table["clear"].any()
    assert (table["p"] >= 0.05).all()
    assert (table["p"] <= 1.0).all()
