import math

import pytest
from report_studies import epoch_row, failed_row, frames_of, trial_row

from sweep.errors import StoreError
from sweep.report.frames import active_values, study_frames
from sweep.store import Store
from sweep.trial import FIELDS


def test_one_row_a_trial_with_every_field_of_the_configuration(store: Store) -> None:
    trials = study_frames(store, "cifar-deep").trials
    assert trials["number"].tolist() == list(range(40))
    assert set(FIELDS) <= set(trials.columns)
    rows = {row["number"]: row for row in store.trial_rows("cifar-deep")}
    for record in trials.to_dict("records"):
        row = rows[record["number"]]
        assert {name: record[name] for name in FIELDS} == row["config"]
        assert (
            record["value"] == row["values"][0] if row["values"] else math.isnan(record["value"])
        )


def test_one_row_an_epoch(store: Store) -> None:
    epochs = study_frames(store, "cifar-deep").epochs
    rows = store.epoch_rows("cifar-deep")
    assert len(epochs) == len(rows) > 100
    assert epochs["val_accuracy"].tolist() == [row["val_accuracy"] for row in rows]
    broken = [row for row in rows if row["val_loss"] is None]
    assert broken
    assert epochs["val_loss"].isna().sum() == len(broken)


def test_outcomes_tell_diverged_from_complete(store: Store) -> None:
    counts = study_frames(store, "cifar-deep").counts()
    assert sum(counts.values()) == 40
    for outcome in ("complete", "diverged", "pruned", "failed"):
        assert counts[outcome] > 0
    reasons = [row["stop_reason"] for row in store.trial_rows("cifar-deep")]
    assert counts["diverged"] == reasons.count("diverged")


def test_accuracy_is_that_of_the_kept_epoch_whatever_the_objective() -> None:
    epochs = [epoch_row(0, epoch, 0.1 * epoch) for epoch in (1, 2, 3)]
    kept = frames_of(
        [trial_row(0, values=[1.5], kept_epoch=2)],
        epochs,
        metrics=("val_loss",),
        directions=("minimize",),
    )
    assert kept.trials["accuracy"].tolist() == pytest.approx([0.2])
    not_kept = frames_of([trial_row(0, values=[1.5], kept_epoch=0)], epochs, metrics=("val_loss",))
    assert not_kept.trials["accuracy"].tolist() == pytest.approx([0.3])


def test_seconds_per_epoch_leave_out_the_epoch_that_compiles() -> None:
    epochs = [epoch_row(0, epoch, 0.2, seconds=9.0 if epoch == 1 else 2.0) for epoch in (1, 2, 3)]
    assert frames_of([trial_row(0)], epochs).trials["seconds_per_epoch"].tolist() == [2.0]
    assert frames_of([trial_row(0)], epochs[:1]).trials["seconds_per_epoch"].tolist() == [9.0]


def test_settings_without_effect_are_missing_and_not_counted_as_varied() -> None:
    frames = frames_of(
        [
            trial_row(0, config={"optimizer": "sgd", "momentum": 0.9}),
            trial_row(1, config={"optimizer": "adam", "learning_rate": 0.01}),
            failed_row(2, config={}),
        ]
    )
    assert active_values(frames.trials, "momentum").tolist()[0] == 0.9
    assert active_values(frames.trials, "momentum").isna().tolist() == [False, True, True]
    assert frames.varied == ("optimizer", "learning_rate")


def test_best_trials_come_first_in_the_objectives_direction() -> None:
    rows = [trial_row(n, values=[v]) for n, v in enumerate((0.3, 0.5, 0.1))]
    rows.append(trial_row(3, values=[0.05], stop_reason="diverged"))
    assert frames_of(rows).best()["number"].tolist() == [1, 0, 2]
    least = frames_of(rows, directions=("minimize",))
    assert least.best()["number"].tolist() == [2, 0, 1]


def test_best_trials_of_two_objectives_are_the_pareto_front() -> None:
    values = [(0.5, 3.0), (0.4, 1.0), (0.4, 2.0), (0.3, 0.5), (0.5, 3.0)]
    frames = frames_of(
        [trial_row(n, values=list(v)) for n, v in enumerate(values)],
        metrics=("val_accuracy", "seconds_per_epoch"),
        directions=("maximize", "minimize"),
    )
    assert sorted(frames.best()["number"]) == [0, 1, 3, 4]


def test_a_waiting_trial_has_no_configuration_and_harms_nothing() -> None:
    waiting = failed_row(1, state="WAITING", error=None) | {"config": {}}
    frames = frames_of([trial_row(0), waiting])
    assert frames.counts()["waiting"] == 1
    assert frames.varied == ()


def test_an_unknown_study_is_named(fresh_store: Store) -> None:
    with pytest.raises(StoreError, match="no study 'nowhere'"):
        study_frames(fresh_store, "nowhere")
