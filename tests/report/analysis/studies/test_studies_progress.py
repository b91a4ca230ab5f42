import math

import pytest
from report_studies import epoch_row, failed_row, frames_of, run_row, trial_row
from several_studies import study

from sweep.report.analysis.studies.clock import active_clock
from sweep.report.analysis.studies.progress import (
    accuracy_after,
    accuracy_steps,
    incumbents,
    pace_sentence,
)
from sweep.report.frames import StudyFrames

BEGUN = 1.8e9


def at(number: int, epoch: int, accuracy: float | None, seconds: float) -> dict[str, object]:
    return epoch_row(number, epoch, accuracy, reported=BEGUN + seconds)


def resumed() -> StudyFrames:
    """Two trials side by side, a pause of 900 seconds, one trial more."""
    epochs = [
        at(0, 1, 0.3, 40),
        at(1, 1, 0.2, 30),
        at(1, 2, None, 60),
        at(0, 2, 0.25, 80),
        at(2, 1, 0.4, 1050),
        at(2, 2, 0.4, 1090),
    ]
    runs = [run_row(0, 100), run_row(1000, 1100)]
    return frames_of([trial_row(n) for n in range(3)], epochs, runs=runs)


def test_pauses_between_runs_are_no_time() -> None:
    clock = active_clock(resumed())
    assert (clock.seconds, clock.pauses) == (200, 1)
    steps = accuracy_steps(resumed())
    assert steps["seconds"].tolist() == [30, 40, 150, 200]
    assert steps["epochs"].tolist() == [1, 2, 5, 6]
    assert steps["accuracy"].tolist() == [0.2, 0.3, 0.4, 0.4]
    assert list(zip(steps["number"], steps["epoch"], strict=True)) == [
        (1, 1),
        (0, 1),
        (2, 1),
        (2, 1),
    ]


def test_runs_side_by_side_are_one_time() -> None:
    runs = [run_row(0, 100), run_row(50, 200), run_row(20, 30)]
    clock = active_clock(frames_of([], runs=runs))
    assert (clock.seconds, clock.pauses) == (200, 0)


def test_a_killed_run_counts_until_its_hold_expired() -> None:
    killed = run_row(0, 5000, expires_at=run_row(0, 160)["ended_at"])
    assert active_clock(frames_of([], runs=[killed])).seconds == 160


def test_a_living_run_counts_until_what_is_known_last() -> None:
    frames = frames_of([trial_row(0)], [at(0, 1, 0.3, 70)], runs=[run_row(0, None)])
    assert active_clock(frames).seconds == 70


def test_without_runs_the_trials_own_times_count() -> None:
    one, two = run_row(0, 10), run_row(40, 60)
    rows = [
        trial_row(n, started=run["started_at"], ended=run["ended_at"])
        for n, run in enumerate((one, two))
    ]
    clock = active_clock(frames_of(rows))
    assert (clock.seconds, clock.pauses) == (30, 1)


def test_best_so_far_knows_the_direction_and_no_diverged_trial() -> None:
    rows = [
        trial_row(0, values=[2.0]),
        trial_row(1, values=[0.1], stop_reason="diverged"),
        failed_row(2),
        trial_row(3, values=[1.5]),
        trial_row(4, values=[1.9]),
        failed_row(5, state="RUNNING"),
    ]
    steps = incumbents(frames_of(rows, metrics=("val_loss",), directions=("minimize",)))
    assert steps.to_numpy().tolist() == [[0, 2.0], [3, 1.5], [4, 1.5]]


def test_nothing_is_made_up_where_nothing_is_known() -> None:
    for frames in (frames_of([]), frames_of([trial_row(0)], [epoch_row(0, 1, None)])):
        assert accuracy_steps(frames).empty
        assert pace_sentence(frames, resumed()) is None
    assert active_clock(frames_of([])).seconds == 0


def test_accuracy_after_some_epochs() -> None:
    steps = accuracy_steps(resumed())
    found = [accuracy_after(steps, epochs) for epochs in (0, 1, 4, 5, 99)]
    assert found == [0.2, 0.2, 0.3, 0.4, 0.4]
    assert not any(map(math.isnan, found))


def test_pace_is_to_what_both_reached() -> None:
    other = study("fast", [({}, 0.35)])
    assert pace_sentence(resumed(), other) == (
        "Both reached a validation accuracy of 0.3500: fast after 0.0 s and 1 epoch, made after "
        "2 min 30 s and 5 epochs, over all trials together."
    )


@pytest.mark.parametrize("clock_steps", [1, 1000])
def test_epochs_reported_at_one_moment_go_by_number(clock_steps: int) -> None:
    epochs = [at(n, 1, 0.1 * (n + 1), 10) for n in range(3)]
    frames = frames_of([trial_row(n) for n in range(3)], epochs, runs=[run_row(0, clock_steps)])
    assert accuracy_steps(frames)["number"].tolist() == [0, 1, 2, 2]
