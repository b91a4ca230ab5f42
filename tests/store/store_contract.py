"""What every database must do for the store: inherit `StoreContract` and give it a `url`."""

import math
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import update
from store_samples import (
    INSPECTION,
    SPEC,
    SPLIT,
    complete,
    create,
    driving,
    end,
    fail,
    record,
    report,
    result,
    start,
    task,
    train,
)

from sweep.errors import StoreError, StudyMismatchError
from sweep.store import Store, StudyRun
from sweep.store.records import TimeSplit
from sweep.store.schema import runs
from sweep.trial import StopReason, TrialConfig

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


class StoreContract:
    @pytest.fixture
    def url(self) -> str:
        """A database of its own for each test, without studies."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, url: str) -> Iterator[Store]:
        with Store.open(url) as store:
            yield store

    # Studies

    def test_a_record_comes_back_as_it_was_written(self, store: Store) -> None:
        created_at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        written = record(created_at=created_at, data_is_fallback=True)
        store.create_study(written, ["maximize"], ["val_accuracy"])
        assert store.record("quickstart") == written
        assert store.record("another") is None

    def test_a_new_study_has_directions_and_metric_names(self, store: Store) -> None:
        study = store.create_study(
            record(), ["maximize", "minimize"], ["val_accuracy", "seconds_per_epoch"]
        )
        assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
        assert store.load_study("quickstart").metric_names == ["val_accuracy", "seconds_per_epoch"]

    def test_a_reopened_database_goes_on(self, url: str) -> None:
        with Store.open(url) as store, driving(store) as run:
            complete(run, 0.5)
        with Store.open(url, create=False) as store, driving(store) as run:
            assert run.study.best_value == 0.5
            assert complete(run, 0.6).number == 1
            assert [row["number"] for row in store.trial_rows("quickstart")] == [0, 1]

    def test_resuming_takes_over_budget_and_versions(self, store: Store) -> None:
        create(store)
        longer = SPEC.replace("trials: 20", "trials: 40")
        newer = {"sweep": "0.2.0", "keras": "3.15.1"}
        store.create_study(record(spec=longer, versions=newer), ["maximize"], ["val_accuracy"])
        resumed = store.record("quickstart")
        assert resumed is not None
        assert (resumed.spec, resumed.versions) == (longer, newer)
        (message,) = store.log_rows("quickstart")
        assert message["level"] == "warning"
        assert message["message"] == "resumed with other versions: sweep 0.1.0 -> 0.2.0"

    def test_resuming_unchanged_leaves_no_message(self, store: Store) -> None:
        create(store)
        create(store)
        assert store.log_rows("quickstart") == []

    @pytest.mark.parametrize(
        ("changes", "direction", "expected", "received"),
        [
            pytest.param(
                {"space_hash": "0", "spec": SPEC.replace("high: 0.1", "high: 0.5")},
                "maximize",
                "search.learning_rate: {'low': 0.0001, 'high': 0.1, 'log': True}",
                "search.learning_rate: {'low': 0.0001, 'high': 0.5, 'log': True}",
                id="space",
            ),
            pytest.param(
                {"space_hash": "0", "spec": SPEC + "fixed: {depth: 5}\n"},
                "maximize",
                "fixed.depth: not set",
                "fixed.depth: 5",
                id="new setting",
            ),
            pytest.param(
                {"space_hash": "0"},
                "maximize",
                "the search space of the first run",
                "another search space",
                id="space, same file",
            ),
            pytest.param(
                {}, "minimize", "directions maximize", "directions minimize", id="direction"
            ),
            pytest.param(
                {"data_fingerprint": "f00d", "data_name": "synthetic", "data_is_fallback": True},
                "maximize",
                "data cifar10 (fingerprint da7a)",
                "data synthetic, a fallback (fingerprint f00d)",
                id="data",
            ),
        ],
    )
    def test_a_changed_study_is_refused(
        self,
        store: Store,
        changes: dict[str, object],
        direction: str,
        expected: str,
        received: str,
    ) -> None:
        create(store)
        with pytest.raises(StudyMismatchError) as caught:
            store.create_study(record(**changes), [direction], ["val_accuracy"])
        assert (caught.value.expected, caught.value.received) == (expected, received)
        assert "sweep delete quickstart" in str(caught.value)
        assert "--set study=NAME" in str(caught.value)
        assert store.record("quickstart") == record(created_at=store.study_rows()[0]["created"])

    def test_a_study_that_lost_its_record_at_birth_is_taken_over(self, store: Store) -> None:
        optuna.create_study(study_name="quickstart", storage=store.optuna_storage)
        with pytest.raises(StudyMismatchError):
            create(store)  # Optuna's default direction is another
        store.create_study(record(), ["minimize"], ["val_loss"])
        assert store.record("quickstart") is not None

    def test_a_study_made_by_another_program_is_refused(self, store: Store) -> None:
        foreign = optuna.create_study(
            study_name="quickstart", storage=store.optuna_storage, direction="maximize"
        )
        foreign.ask()
        with pytest.raises(StudyMismatchError, match="sweep did not make"):
            create(store)

    def test_an_unknown_study_is_named_with_those_that_exist(self, store: Store) -> None:
        create(store)
        for call in (
            lambda: store.load_study("quick"),
            lambda: store.trial_rows("quick"),
            lambda: store.log("quick", "info", "hello"),
            lambda: store.delete_study("quick"),
        ):
            with pytest.raises(StoreError) as caught:
                call()
            assert caught.value.what == "there is no study 'quick'"
            assert caught.value.expected == "one of quickstart"

    def test_deleting_a_study_leaves_nothing_of_it(self, store: Store) -> None:
        for name in ("quickstart", "other"):
            with driving(store, name) as run:
                start(run).set_user_attr("key", "value")
                fail(run)
                complete(run, 0.5)
                run.worker_ready("cpu0", 1, "host", "cpu:0", "reference")
                store.log(name, "info", "hello")
                late = start(run)
                self.take_over(store, name)
                train(run, [report(late.number, 3)])
        store.delete_study("quickstart")
        assert [row["name"] for row in store.study_rows()] == ["other"]
        assert store.record("quickstart") is None
        left = {name: count for name, count in self.count_rows(store).items() if count}
        store.delete_study("other")
        empty = {name for name, count in self.count_rows(store).items() if not count}
        assert set(left) & empty >= {
            "studies",
            "trials",
            "trial_params",
            "trial_user_attributes",
            "sweep_studies",
            "sweep_trials",
            "sweep_epochs",
            "sweep_layers",
            "sweep_workers",
            "sweep_logs",
            "sweep_runs",
            "sweep_leases",
            "sweep_late_epochs",
        }
        assert left["trials"] == left["sweep_trials"] == 4
        assert left["sweep_layers"] == 2
        assert (left["sweep_runs"], left["sweep_leases"], left["sweep_late_epochs"]) == (2, 2, 1)
        create(store)
        assert store.trial_rows("quickstart") == []

    def take_over(self, store: Store, name: str) -> None:
        """Let another run hold what runs of this process hold."""
        with store._database.engine.begin() as connection:
            connection.execute(update(runs).values(ended_at=datetime.now(UTC)))
        with store.driving(name, SPLIT) as run:
            assert run.take_over(100)

    def count_rows(self, store: Store) -> dict[str, int]:
        """Rows of every table, Optuna's and ours."""
        raise NotImplementedError

    # Trials and epochs

    def test_a_complete_trial_comes_back(self, store: Store, run: StudyRun) -> None:
        before = datetime.now(UTC)
        trial = start(run, activation="relu", learning_rate=0.01)
        ended = result(trial.number, weights="artifacts/trial-0.keras", remark="alone")
        end(run, ended, "cpu1")
        trial.set_user_attr("stop_reason", "completed")
        run.study.tell(trial, 0.18)
        (row,) = store.trial_rows("quickstart")
        assert before <= row.pop("started") <= row.pop("ended") <= datetime.now(UTC)
        assert row == {
            "number": 0,
            "state": "COMPLETE",
            "values": [0.18],
            "params": trial.params,
            "user_attrs": {"stop_reason": "completed"},
            "config": TrialConfig(activation="relu", learning_rate=0.01).to_dict(),
            "seed": 1000,
            "attempt": 1,
            "worker": "cpu1",
            "engine": "reference",
            "device": "cpu:0",
            "seconds": 3.25,
            "epochs": 2,
            "kept_epoch": 2,
            "parameters": 500_210,
            "stop_reason": "completed",
            "weights": "artifacts/trial-0.keras",
            "error": None,
            "remark": "alone",
            "checkpoint": None,
            "checkpoint_epoch": None,
            "inference_seconds": 0.003,
            "zero_weights": 0.125,
        }

    def test_settings_come_back_as_the_same_config(self, store: Store, run: StudyRun) -> None:
        settings = {"momentum": 0.99999, "optimizer": "sgd", "nesterov": True, "l2": 1e-7}
        start(run, **settings)
        (row,) = store.trial_rows("quickstart")
        assert TrialConfig(**row["config"]) == TrialConfig(**settings)  # type: ignore[arg-type]

    def test_a_running_trial_shows_its_epochs(self, store: Store, run: StudyRun) -> None:
        start(run, epochs=3)
        (row,) = store.trial_rows("quickstart")
        assert (row["state"], row["epochs"], row["ended"]) == ("RUNNING", 3, None)

    def test_a_trial_that_waits_has_no_config(self, store: Store, run: StudyRun) -> None:
        run.study.enqueue_trial({"learning_rate": 0.01}, user_attrs={"retry_of": 0})
        (row,) = store.trial_rows("quickstart")
        assert (row["state"], row["config"], row["epochs"]) == ("WAITING", {}, 0)
        assert row["user_attrs"]["retry_of"] == 0

    def test_a_trial_that_was_asked_for_waits_until_it_starts(
        self, store: Store, run: StudyRun
    ) -> None:
        trial = run.study.ask()
        (row,) = store.trial_rows("quickstart")
        assert (row["state"], row["started"], row["config"]) == ("WAITING", None, {})
        assert store.study_rows()[0]["counts"] == {"WAITING": 1}
        run.trial_started(trial._trial_id, task(trial.number), "cpu0")
        (row,) = store.trial_rows("quickstart")
        assert row["state"] == "RUNNING"
        assert row["started"] is not None
        assert store.study_rows()[0]["counts"] == {"RUNNING": 1}

    def test_nothing_unusual_leaves_no_remark(self, store: Store, run: StudyRun) -> None:
        complete(run, 0.5)
        assert store.trial_rows("quickstart")[0]["remark"] is None

    def test_a_failed_trial_keeps_traceback_and_log(self, store: Store, run: StudyRun) -> None:
        complete(run, 0.5)
        fail(run)
        (row,) = store.trial_rows("quickstart", failed_only=True)
        assert (row["number"], row["error"]) == (1, "ValueError: no")
        assert "traceback" not in row
        row = store.trial_row("quickstart", 1)
        assert (row["traceback"], row["log"]) == ("Traceback ...", "line")
        assert row["ended"] - row["started"] < timedelta(minutes=1)

    def test_one_row_equals_that_of_all(self, store: Store, run: StudyRun) -> None:
        complete(run, 0.5)
        fail(run)
        run.study.enqueue_trial({})
        for row in store.trial_rows("quickstart"):
            alone = store.trial_row("quickstart", row["number"])
            assert {key: alone[key] for key in row} == row

    def test_rows_hold_what_optunas_interface_tells(self, store: Store, run: StudyRun) -> None:
        for value in (0.1 + 0.2, -math.inf):
            trial = start(run, activation="relu")
            trial.suggest_categorical("activation", [None, "relu", 3])
            trial.suggest_int("depth", 1, 20)
            trial.set_user_attr("from", {"elsewhere": [1, None]})
            end(run, result(trial.number))
            run.study.tell(trial, value)
        fail(run)
        pruned = start(run)
        run.study.tell(pruned, state=TrialState.PRUNED)
        start(run)
        run.study.enqueue_trial({"depth": 3}, user_attrs={"retry_of": 1})
        rows = store.trial_rows("quickstart")
        frozen = store.load_study("quickstart").get_trials()
        assert len({trial.state for trial in frozen}) == 5
        for row, trial in zip(rows, frozen, strict=True):
            told = (trial.number, trial.state.name, trial.values, trial.params, trial.user_attrs)
            names = ("number", "state", "values", "params", "user_attrs")
            assert tuple(row[name] for name in names) == told
            assert list(row["params"]) == list(trial.params)
            if trial.state != TrialState.PRUNED:
                continue
            # Of a pruned trial, as told here, only Optuna knows the end; its times are local.
            assert trial.datetime_complete is not None
            assert row["ended"] == trial.datetime_complete.astimezone(UTC)

    @pytest.mark.parametrize("number", [-1, 1, 10**6])
    def test_a_trial_that_does_not_exist(self, store: Store, run: StudyRun, number: int) -> None:
        complete(run, 0.5)
        with pytest.raises(StoreError, match=f"there is no trial {number}"):
            store.trial_row("quickstart", number)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_what_is_not_finite_becomes_null(
        self, store: Store, run: StudyRun, value: float
    ) -> None:
        trial = start(run, epochs=0)
        changes = dict.fromkeys(METRICS, value)
        train(run, [report(trial.number, 1, **changes)])
        (row,) = store.epoch_rows("quickstart")
        assert [row[name] for name in METRICS] == [None] * 5
        assert row["seconds"] == 1.5

    def test_epochs_come_back_exactly(self, store: Store, run: StudyRun) -> None:
        trial = start(run, epochs=0)
        written = report(trial.number, 1, loss=1 / 3, val_accuracy=0.1 + 0.2)
        train(run, [written])
        (row,) = store.epoch_rows("quickstart")
        assert [row[name] for name in METRICS] == [getattr(written, name) for name in METRICS]

    def test_layers_come_back_exactly(self, store: Store, run: StudyRun) -> None:
        trial = start(run)
        assert store.layer_rows("quickstart", trial.number) == []
        for _ in range(2):
            end(run, result(trial.number))
        rows = store.layer_rows("quickstart", trial.number)
        assert rows == [asdict(layer) for layer in INSPECTION.layers]

    def test_what_is_not_finite_in_a_layer_becomes_null(self, store: Store, run: StudyRun) -> None:
        trial = start(run)
        numbers = dict.fromkeys(("mean", "std", "dead", "gradient_norm"), math.nan)
        layers = tuple(replace(layer, **numbers) for layer in INSPECTION.layers)
        end(run, result(trial.number, inspection=replace(INSPECTION, layers=layers)))
        rows = store.layer_rows("quickstart", trial.number)
        assert rows == [{"layer": n, **dict.fromkeys(numbers)} for n in (1, 2)]

    def test_layers_go_when_a_trial_begins_again(self, store: Store, run: StudyRun) -> None:
        trial = start(run)
        end(run, result(trial.number, StopReason.INTERRUPTED))
        run.trial_started(trial._trial_id, task(trial.number, checkpoint_epoch=2), "cpu0")
        assert store.layer_rows("quickstart", trial.number) == []
        (row,) = store.trial_rows("quickstart")
        assert (row["inference_seconds"], row["zero_weights"]) == (None, None)
        end(run, result(trial.number, inspection=None))
        assert store.layer_rows("quickstart", trial.number) == []

    def test_an_epoch_reported_twice_is_kept_once(self, store: Store, run: StudyRun) -> None:
        trial = start(run, epochs=2)
        train(run, [report(trial.number, 2, loss=0.25)])
        rows = store.epoch_rows("quickstart")
        assert [(row["epoch"], row["loss"]) for row in rows] == [(1, 2.0), (2, 0.25)]

    def test_a_cohort_is_written_at_once_or_not_at_all(self, store: Store, run: StudyRun) -> None:
        numbers = [start(run, epochs=0).number for _ in range(3)]
        asked_for = run.study.ask().number
        train(run, [report(number, 1) for number in numbers])
        assert [row["number"] for row in store.epoch_rows("quickstart")] == [0, 1, 2]
        with pytest.raises(StoreError, match="never started"):
            train(run, [report(number, 2) for number in (*numbers, asked_for)])
        assert {row["epoch"] for row in store.epoch_rows("quickstart")} == {1}
        train(run, [report(number, 2) for number in numbers])
        assert [row["epoch"] for row in store.epoch_rows("quickstart", 0)] == [1, 2]
        train(run, [])

    def test_curves_of_one_trial(self, store: Store, run: StudyRun) -> None:
        start(run, epochs=2)
        start(run, epochs=3)
        rows = store.epoch_rows("quickstart", 1)
        assert [(row["number"], row["epoch"]) for row in rows] == [(1, 1), (1, 2), (1, 3)]

    def test_a_restart_begins_from_nothing(self, store: Store, run: StudyRun) -> None:
        trial = start(run, epochs=3)
        start(run, epochs=1)
        trial_id = trial._trial_id
        run.trial_failed(trial_id, trial.number, "worker lost", "", "log")
        run.trial_started(trial_id, task(trial.number, attempt=2), "cpu1")
        row = store.trial_row("quickstart", trial.number)
        assert (row["attempt"], row["worker"], row["epochs"]) == (2, "cpu1", 0)
        assert (row["error"], row["log"], row["ended"]) == (None, None, None)
        assert [r["number"] for r in store.epoch_rows("quickstart")] == [1]

    def test_a_restart_goes_on_after_the_checkpoint(self, store: Store, run: StudyRun) -> None:
        trial = start(run, epochs=3)
        start(run, epochs=3)
        kept = report(trial.number, 4, checkpoint="checkpoint-0-a")
        train(run, [kept, report(1, 4)])
        row = store.trial_row("quickstart", 0)
        assert row["checkpoint"] is None, "not before the verdict"
        run.checkpoints_written([trial._trial_id], [kept])
        train(run, [report(trial.number, 5), report(1, 5)])
        row = store.trial_row("quickstart", 0)
        assert (row["checkpoint"], row["checkpoint_epoch"]) == ("checkpoint-0-a", 4)
        before = store.epoch_rows("quickstart", 0)[:4]
        again = task(0, attempt=2, checkpoint="checkpoint-0-a", checkpoint_epoch=4)
        run.trial_started(trial._trial_id, again, "cpu1")
        row = store.trial_row("quickstart", 0)
        assert (row["attempt"], row["worker"], row["epochs"]) == (2, "cpu1", 4)
        assert (row["checkpoint"], row["checkpoint_epoch"]) == ("checkpoint-0-a", 4)
        assert store.epoch_rows("quickstart", 0) == before
        assert len(store.epoch_rows("quickstart", 1)) == 5

    def test_an_epoch_takes_the_place_of_all_from_there_on(
        self, store: Store, run: StudyRun
    ) -> None:
        for _ in range(2):
            start(run, epochs=4)
        train(run, [report(0, 2, val_accuracy=0.75)])
        rows = store.epoch_rows("quickstart", 0)
        assert [(row["epoch"], row["val_accuracy"]) for row in rows] == [(1, 0.09), (2, 0.75)]
        assert len(store.epoch_rows("quickstart", 1)) == 4

    def test_where_an_interrupted_trial_goes_on(self, store: Store, run: StudyRun) -> None:
        for checkpoint in ("checkpoint-0-b", None):
            trial = start(run, epochs=2)
            kept = report(trial.number, 1, checkpoint="a")
            run.checkpoints_written([trial._trial_id], [kept])
            left = result(trial.number, StopReason.INTERRUPTED, checkpoint=checkpoint)
            end(run, left, "cpu0")
        rows = store.trial_rows("quickstart")
        assert [(row["checkpoint"], row["checkpoint_epoch"]) for row in rows] == [
            ("checkpoint-0-b", 2),
            ("a", 1),
        ]
        store.checkpoint_dropped("quickstart", 0)
        run.checkpoint_dropped(trial._trial_id, 1)
        for row in store.trial_rows("quickstart"):
            assert (row["checkpoint"], row["checkpoint_epoch"]) == (None, None)

    def test_writing_about_a_trial_that_never_started(self, store: Store, run: StudyRun) -> None:
        trial_id = run.study.ask()._trial_id
        for call in (
            lambda: end(run, result(0)),
            lambda: store.weights_dropped("quickstart", 0),
            lambda: run.checkpoints_written([trial_id], [report(0, 1, checkpoint="a")]),
            lambda: run.checkpoint_dropped(trial_id, 0),
            lambda: store.checkpoint_dropped("quickstart", 0),
        ):
            with pytest.raises(StoreError, match="never started"):
                call()

    def test_a_trial_may_fail_before_it_started(self, store: Store, run: StudyRun) -> None:
        trial = run.study.ask()
        with run.batch():
            run.trial_failed(trial._trial_id, trial.number, "cancelled", "", "")
            run.study.tell(trial, state=TrialState.FAIL)
        (row,) = store.trial_rows("quickstart")
        assert (row["state"], row["error"], row["config"]) == ("FAIL", "cancelled", {})

    def test_dropped_weights(self, store: Store, run: StudyRun) -> None:
        for _ in range(2):
            trial = start(run)
            end(run, result(trial.number, weights="w"), "cpu0")
        store.weights_dropped("quickstart", 0)
        assert [row["weights"] for row in store.trial_rows("quickstart")] == [None, "w"]

    def test_a_killed_run_leaves_trials_running(self, store: Store, run: StudyRun) -> None:
        complete(run, 0.5)
        fail(run)
        running = start(run, activation="relu")
        interrupted = start(run)
        end(run, result(interrupted.number, StopReason.INTERRUPTED))
        never_started = run.study.ask()
        run.study.enqueue_trial({})
        states = [trial.state for trial in store.load_study("quickstart").get_trials()]
        assert [number for number, s in enumerate(states) if s == TrialState.RUNNING] == [2, 3, 4]
        rows = store.trial_rows("quickstart")[2:]
        assert [row["state"] for row in rows] == ["RUNNING", "RUNNING", "WAITING", "WAITING"]
        assert rows[0]["config"]["activation"] == "relu"
        assert rows[0]["params"] == running.params
        assert (rows[2]["number"], rows[2]["config"]) == (never_started.number, {})

    # Listings

    def test_studies_are_counted_as_optuna_counts(self, store: Store) -> None:
        names = ("one", "two")
        for name in names:
            with driving(store, name) as run:
                complete(run, 0.25)
                complete(run, 0.5)
                fail(run)
                start(run)
                pruned = start(run)
                run.study.tell(pruned, state=TrialState.PRUNED)
        run.study.enqueue_trial({})
        for row in store.study_rows():
            trials = store.load_study(row["name"]).get_trials()
            states = [trial.state.name for trial in trials]
            assert row["counts"] == {state: states.count(state) for state in set(states)}
        assert [row["name"] for row in store.study_rows()] == ["one", "two"]
        assert row["counts"]["WAITING"] == 1

    @pytest.mark.parametrize(("direction", "best"), [("maximize", 1), ("minimize", 0)])
    def test_the_best_trial_follows_the_direction(
        self, store: Store, direction: str, best: int
    ) -> None:
        with driving(store, direction=direction) as run:
            for value in (0.2, 0.7, 0.7, 0.2):
                complete(run, value)
            (row,) = store.study_rows()
            assert row["best_number"] == run.study.best_trial.number == best
            assert row["best_value"] == run.study.best_value
        assert row["objectives"] == [{"metric": "val_accuracy", "direction": direction}]

    def test_a_diverged_trial_is_never_the_best(self, store: Store, run: StudyRun) -> None:
        complete(run, 0.9, StopReason.DIVERGED)
        assert store.study_rows()[0]["best_number"] is None
        complete(run, 0.1)
        assert store.study_rows()[0]["best_number"] == 1

    def test_several_objectives_rank_by_the_first(self, store: Store) -> None:
        store.create_study(record(), ["maximize", "minimize"], ["val_accuracy", "parameters"])
        with store.driving("quickstart", SPLIT) as run:
            complete(run, [0.5, 10.0])
            complete(run, [0.6, 99.0])
        (row,) = store.study_rows()
        assert (row["best_number"], row["best_value"]) == (1, 0.6)

    def test_times_are_aware_and_in_order(self, store: Store, run: StudyRun) -> None:
        before = store.study_rows()[0]["updated"]
        complete(run, 0.5)
        (row,) = store.study_rows()
        (trial,) = store.trial_rows("quickstart")
        assert row["created"] <= before < trial["started"] < trial["ended"] == row["updated"]
        assert trial["ended"] <= datetime.now(UTC)

    def test_an_epoch_of_an_open_trial_is_an_update(self, store: Store, run: StudyRun) -> None:
        complete(run, 0.5)
        trial = start(run, epochs=1)
        before = store.study_rows()[0]["updated"]
        train(run, [report(trial.number, 2)])
        (row,) = store.study_rows()
        assert row["updated"] == store.epoch_rows("quickstart")[-1]["reported_at"] > before

    def test_a_study_s_attributes_are_set_as_optuna_sets_them(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sweep.store.optuna_tables._ROWS_AT_ONCE", 2)
        attributes = {f"dashboard:{n}:note": f"note {n}, ü" for n in range(5)} | {"ver": 1}
        for name in ("one", "two"):
            create(store, name)
            storage = store.optuna_storage
            study_id = storage.get_study_id_from_name(name)
            storage.set_study_system_attr(study_id, "ver", 0)
            if name == "one":
                store.set_study_attributes(name, attributes)
            else:
                for key, value in attributes.items():
                    storage.set_study_system_attr(study_id, key, value)
        one, two = (
            storage.get_study_system_attrs(storage.get_study_id_from_name(name))
            for name in ("one", "two")
        )
        assert one == two
        assert one.items() >= attributes.items()
        store.set_study_attributes("one", {})

    def test_trials_are_found_by_number(self, store: Store) -> None:
        for name in ("one", "two"):
            with driving(store, name) as run:
                numbers = [complete(run, 0.5) for _ in range(2)]
            assert store.trial_ids(name) == {one.number: one._trial_id for one in numbers}

    def test_a_trial_told_by_others_has_optunas_times(self, store: Store, run: StudyRun) -> None:
        run.study.tell(run.study.ask(), 0.5)
        (row,) = store.trial_rows("quickstart")
        now = datetime.now(UTC)
        assert now - timedelta(minutes=1) < row["started"] <= row["ended"] <= now

    # Runs, workers and messages

    def test_the_figures_of_a_run_are_written_over(self, store: Store, run: StudyRun) -> None:
        run.timed(replace(SPLIT, idle_seconds=0.25))
        with driving(store):
            rows = store.run_rows("quickstart")
        assert [row["idle_seconds"] for row in rows] == [0.25, SPLIT.idle_seconds]
        assert rows[0]["started_at"] <= rows[0]["updated_at"] <= rows[1]["started_at"]
        assert TimeSplit(**{name: rows[1][name] for name in asdict(SPLIT)}) == SPLIT
        assert {(row["host"], row["pid"]) for row in rows} == {(socket.gethostname(), os.getpid())}

    def test_a_run_says_when_it_ended(self, store: Store) -> None:
        with driving(store):
            (row,) = store.run_rows("quickstart")
            assert (row["ended_at"], row["expires_at"] > datetime.now(UTC)) == (None, True)
        (row,) = store.run_rows("quickstart")
        assert row["started_at"] <= row["ended_at"] <= datetime.now(UTC)

    def test_a_replaced_worker_has_two_rows(self, store: Store, run: StudyRun) -> None:
        run.worker_ready("cpu0", 11, "host", "cpu:0", "reference")
        run.worker_ready("cpu1", 12, "host", "cpu:1", "reference")
        run.worker_lost("cpu0", "killed by SIGKILL")
        run.worker_ready("cpu0", 13, "host", "cpu:0", "reference")
        rows = store.worker_rows("quickstart")
        assert [(row["worker"], row["pid"], row["end_reason"]) for row in rows] == [
            ("cpu0", 11, "killed by SIGKILL"),
            ("cpu1", 12, None),
            ("cpu0", 13, None),
        ]
        assert rows[0]["ready_at"] <= rows[0]["ended_at"]

    def test_losing_a_worker_that_was_never_ready(self, store: Store, run: StudyRun) -> None:
        run.worker_lost("cpu0", "killed by SIGKILL")
        assert store.worker_rows("quickstart") == []

    def test_messages_come_oldest_first_and_limited(self, store: Store, run: StudyRun) -> None:
        for number in range(5):
            store.log("quickstart", "info", f"message {number}", number=number % 2, worker="cpu0")
        store.log("quickstart", "warning", "über\nzwei Zeilen")
        rows = store.log_rows("quickstart", limit=2)
        assert [row["message"] for row in rows] == ["message 4", "über\nzwei Zeilen"]
        assert [row["message"] for row in store.log_rows("quickstart", number=1)] == [
            "message 1",
            "message 3",
        ]

    # Use

    def test_threads_may_share_a_store(self, store: Store) -> None:
        create(store)
        failures: list[BaseException] = []

        def write() -> None:
            try:
                with store.driving("quickstart", SPLIT) as run:
                    number = start(run, epochs=0).number
                    for epoch in range(1, 21):
                        train(run, [report(number, epoch)])
                        store.epoch_rows("quickstart", number)
            except StoreError as error:
                failures.append(error)

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(store.epoch_rows("quickstart")) == 80

    def test_closing_twice_is_harmless(self, url: str) -> None:
        store = Store.open(url)
        store.close()
        store.close()
