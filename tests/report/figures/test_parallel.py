import json
from typing import Any

import pytest
from report_studies import frames_of, trial_row

from sweep.report.figures.parallel import INACTIVE, parallel_coordinates
from sweep.report.frames import StudyFrames, active_values, study_frames
from sweep.store import Store


def lines(frames: StudyFrames) -> tuple[dict[str, Any], dict[int, list[float]], dict[int, float]]:
    """What the page's script reads: the axes, each trial's heights on them, and its value."""
    drawn = json.loads(parallel_coordinates(frames).figure.to_json())
    about = drawn["layout"]["meta"]["brush"]
    size = len(about["axes"])
    heights, values = {}, {}
    for trace in drawn["data"]:
        for line, number in enumerate(trace["meta"]["numbers"]):
            assert trace["x"][line * (size + 1) : (line + 1) * (size + 1)] == [*range(size), None]
            heights[number] = trace["y"][line * (size + 1) :][:size]
            values[number] = trace["meta"]["values"][line]
    return about, heights, values


def test_a_page_can_tell_which_trials_lie_in_a_range(store: Store) -> None:
    frames = study_frames(store, "cifar-deep")
    about, heights, values = lines(frames)
    trials = frames.valued.set_index("number")
    assert values == pytest.approx(trials["value"].to_dict(), rel=1e-4)
    assert (about["trials"], about["metric"], about["maximize"]) == (
        len(trials),
        "validation accuracy",
        True,
    )
    for place, axis in enumerate(about["axes"][:-1]):
        setting = axis["name"].replace(" ", "_")
        known = active_values(trials, setting)
        for number, value in known.items():
            height = heights[number][place]
            inside = [t["label"] for t in axis["ticks"] if t["low"] <= height <= t["high"]]
            if known.isna()[number]:
                assert (inside, height) == (["no effect"], INACTIVE)
            elif axis["ends"] is None:
                assert len(inside) == 1
                assert inside == [str(value)] or float(inside[0]) == pytest.approx(value)
            else:
                low, high, log = axis["ends"].values()
                read = low * (high / low) ** height if log else low + (high - low) * height
                assert read == pytest.approx(value, rel=1e-3, abs=1e-3 * (high - low))


def test_ticks_that_lie_apart_share_no_trial() -> None:
    rows = [
        trial_row(n, values=[n / 10], config={"optimizer": name, "momentum": 0.9})
        for n, name in enumerate(["sgd", "adam"] * 4)
    ]
    about, _, _ = lines(frames_of(rows))
    for axis in about["axes"]:
        ticks = sorted(axis["ticks"], key=lambda tick: tick["low"])
        for one, next_one in zip(ticks, ticks[1:], strict=False):
            assert one["high"] < next_one["low"], axis["name"]


def test_many_trials_say_how_many_are_drawn() -> None:
    rows = [
        trial_row(n, values=[n / 1e4], config={"learning_rate": 1e-4 * (n + 1)})
        for n in range(1200)
    ]
    about, heights, _ = lines(frames_of(rows))
    assert about["trials"] == len(heights) == 500
    chart = parallel_coordinates(frames_of(rows))
    assert "500 of 1,200 trials" in chart.figure.layout.title.text
    assert len(chart.figure.to_json()) < 80_000
