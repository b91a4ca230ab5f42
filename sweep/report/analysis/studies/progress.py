"""How good a study had become, and when: by active time and by epochs trained."""

import numpy as np
import pandas as pd

from sweep.report.analysis.once import once
from sweep.report.analysis.studies.clock import active_clock, moments
from sweep.report.frames import StudyFrames
from sweep.report.text import duration, plural


@once
def accuracy_steps(frames: StudyFrames) -> pd.DataFrame:
    """The epochs after which a study was better than ever before, by validation accuracy.

    Every epoch of every trial counts when it was reported, also those of trials that were pruned,
    diverged or are still in training.

    Returns:
        In order of time: `seconds` (active time since the study's start, see `ActiveClock`),
        `epochs` (trained so far, of all trials), `accuracy` (the best so far), `number` and
        `epoch` (where it was reached). The last row repeats the best at the end of what is known.
    """
    epochs = frames.epochs
    # They lie in the order of number and epoch, which tells those of one moment apart.
    order = np.argsort(moments(epochs["reported"]), kind="stable")
    accuracies = epochs["val_accuracy"].to_numpy(dtype=float)[order]
    best = np.fmax.accumulate(accuracies) if len(accuracies) else accuracies
    rises = np.flatnonzero(np.isfinite(best) & ~(best <= np.concatenate([[np.nan], best[:-1]])))
    if not len(rises):
        return pd.DataFrame(
            {name: np.empty(0) for name in ("seconds", "epochs", "accuracy", "number", "epoch")}
        )
    clock = active_clock(frames)
    places = order[rises]
    steps = pd.DataFrame(
        {
            "seconds": clock.at(epochs["reported"].iloc[places]),
            "epochs": rises + 1,
            "accuracy": best[rises],
            "number": epochs["number"].to_numpy()[places],
            "epoch": epochs["epoch"].to_numpy()[places],
        }
    )
    end = steps.iloc[[-1]].assign(seconds=max(clock.seconds, steps["seconds"].iloc[-1]))
    return pd.concat([steps, end.assign(epochs=len(order))], ignore_index=True)


def pace_sentence(first: StudyFrames, other: StudyFrames) -> str | None:
    """How long both took to what the lesser of the two ever reached; None if one knows nothing."""
    pair = [(frames.study, accuracy_steps(frames)) for frames in (other, first)]
    if any(steps.empty for _, steps in pair):
        return None
    target = min(float(steps["accuracy"].iloc[-1]) for _, steps in pair)
    said = []
    for name, steps in pair:
        there = steps[steps["accuracy"] >= target].iloc[0]
        epochs = plural(int(there["epochs"]), "epoch")
        said.append(f"{name} after {duration(there['seconds'])} and {epochs}")
    return (
        f"Both reached a validation accuracy of {target:.4f}: {said[0]}, {said[1]}, over all "
        "trials together."
    )


def accuracy_after(steps: pd.DataFrame, epochs: float) -> float:
    """The best accuracy that a study had after so many epochs; before any, that of the first."""
    passed = steps[steps["epochs"] <= epochs]
    return float((passed if len(passed) else steps.iloc[[0]])["accuracy"].iloc[-1])


def incumbents(frames: StudyFrames) -> pd.DataFrame:
    """The best objective value so far over the trials that completed, in order of number.

    Returns:
        `number` and `value` of each trial that was better than all before it; the last row repeats
        the best at the last trial that ended.
    """
    trials = frames.trials
    complete = trials[(trials["outcome"] == "complete") & np.isfinite(trials["value"])]
    best = complete["value"].cummax() if frames.maximize else complete["value"].cummin()
    steps: pd.DataFrame = complete.assign(value=best)[["number", "value"]]
    steps = steps[steps["value"] != steps["value"].shift()]
    ended = trials.loc[~trials["outcome"].isin(("running", "waiting")), "number"]
    if steps.empty or steps["number"].iloc[-1] == ended.max():
        return steps.reset_index(drop=True)
    end = steps.iloc[[-1]].assign(number=ended.max())
    return pd.concat([steps, end], ignore_index=True)
