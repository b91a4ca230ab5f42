"""Chaos, the short of it; `python tests/chaos/chaos.py` goes on for as long as it is told."""

import chaos
import pytest


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_is_killed_every_trial_ends_once_with_the_figures_of_an_undisturbed_run() -> None:
    report = chaos.run(kills=12, seed=3, workers=3, trials=8, epochs=20, stops=1)
    assert report["problems"] == []
    assert sum(report["kills"].values()) >= 6
    assert report["server_crashes"] == 1
