import json
from datetime import UTC, datetime, timedelta

import pytest
from report_studies import frames_of, trial_row

from sweep.report.figures.gantt import MOST_BARS, gantt
from sweep.report.figures.rank import rank
from sweep.report.frames import StudyFrames, study_frames
from sweep.store import Store

START = datetime.fromtimestamp(1.8e9, UTC)
MINUTE = timedelta(minutes=1)


def trained(count: int, workers: int = 4) -> StudyFrames:
    """Trials of 9.5 minutes, one every ten minutes on every worker."""
    rows = [
        trial_row(
            number,
            worker=f"gpu{number % workers}",
            started=START + MINUTE * 10 * (number // workers),
            ended=START + MINUTE * (10 * (number // workers) + 9.5),
        )
        for number in range(count)
    ]
    process = {"pid": 1, "host": "host", "device": "gpu", "engine": "fused", "ready_at": START}
    alive = {"ended_at": None, "end_reason": None}
    return frames_of(
        rows, workers=[{"worker": f"gpu{i}"} | process | alive for i in range(workers)]
    )


def test_bars_are_as_long_as_the_database_says(store: Store) -> None:
    frames = study_frames(store, "cifar-deep")
    bars = [trace for trace in gantt(frames).figure.data if trace.type == "bar"]
    lengths = {
        number: seconds
        for bar in bars
        for (number, *_), seconds in zip(bar.customdata, bar.x, strict=True)
    }
    trials = frames.trials.set_index("number")
    expected = (trials["ended"] - trials["started"]).dt.total_seconds()
    assert lengths == pytest.approx(expected.to_dict(), rel=1e-3, abs=1e-4)


def test_the_sentence_says_how_busy_the_slots_were() -> None:
    text = gantt(trained(40)).text
    assert text == (
        "4 workers with 4 slots trained 40 trials in 99.5 minutes; on average 95% of the slots "
        "were busy."
    )


def test_ten_thousand_trials_are_a_heat_map_and_small() -> None:
    few, many = gantt(trained(MOST_BARS)).figure, gantt(trained(10_000, 25)).figure
    assert [trace.type for trace in few.data] == ["scatter", "bar"]
    assert [trace.type for trace in many.data] == ["scatter", "heatmap"]
    assert len(many.to_json()) < 60_000
    assert len(few.to_json()) < 100_000
    (heat,) = many.data[1:]
    assert len(heat.z) == 25
    assert all(0.9 < share <= 1.0 for row in heat.z for share in row)


def test_pauses_are_said_and_marked() -> None:
    frames = frames_of(
        [
            trial_row(n, worker="cpu0", started=START + begin, ended=START + begin + 2 * MINUTE)
            for n, begin in enumerate((0 * MINUTE, 2 * MINUTE, 3000 * MINUTE))
        ]
    )
    chart = gantt(frames)
    assert "1 pause left out, 2 d 01 h in all" in chart.text
    assert "1 pause cut out (dotted)" in chart.figure.layout.title.text
    (line,) = chart.figure.layout.shapes
    assert (line.x0, line.label.text) == (4.0, "2 d 01 h")


def test_one_seed_is_hollow_and_called_unconfirmed() -> None:
    rows = [
        trial_row(n, values=[value], config={"activation": activation})
        for n, (activation, value) in enumerate(
            [("relu", 0.5), ("relu", 0.52), ("relu", 0.51), ("selu", 0.6), ("elu", 0.3)]
        )
    ]
    chart = rank(frames_of(rows))
    several, single = chart.figure.data
    assert (several.marker.symbol, list(several.x)) == ("circle", [0.51])
    assert (single.marker.symbol, list(single.x)) == ("circle-open", [0.6, 0.3])
    assert single.error_x.array is None
    assert "one seed" in chart.figure.layout.title.text
    assert "unconfirmed: one seed, and the maximum of many flatters" in chart.text
    assert "cannot be said" in chart.text
    labels = [label.text for label in chart.figure.layout.annotations]
    assert labels == ["<b>trial 3</b> selu", "<b>trial 0, 3 seeds</b> relu", "<b>trial 4</b> elu"]


def test_a_confirmed_winner_is_told_from_the_second() -> None:
    rows = [
        trial_row(n, values=[0.5 + 0.1 * (n < 3) + 0.001 * n], config={"depth": 2 + (n < 3)})
        for n in range(6)
    ]
    text = rank(frames_of(rows)).text
    assert "better than the second beyond chance" in text
    assert "unconfirmed" not in text


def test_many_configurations_are_cut_to_the_top() -> None:
    rows = [
        trial_row(n, values=[0.3 + n / 1e5], config={"learning_rate": 1e-4 * (n + 1)})
        for n in range(2000)
    ]
    chart = rank(frames_of(rows))
    assert list(chart.figure.data[0].y) == list(range(1, 21))
    assert len(chart.figure.to_json()) < 20_000
    assert json.loads(chart.figure.to_json())["data"][0]["x"][0] == pytest.approx(0.31999)
