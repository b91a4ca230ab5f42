"""Studies whose checkpoints and weights lie in S3: on whatever machine they go on."""

import os
import shutil
import signal
import sqlite3
from pathlib import Path

import psutil
import pytest
from s3_server import SECRET, TestBucket
from study_host import STUDY, Host, Listener, study_of
from test_driver_checkpoints import (
    LONG,
    assert_went_on,
    left,
    made,
    times,
    trained,
    wait_until,
)
from test_kill import finish, start
from test_run import figures

from sweep.driver.weights import WeightsKeeper
from sweep.errors import UsageError
from sweep.executors.places import place_of
from sweep.store import Store


@pytest.fixture
def host(tmp_path: Path, s3: TestBucket) -> Host:
    host = made(tmp_path / "disturbed")
    host.place = s3.address
    return host


def moved(host: Host) -> Host:
    """The study on another machine: of the first one, the database alone is there."""
    other = Host(host.directory.with_name("other"), host.factory, place=host.place)
    other.directory.mkdir()
    for path in host.directory.glob("studies.db*"):
        shutil.copy(path, other.directory)
    shutil.copy(host.directory / "study.yaml", other.directory)
    shutil.rmtree(host.directory)
    return other


@pytest.mark.slow
def test_trials_go_on_after_kills_of_driver_and_worker(
    host: Host, s3: TestBucket, tmp_path: Path
) -> None:
    undisturbed = made(tmp_path / "undisturbed", factory="softmax_engine:make_engine")
    undisturbed.run(study_of(LONG))
    Store.open(host.url).close()
    (host.directory / "study.yaml").write_text(LONG)
    program = start(host)
    wait_until(program, lambda: trained(host, 1) >= 10)
    workers = psutil.Process(program.pid).children()
    program.kill()
    program.communicate()
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    assert not host.artifacts.exists()
    before, (number, epoch) = times(host), left(host)
    # Each epoch writes one: the kill may come before the last is known.
    assert number == 1
    assert max(e for n, e in before if n == 1) - epoch in (0, 1)
    assert {"checkpoint-1-a", "checkpoint-1-b", "trial-0.keras"} >= {*s3.files()}
    host = moved(host)
    program = start(host)
    wait_until(program, lambda: trained(host, 1) >= epoch + 10)
    assert_went_on(host, before, number, epoch)
    (worker,) = psutil.Process(program.pid).children()
    os.kill(worker.pid, signal.SIGSTOP)
    before, (number, epoch) = times(host), left(host)
    os.kill(worker.pid, signal.SIGKILL)
    finish(program)
    assert_went_on(host, before, number, epoch)
    assert figures(host) == figures(undisturbed)
    with host.store() as store:
        rows = store.trial_rows("colours")
    assert {row["remark"] for row in rows} == {None}
    kept = {row["weights"] for row in rows if row["weights"]}
    assert {f"{s3.address}/colours/{name}" for name in s3.files()} == kept
    assert len(kept) == 2
    for path in host.directory.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_the_weights_of_the_best_are_kept_and_no_others(host: Host, s3: TestBucket) -> None:
    host.run(study_of(STUDY, "budget.trials=4", "fixed.epochs=2", "keep_weights=3"))
    strangers = ["notes.txt", "deeper/trial-1.keras", "best.keras"]
    for name in (*strangers, "trial-99.keras"):
        s3.put(f"some/prefix/colours/{name}")
    s3.put("some/prefix/other/trial-99.keras")
    with host.store() as store:
        best = max(
            (row for row in store.trial_rows("colours") if row["values"]),
            key=lambda row: row["values"][0],
        )
        keeper = WeightsKeeper(
            study_of(STUDY, "keep_weights=1"), store, place_of(s3.address, "colours")
        )
        named = [row["weights"] for row in store.trial_rows("colours") if row["weights"]]
        assert named == [f"{s3.address}/colours/trial-{best['number']}.keras"]
        assert keeper.place_for(99, -1.0) is None
    files = {*strangers, f"trial-{best['number']}.keras"}
    assert {*s3.keys()} == {
        "some/prefix/other/trial-99.keras",
        *(f"some/prefix/colours/{name}" for name in files),
    }


@pytest.mark.parametrize("precious", ["precious/trial-{}.keras", "colours/trial-{}.keras"])
def test_nothing_outside_is_removed_whatever_the_database_says(
    host: Host, s3: TestBucket, precious: str
) -> None:
    host.run(study_of(STUDY, "budget.trials=2", "fixed.epochs=1", "keep_weights=2"))
    with host.store() as store:
        worst = min(store.trial_rows("colours"), key=lambda row: row["values"][0])
        key = precious.format(worst["number"])
        s3.put(key)
        with sqlite3.connect(store.url.removeprefix("sqlite:///")) as connection:
            connection.execute(
                "UPDATE sweep_trials SET weights = ? WHERE number = ?",
                (f"s3://{s3.name}/{key}", worst["number"]),
            )
        WeightsKeeper(study_of(STUDY, "keep_weights=1"), store, place_of(s3.address, "colours"))
    assert key in s3.keys()


def test_a_place_that_cannot_be_used_stops_the_run_before_there_is_a_study(host: Host) -> None:
    host.place = "s3://elsewhere/prefix"
    with pytest.raises(UsageError, match="no such bucket"):
        host.run(study_of())
    with host.store() as store:
        assert store.study_rows() == []


def test_a_study_outlasts_a_store_that_is_gone(
    host: Host, s3: TestBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket goes while trials train: they end, without checkpoints and weights."""

    class Gone(Listener):
        def update(self, progress: object) -> None:
            if progress.trial_epochs >= 3 and not gone:  # type: ignore[attr-defined]
                gone.append(True)
                for key in s3.keys():
                    s3.client.delete_object(Bucket=s3.name, Key=key)
                s3.client.delete_bucket(Bucket=s3.name)
            super().update(progress)  # type: ignore[arg-type]

    gone: list[bool] = []
    progress = host.run(study_of(STUDY, "budget.trials=3"), Gone())
    assert (progress.finished, progress.failed) == (3, 0)
    with host.store() as store:
        rows = store.trial_rows("colours")
    assert [row["weights"] for row in rows if row["state"] == "COMPLETE"] == [None] * len(rows)
    assert all("the weights were not kept: there is no such bucket" in r["remark"] for r in rows)
