import numpy as np
import planted
import pytest
from report_studies import frames_of, trial_row

from sweep.report.analysis.interactions import interactions


def working_together(gain: float) -> list[dict[str, object]]:
    chance = np.random.default_rng(0)
    rows = []
    for n in range(120):
        activation = str(chance.choice(["relu", "selu", "tanh"]))
        norm = str(chance.choice(["none", "before"]))
        both = activation == "tanh" and norm == "before"
        value = 0.4 + 0.05 * (activation == "selu") + 0.03 * (norm == "before")
        value += gain * both + float(chance.normal(0, 0.01))
        config = {"activation": activation, "batch_norm": norm, "width": 50 + n}
        rows.append(trial_row(n, values=[value], config=config))
    return rows


def test_settings_that_work_together_are_found_and_named() -> None:
    table = interactions(frames_of(working_together(0.08)))
    first = table.iloc[0]
    assert {first["first"], first["second"]} == {"activation", "batch_norm"}
    assert first["clear"]
    assert first["explained"] > 0.1
    assert not table["clear"][1:].any()
    assert first["first_level"] == "tanh"
    assert "; activation tanh with " in first["sentence"]
    assert table["explained"].is_monotonic_decreasing


def test_separate_effects_are_no_interaction() -> None:
    table = interactions(frames_of(working_together(0.0)))
    assert not table["clear"].any()
    assert (table["explained"] < 0.05).all()
    assert table["sentence"].str.endswith("which may be chance").all()


def test_pairs_that_were_never_combined_are_unknown() -> None:
    nature = planted.Nature(np.random.default_rng(0))
    frames, _ = next(planted.random_search(nature, 1, 60).frames())
    table = interactions(frames).set_index(["first", "second"])
    # Momentum is SGD's alone.
    assert np.isnan(table.loc[("optimizer", "momentum"), "p"])
    assert "cannot say" in table.loc[("optimizer", "momentum"), "sentence"]


@pytest.mark.parametrize("trials", [0, 1, 5])
def test_few_trials_have_none(trials: int) -> None:
    table = interactions(frames_of(working_together(0.0)[:trials]))
    assert not table["clear"].any()
