import numpy as np
import pytest
from numpy.typing import NDArray
from report_studies import epoch_row, frames_of, trial_row

from sweep.report.analysis.design import design_of
from sweep.report.analysis.pruned import DRAWS, completed_values
from sweep.report.frames import StudyFrames


def completed(frames: StudyFrames) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return completed_values(frames, frames.valued, np.empty((len(frames.valued), 0)))


def halves(count: int, pruned: int, noise: float = 0.0) -> StudyFrames:
    """Trials that end at twice what they reach after their first epoch; some were pruned there."""
    chance = np.random.default_rng(0)
    rows, epochs = [], []
    for n in range(count):
        reached = 0.1 + 0.2 * n / count
        final = 2 * reached + float(chance.normal(0.0, noise)) if noise else 2 * reached
        epochs.append(epoch_row(n, 1, reached))
        if n < pruned:
            row = trial_row(n, values=[reached], epochs=1, state="PRUNED", stop_reason="pruned")
            rows.append(row)
        else:
            epochs.append(epoch_row(n, 2, final))
            rows.append(trial_row(n, values=[final]))
    return frames_of(rows, epochs)


def test_a_pruned_trial_gets_what_the_others_came_to() -> None:
    frames = halves(40, 15)
    values, reckoned = completed(frames)
    assert values.shape == (40, DRAWS)
    assert reckoned.tolist() == [True] * 15 + [False] * 25
    expected = [2 * (0.1 + 0.2 * n / 40) for n in range(40)]
    assert values.mean(axis=1) == pytest.approx(expected)


def test_draws_differ_by_the_doubt_in_the_line_and_by_the_residuals_that_make_it() -> None:
    frames = halves(200, 80, noise=0.03)
    values, reckoned = completed(frames)
    reached = 0.1 + 0.2 * np.arange(200) / 200
    x = np.stack([np.ones(200), reached], axis=1)
    inverse = np.linalg.inv(x[80:].T @ x[80:])
    doubt = 0.03 * np.sqrt(np.einsum("ij,jk,ik->i", x[:80], inverse, x[:80]))
    spread = values.std(axis=1, ddof=1)
    assert spread[reckoned] == pytest.approx(doubt, rel=0.4)
    assert spread[reckoned].mean() == pytest.approx(doubt.mean(), rel=0.3)
    assert np.sqrt((spread[~reckoned] ** 2).mean()) == pytest.approx(0.03, rel=0.2)
    assert values[~reckoned].mean(axis=1) == pytest.approx(frames.valued["value"][~reckoned])
    again, _ = completed(frames)
    assert (again == values).all()


def test_too_few_others_and_pruned_trials_keep_what_they_had() -> None:
    frames = halves(20, 15)
    values, reckoned = completed(frames)
    assert values.shape == (20, 1)
    assert not reckoned.any()


def test_earlier_prunings_learn_from_later_ones() -> None:
    """What passed the first rung and failed at the second says what the first would come to."""
    chance = np.random.default_rng(1)
    rows, epochs = [], []
    finals = np.sort(chance.uniform(0.2, 0.6, 90))
    for n, final in enumerate(finals.tolist()):
        trained = 1 if n < 40 else 2 if n < 70 else 3
        for epoch in range(1, trained + 1):
            epochs.append(epoch_row(n, epoch, final * epoch / 3))
        ended = {} if trained == 3 else {"state": "PRUNED", "stop_reason": "pruned"}
        rows.append(trial_row(n, values=[final * trained / 3], epochs=trained, **ended))
    frames = frames_of(rows, epochs)
    values, reckoned = completed(frames)
    assert reckoned.sum() == 70
    assert values.mean(axis=1) == pytest.approx(finals, abs=1e-6)


def test_objectives_without_a_curve_are_left_as_they_are() -> None:
    frames = halves(40, 15)
    seconds = frames_of([trial_row(n, values=[2.0]) for n in range(3)], metrics=("parameters",))
    assert completed(seconds)[0].tolist() == [[2.0]] * 3
    assert len(completed(frames)[0]) == 40


def test_settings_help_where_there_are_enough_trials() -> None:
    """What a trial had reached says nothing of how much more its width would bring."""
    rows, epochs = [], []
    for n in range(60):
        wide = n % 2
        reached = 0.2 + 0.001 * n
        epochs.append(epoch_row(n, 1, reached))
        ended = {"state": "PRUNED", "stop_reason": "pruned", "epochs": 1, "values": [reached]}
        if n >= 20:
            epochs.append(epoch_row(n, 2, reached + 0.1 + 0.1 * wide))
            ended = {"values": [reached + 0.1 + 0.1 * wide]}
        rows.append(trial_row(n, config={"width": (50, 100)[wide]}, **ended))
    frames = frames_of(rows, epochs)
    design = design_of(frames.valued, frames.varied)
    values, _ = completed_values(frames, frames.valued, design.basis)
    expected = [0.3 + 0.001 * n + 0.1 * (n % 2) for n in range(60)]
    assert values.mean(axis=1) == pytest.approx(expected, abs=1e-6)
