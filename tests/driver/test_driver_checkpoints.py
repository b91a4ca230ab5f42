"""Trials that go on after a break: the same figures, and no epoch trained twice for nothing."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import psutil
import pytest
from study_host import STUDY, Host, Listener, study_of
from test_kill import finish, start
from test_run import CrashError, figures

from sweep.driver.checkpoints import CheckpointKeeper
from sweep.driver.ledger import Ledger
from sweep.executors.artifacts import Checkpoints
from sweep.executors.base import Directive
from sweep.executors.process import ProcessExecutor
from sweep.store import Store
from sweep.trial import EpochReport, StopReason

FACTORY = "softmax_engine:make_engine_that_saves_every_epoch"
LONG = (
    STUDY.replace("epochs: 6", "epochs: 160")
    .replace("trials: 12", "trials: 3")
    .replace("name: median, startup_trials: 3", "name: none")
)
Times = dict[tuple[int, int], datetime]


@pytest.fixture
def undisturbed(tmp_path: Path) -> Host:
    return made(tmp_path / "undisturbed", factory="softmax_engine:make_engine")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return made(tmp_path / "disturbed")


def made(directory: Path, factory: str = FACTORY) -> Host:
    directory.mkdir()
    return Host(directory, factory=factory)


def times(host: Host) -> Times:
    """When each epoch was reported, by trial and epoch."""
    with host.store() as store:
        rows = store.epoch_rows("colours")
    return {(row["number"], row["epoch"]): row["reported_at"] for row in rows}


def checkpoint_files(host: Host) -> list[str]:
    return sorted(path.name for path in (host.artifacts / "colours").glob("*checkpoint*"))


def left(host: Host) -> tuple[int, int]:
    """Number and epoch of the checkpoint of the one trial that was interrupted."""
    with host.store() as store:
        (row,) = [row for row in store.trial_rows("colours") if row["state"] == "RUNNING"]
    return row["number"], row["checkpoint_epoch"]


def assert_went_on(host: Host, before: Times, number: int, epoch: int) -> None:
    """The epochs up to the checkpoint were not trained again, the others were."""
    after = times(host)
    for (n, e), time_ in before.items():
        assert (after[n, e] == time_) is ((n, e) <= (number, epoch) or n < number), (n, e)


def test_a_stopped_trial_goes_on(host: Host, undisturbed: Host) -> None:
    undisturbed.run(study_of())
    host.factory = "softmax_engine:make_engine"
    for stop_after in (8, 3, 5):
        host.run(study_of(), Listener(stop_after_epochs=stop_after))
        before, (number, epoch) = times(host), left(host)
        assert max(e for n, e in before if n == number) == epoch, "no epoch is lost"
        assert checkpoint_files(host) == [f"checkpoint-{number}-a"]
        listener = Listener(stop_after_epochs=1)
        host.run(study_of(), listener)
        assert_went_on(host, before, number, epoch)
        slots = [s for u in listener.updates for w in u.workers for s in w.slots]
        assert {slot.epoch for slot in slots if slot.number == number} >= {epoch}
    host.run(study_of())
    assert figures(host) == figures(undisturbed)
    assert checkpoint_files(host) == []


def wait_until(program: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert program.poll() is None, "the program ended"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def trained(host: Host, number: int) -> int:
    with host.store() as store:
        if not store.study_rows():
            return 0
        return len(store.epoch_rows("colours", number))


def test_trials_go_on_after_kills_of_driver_and_worker(host: Host, undisturbed: Host) -> None:
    Store.open(host.url).close()
    (host.directory / "study.yaml").write_text(LONG)
    undisturbed.run(study_of(LONG))
    program = start(host)
    wait_until(program, lambda: trained(host, 1) >= 10)
    workers = psutil.Process(program.pid).children()
    program.kill()
    program.communicate()
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    before, (number, epoch) = times(host), left(host)
    # Each epoch writes one: the kill may come before the last is known.
    assert number == 1
    assert max(e for n, e in before if n == 1) - epoch in (0, 1)
    program = start(host)
    wait_until(program, lambda: trained(host, 1) >= epoch + 10)
    assert_went_on(host, before, number, epoch)
    (worker,) = psutil.Process(program.pid).children()
    os.kill(worker.pid, signal.SIGSTOP)
    before, (number, epoch) = times(host), left(host)
    os.kill(worker.pid, signal.SIGKILL)
    finish(program)
    assert_went_on(host, before, number, epoch)
    with host.store() as store:
        attempts = [row["attempt"] for row in store.trial_rows("colours")]
        assert attempts == [2 if n == number else 1 for n in range(3)]
        assert {row["remark"] for row in store.trial_rows("colours")} == {None}
    assert figures(host) == figures(undisturbed)
    assert checkpoint_files(host) == []


def test_a_trial_whose_checkpoint_is_damaged_begins_anew(host: Host, undisturbed: Host) -> None:
    undisturbed.run(study_of(LONG))
    host.run(study_of(LONG), Listener(stop_after_epochs=5))
    number, epoch = left(host)
    with host.store() as store:
        name = store.trial_row("colours", number)["checkpoint"]
    (host.artifacts / "colours" / name).write_bytes(b"damaged")
    before = times(host)
    listener = Listener()
    host.run(study_of(LONG), listener)
    assert all(times(host)[key] > time_ for key, time_ in before.items())
    with host.store() as store:
        row = store.trial_rows("colours")[number]
    assert row["remark"].startswith(f"begun anew instead of after epoch {epoch}: the checkpoint")
    assert figures(host) == figures(undisturbed)
    assert [u.eta_seconds for u in listener.updates if u.eta_seconds is not None][-1] >= 0


def test_a_checkpoint_that_was_gone_for_a_while_is_not_used_over_other_epochs(
    host: Host, undisturbed: Host
) -> None:
    undisturbed.run(study_of(LONG))
    host.run(study_of(LONG), Listener(stop_after_epochs=9))
    number, epoch = left(host)
    files = list((host.artifacts / "colours").iterdir())
    contents = {path: path.read_bytes() for path in files}
    for path in files:
        path.unlink()
    host.factory = "softmax_engine:make_engine_that_cannot_save"
    host.run(study_of(LONG), Listener(stop_after_epochs=3))
    assert left(host) == (number, None)
    for path, content in contents.items():
        path.write_bytes(content)
    host.factory = FACTORY
    host.run(study_of(LONG))
    assert figures(host) == figures(undisturbed)


def test_a_checkpoint_that_was_replaced_by_an_earlier_one(host: Host, undisturbed: Host) -> None:
    # As a run may do that was stopped for long, after another one had taken its trial over.
    undisturbed.run(study_of(LONG))
    host.run(study_of(LONG), Listener(stop_after_epochs=5))
    number, earlier = left(host)
    with host.store() as store:
        name = store.trial_row("colours", number)["checkpoint"]
    content = (host.artifacts / "colours" / name).read_bytes()
    host.run(study_of(LONG), Listener(stop_after_epochs=4))
    assert left(host)[1] > earlier
    before = times(host)
    for path in (host.artifacts / "colours").iterdir():
        path.write_bytes(content)
    host.run(study_of(LONG))
    assert_went_on(host, before, number, earlier)
    assert figures(host) == figures(undisturbed)
    assert checkpoint_files(host) == []
    with host.store() as store:
        epochs = [row["epoch"] for row in store.epoch_rows("colours", number)]
    assert epochs == list(range(1, 161))


@pytest.mark.parametrize("pruner", ["median", "asha"])
def test_no_verdict_is_lost_between_an_epoch_and_its_checkpoint(
    pruner: str, host: Host, undisturbed: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = (f"pruner.name={pruner}", "pruner.startup_trials=1")
    spec = study_of(STUDY, *overrides)
    assert undisturbed.run(spec).pruned > 0

    def direct(self: ProcessExecutor, worker: str, directive: Directive) -> None:
        if any(retirement.reason is StopReason.PRUNED for retirement in directive.retire):
            raise CrashError
        direct_truly(self, worker, directive)

    def judge(self: Ledger, report: EpochReport, *rest: object) -> object:
        if report.epoch == 3 and report.number not in crashed:
            crashed.add(report.number)
            raise CrashError
        return judge_truly(self, report, *rest)  # type: ignore[arg-type]

    direct_truly, judge_truly, crashed = ProcessExecutor.direct, Ledger._judge, set[int]()
    for name, owner, crash in (("direct", ProcessExecutor, direct), ("_judge", Ledger, judge)):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, crash)
            with pytest.raises(CrashError):
                host.run(spec)
    assert host.run(spec).finished == 12
    assert figures(host) == figures(undisturbed)


def test_what_a_kill_left_of_ended_trials_is_removed(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drop(self: CheckpointKeeper, number: int, *, is_known: bool) -> None:
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointKeeper, "drop", drop)
        with pytest.raises(CrashError):
            host.run(study_of())
    assert checkpoint_files(host) == ["checkpoint-0-a", "checkpoint-0-b"]
    host.run(study_of(STUDY, "budget.trials=1"))
    assert checkpoint_files(host) == []
    with host.store() as store:
        assert store.trial_rows("colours")[0]["checkpoint"] is None


def test_checkpoints_that_cannot_be_removed_are_removed_later(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("optuna.artifacts._filesystem.os.remove", remove)
        host.run(study_of(STUDY, "budget.trials=2"))
    with host.store() as store:
        assert [row["state"] for row in store.trial_rows("colours")] == ["COMPLETE"] * 2
    assert len(checkpoint_files(host)) == 4
    host.run(study_of(STUDY, "budget.trials=3"))
    assert checkpoint_files(host) == []


def test_a_failed_trial_leaves_no_checkpoint(host: Host) -> None:
    host.run(study_of(LONG), Listener(stop_after_epochs=5))
    number, _ = left(host)
    place = Checkpoints.at(str(host.artifacts / "colours"))
    with host.store() as store:
        keeper = CheckpointKeeper("colours", store, place)
        assert checkpoint_files(host) != [], "a trial that goes on keeps its own"
        keeper.drop(number, is_known=True)
    assert checkpoint_files(host) == []
