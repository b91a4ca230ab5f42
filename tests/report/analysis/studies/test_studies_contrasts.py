import numpy as np
import pandas as pd
import pytest
from report_studies import epoch_row, frames_of, trial_row
from scipy.stats import ttest_ind, ttest_rel
from several_studies import spec_of, study

from sweep.report.analysis.studies.contrasts import study_contrasts
from sweep.report.frames import StudyFrames

ACTIVATIONS = ("relu", "elu", "selu", "swish")
GOOD = dict(zip(ACTIVATIONS, (0.0, 0.02, 0.05, 0.1), strict=True))


def trials(
    seed: int, shares: tuple[float, ...], shift: float = 0.0, count: int = 40, **fixed: object
) -> list[tuple[dict[str, object], float]]:
    """Random trials: an activation drawn by shares, a rate, and noise of 0.01."""
    chance = np.random.default_rng(seed)
    made = []
    for activation in chance.choice(ACTIVATIONS, count, p=shares):
        rate = float(10 ** chance.uniform(-4, -2))
        value = 0.3 + GOOD[activation] + shift + 0.01 * chance.standard_normal()
        made.append(({"activation": str(activation), "learning_rate": rate, **fixed}, value))
    return made


EVEN = (0.25,) * 4


def row(table: pd.DataFrame, method: str) -> pd.Series:
    return table[table["method"] == method].iloc[0]


def test_all_trials_are_compared_by_welchs_test() -> None:
    one, two = trials(1, EVEN), trials(2, EVEN, 0.02, count=25)
    found = row(study_contrasts([study("a", one), study("b", two)]), "all")
    values = [[value for _, value in some] for some in (one, two)]
    test = ttest_ind(values[1], values[0], equal_var=False)
    interval = test.confidence_interval()
    assert found["difference"] == pytest.approx(np.mean(values[1]) - np.mean(values[0]))
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high))
    assert found["p"] == pytest.approx(test.pvalue)
    wins = np.mean([[b > a for a in values[0]] for b in values[1]])
    assert found["better"] == pytest.approx(wins)


def test_seeds_of_one_configuration_are_one_witness() -> None:
    once = trials(1, EVEN, count=6)
    thrice = [(config, value) for config, value in once for _ in range(3)]
    other = study("b", trials(2, EVEN, count=6))
    few, many = (row(study_contrasts([study("a", t), other]), "all") for t in (once, thrice))
    assert (many["first_count"], many["units"]) == (18, 12)
    assert many["high"] - many["low"] == pytest.approx(few["high"] - few["low"])


def test_configurations_that_both_trained_are_compared_in_pairs() -> None:
    one = trials(1, EVEN, batch_norm="none", count=8)
    noise = 0.02 + 0.005 * np.random.default_rng(3).standard_normal(8)
    two = [
        (config | {"batch_norm": "before"}, value + gap)
        for (config, value), gap in zip(one, noise, strict=True)
    ]
    table = study_contrasts([study("a", one), study("b", two)])
    found = row(table, "matched")
    interval = ttest_rel([v for _, v in two], [v for _, v in one]).confidence_interval()
    assert found["difference"] == pytest.approx(noise.mean())
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high))
    assert (found["units"], found["clear"]) == (8, True)
    assert found["apart"] == ("batch_norm", "batch_norm_momentum")
    # All the same trials, so a model would say the same again.
    assert table["method"].tolist() == ["all", "matched"]


def test_a_search_that_tried_better_settings_is_no_better_at_equal_settings() -> None:
    lucky = study("b", trials(2, (0.05, 0.05, 0.1, 0.8)))
    table = study_contrasts([study("a", trials(1, (0.8, 0.1, 0.05, 0.05))), lucky])
    assert row(table, "all")["low"] > 0.03
    held = row(table, "adjusted")
    assert abs(held["difference"]) < 0.01
    assert held["low"] < 0 < held["high"]
    assert "which may be chance" in held["sentence"]


def test_only_settings_that_both_tried_are_held_fixed() -> None:
    narrow = [t for t in trials(1, EVEN, count=60) if t[0]["activation"] in ("relu", "elu")]
    wide = trials(2, EVEN, 0.02, count=60)
    held = row(study_contrasts([study("a", narrow), study("b", wide)]), "adjusted")
    common = [t for t in wide if t[0]["activation"] in ("relu", "elu")]
    assert held["other_count"] <= len(common) < len(wide)
    assert held["low"] < 0.02 < held["high"]


def test_a_number_that_one_study_held_fixed_inside_the_others_range() -> None:
    fixed = [(config | {"learning_rate": 1e-3}, value) for config, value in trials(1, EVEN)]
    held = row(study_contrasts([study("a", fixed), study("b", trials(2, EVEN, 0.02))]), "adjusted")
    assert (held["first_count"], held["other_count"]) == (40, 40)
    assert held["low"] < 0.02 < held["high"]


def test_of_a_search_that_followed_results_all_trials_have_no_interval() -> None:
    search = study("b", trials(2, EVEN), "sampler.name=tpe")
    found = row(study_contrasts([study("a", trials(1, EVEN)), search]), "all")
    assert np.isfinite(found["difference"])
    assert np.isnan([found["low"], found["high"], found["p"]]).all()
    assert not found["clear"]
    assert "which could have gone otherwise" in found["sentence"]
    # Its first ten trials are random.
    young = study("b", trials(2, EVEN, count=10), "sampler.name=tpe")
    assert np.isfinite(row(study_contrasts([study("a", trials(1, EVEN)), young]), "all")["low"])


def test_less_is_better_where_the_objective_is_minimized() -> None:
    about = {"metrics": ("val_loss",), "directions": ("minimize",)}
    worse = study("b", trials(2, EVEN, 0.2), **about)
    found = row(study_contrasts([study("a", trials(1, EVEN), **about), worse]), "all")
    assert found["difference"] > 0.1
    assert found["better"] < 0.1
    assert ", so b is worse;" in found["sentence"]


def test_values_of_other_data_are_not_compared() -> None:
    table = study_contrasts(
        [study("a", trials(1, EVEN)), study("b", trials(2, EVEN), fallback=True)]
    )
    assert table["method"].tolist() == ["refused"]
    assert table[["difference", "low", "high", "p"]].isna().all(axis=None)
    assert "their values say nothing about each other" in table["sentence"].iloc[0]
    assert "synthetic data (fallback)" in table["sentence"].iloc[0]


def test_too_few_trials_are_told() -> None:
    table = study_contrasts([study("a", trials(1, EVEN)), study("b", trials(2, EVEN, count=2))])
    assert table["method"].tolist() == ["all"]
    assert "these data cannot say" in table["sentence"].iloc[0]
    assert "too few trials to compare" in table["sentence"].iloc[0]
    assert study_contrasts([study("a")]).empty


def pruning(name: str, pruned: bool) -> StudyFrames:
    """Trials that all come to 0.1 above their first epoch; the weak ones end there."""
    rows, epochs = [], []
    for number in range(24):
        early = 0.2 + 0.01 * number
        ends = pruned and number < 12
        rows.append(
            trial_row(
                number,
                state="PRUNED" if ends else "COMPLETE",
                values=[early if ends else early + 0.1],
                epochs=1 if ends else 2,
                config={"learning_rate": 1e-4 * (number + 1)},
            )
        )
        epochs.append(epoch_row(number, 1, early))
        if not ends:
            epochs.append(epoch_row(number, 2, early + 0.1))
    return frames_of(rows, epochs, name=name, spec=spec_of(name))


def test_pruned_trials_count_with_what_they_might_have_reached() -> None:
    found = row(study_contrasts([pruning("a", False), pruning("b", True)]), "matched")
    assert found["difference"] == pytest.approx(0.0, abs=1e-6)
    assert "0% and 50% of the values reckoned on from pruned trials" in found["sentence"]
