"""The live view's frame."""

import io

import pytest
from fake_progress import SWISH, WORKERS, make_frame, make_progress
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from sweep.budget import Ending
from sweep.driver.progress import SlotView, WorkerView


def drawn(progress, width, height, frame=None):
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print((frame or make_frame()).render(progress, width, height))
    return console.file.getvalue()


def running_frame():
    """A frame of a run that began with no trial finished."""
    frame = make_frame()
    drawn(make_progress(complete=0, pruned=0, failed=0), 80, 24, frame)
    return frame


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 24), (40, 10)])
def test_frame_is_golden(golden, width, height):
    golden(f"frame-{width}", drawn(make_progress(), width, height, running_frame()))


def test_frame_at_the_start_is_golden(golden):
    empty = make_progress(
        complete=0,
        diverged=0,
        pruned=0,
        failed=0,
        running=0,
        best=None,
        workers=(WorkerView("cpu0", "", "starting", ()),),
        trial_epochs=0,
        seconds=0.0,
        eta_seconds=None,
    )
    golden("frame-start", drawn(empty, 80, 24))


def test_trials_per_hour_count_this_run_alone():
    frame = make_frame()
    assert "trials/h" not in drawn(make_progress(), 80, 24, frame)
    text = drawn(make_progress(complete=8, seconds=3600.0), 80, 24, frame)
    assert "  1 trials/h" in text


def test_stopping_and_fallback_are_said():
    text = drawn(make_progress(ending=Ending.INTERRUPTED, data="synthetic (FALLBACK)"), 80, 24)
    assert "synthetic (FALLBACK)" in text
    assert "stopping: running trials finish" in text


def test_the_bar_is_full_at_the_end():
    text = drawn(make_progress(complete=20, pruned=3, failed=1, running=0), 80, 24)
    bar = text.splitlines()[1]
    assert "─" not in bar
    assert bar.endswith(" 24/24")


def test_several_slots_of_a_worker_have_a_row_each():
    slots = tuple(SlotView(n, SWISH, 1, (0.1 * n,)) for n in range(1, 4))
    text = drawn(make_progress(workers=(WorkerView("gpu0", "gpu:0", "training", slots),)), 80, 24)
    rows = text.splitlines()[-3:]
    assert rows[0].startswith("gpu0  trial 1")
    assert rows[2].startswith("      trial 3")


@given(
    st.integers(40, 200),
    st.integers(9, 60),
    st.integers(0, 40),
    st.tuples(*[st.integers(0, 30)] * 4),
)
def test_a_frame_always_fits(width, height, workers, counts):
    complete, pruned, failed, running = counts
    progress = make_progress(
        complete=complete,
        pruned=pruned,
        failed=failed,
        running=running,
        workers=WORKERS[:1] * workers,
    )
    lines = drawn(progress, width, height).splitlines()
    assert len(lines) < height
    assert max(map(cell_len, lines)) <= width
