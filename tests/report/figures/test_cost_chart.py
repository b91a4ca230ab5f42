import pytest
from report_studies import frames_of, trial_row

from sweep.report.figures.pareto import accuracy_cost
from sweep.report.figures.style import Chart

# Accuracy, milliseconds.
NETWORKS = ((0.30, 1.0), (0.40, 2.0), (0.35, 3.0), (0.405, 8.0))


def chart(networks: tuple[tuple[float, float], ...] = NETWORKS) -> Chart:
    rows = [
        trial_row(
            n,
            values=[accuracy],
            config={"activation": ("relu", "selu")[n % 2]},
            inference_seconds=milliseconds / 1e3,
        )
        for n, (accuracy, milliseconds) in enumerate(networks)
    ]
    return accuracy_cost(frames_of(rows))


def test_the_front_is_what_no_other_beats_at_its_cost() -> None:
    found = chart()
    front = next(trace for trace in found.figure.data if trace.name == "Pareto front")
    assert list(front.x) == pytest.approx([1.0, 2.0, 8.0])
    assert list(front.y) == [0.30, 0.40, 0.405]
    assert list(front.customdata) == [0, 1, 3]
    (other,) = (trace for trace in found.figure.data if trace.name == "complete")
    assert list(other.customdata) == [2]
    assert "trial 1 is faster (0.400 at 2 ms)" in found.text
    assert found.figure.layout.xaxis.type is None


def test_one_time_that_was_measured_far_too_long_leaves_room_for_the_others() -> None:
    slow = chart((*NETWORKS, (0.2, 160.0)))
    assert slow.figure.layout.xaxis.type == "log"


def test_costs_that_do_not_differ_are_left_out() -> None:
    found = chart(tuple((accuracy, 1.0) for accuracy, _ in NETWORKS))
    assert found.text == "The networks of this study all cost the same."
