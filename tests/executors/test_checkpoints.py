"""When checkpoints are written, and what becomes of trials that go on from them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from executor_contract import metrics
from softmax_engine import SoftmaxEngine

from sweep.data import DataRef
from sweep.engines.checkpoint import Checkpoint
from sweep.errors import CheckpointError
from sweep.executors import checkpoints
from sweep.executors.artifacts import Checkpoints
from sweep.executors.base import Retirement
from sweep.executors.checkpoints import TrialCheckpoints
from sweep.trial import EpochReport, StopReason, TrialConfig, TrialResult, TrialTask

INTERRUPTED = StopReason.INTERRUPTED


class Slots:
    """An engine and its checkpoints."""

    def __init__(self, data: DataRef, artifacts: Path, device: str = "cpu:0") -> None:
        self.engine = SoftmaxEngine(data, device, capacity=4)
        self.trials = TrialCheckpoints(self.engine)
        self._artifacts = str(artifacts)

    def task(self, number: int = 0, **changes: object) -> TrialTask:
        config = TrialConfig(epochs=9, learning_rate=0.05)
        made = TrialTask(number, config, seed=100 + number, artifacts=self._artifacts)
        return replace(made, **changes)  # type: ignore[arg-type]

    def epoch(self, seconds: float = 1.0) -> tuple[EpochReport, ...]:
        """An epoch that takes so long."""
        reports = [replace(report, seconds=seconds) for report in self.engine.run_epoch()]
        return self.trials.after_epoch(reports)

    def epochs(self, count: int, seconds: float = 1.0) -> list[EpochReport]:
        """Some epochs of one trial."""
        return [report for _ in range(count) for report in self.epoch(seconds)]

    def retire(self, number: int = 0, reason: StopReason = INTERRUPTED) -> TrialResult:
        return self.trials.retire(Retirement(number, reason))


Make = Callable[[], Slots]


@pytest.fixture
def make(data: DataRef, tmp_path: Path) -> Make:
    return lambda: Slots(data, tmp_path / "artifacts")


@pytest.fixture
def slots(make: Make) -> Slots:
    return make()


def names(reports: list[EpochReport]) -> list[str | None]:
    return [report.checkpoint for report in reports]


def test_one_is_written_after_twenty_seconds_of_training(slots: Slots) -> None:
    slots.trials.admit(slots.task())
    written = names(slots.epochs(8, seconds=7.0))
    first, second = "checkpoint-0-a", "checkpoint-0-b"
    assert written == [None, None, first, None, None, second, None, None]


def test_the_last_epoch_needs_none(slots: Slots) -> None:
    slots.trials.admit(slots.task())
    assert names(slots.epochs(9, seconds=21.0))[7:] == ["checkpoint-0-b", None]
    assert slots.retire(reason=StopReason.COMPLETED).checkpoint is None


def test_they_become_rarer_where_they_would_cost_too_much(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: Iterator[float] = iter([0.0, 0.5] * 100)
    monkeypatch.setattr(checkpoints, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    for number in range(2):
        slots.trials.admit(slots.task(number))
    # Two trials, half a second each: every 50 seconds, of which that is a fiftieth.
    written = [[r.checkpoint is not None for r in slots.epoch(seconds=25.0)] for _ in range(6)]
    assert written == [[True] * 2, [False] * 2, [True] * 2, [False] * 2, [True] * 2, [False] * 2]


def test_a_trial_goes_on_with_the_figures_of_an_undisturbed_one(
    make: Make, tmp_path: Path
) -> None:
    undisturbed, stopped, resumed = make(), make(), make()
    undisturbed.trials.admit(undisturbed.task())
    expected = undisturbed.epochs(9)
    stopped.trials.admit(stopped.task())
    stopped.epochs(4)
    left = stopped.retire()
    assert (left.checkpoint, left.remark) == ("checkpoint-0-a", "")
    place = Checkpoints.at(str(tmp_path / "artifacts"))
    written = Checkpoint.from_bytes(place.read("checkpoint-0-a"))
    place.write("checkpoint-0-a", replace(written, seconds=1000.0).to_bytes())
    resumed.trials.admit(resumed.task(checkpoint=left.checkpoint, checkpoint_epoch=4))
    assert metrics(resumed.epochs(5)) == metrics(expected[4:])
    result = resumed.retire(reason=StopReason.COMPLETED)
    assert (result.epochs, result.remark) == (9, "")
    assert result.seconds > 1000.0, "the time up to the checkpoint counts"


def test_an_interrupted_trial_writes_what_it_has_not_written(slots: Slots) -> None:
    for number in range(4):
        slots.trials.admit(slots.task(number))
    slots.trials.retire(Retirement(3, INTERRUPTED))
    slots.epoch(seconds=1.0)
    slots.epoch(seconds=20.0)
    assert slots.retire(0).checkpoint is None, "it was written after that epoch"
    slots.epoch()
    assert slots.retire(1).checkpoint == "checkpoint-1-b"
    assert slots.retire(2, StopReason.PRUNED).checkpoint is None


def test_without_a_place_nothing_is_written(slots: Slots, tmp_path: Path) -> None:
    slots.trials.admit(slots.task(artifacts=None))
    assert names(slots.epochs(2, seconds=100.0)) == [None, None]
    result = slots.retire()
    assert (result.checkpoint, result.remark) == (None, "")
    assert not (tmp_path / "artifacts").exists()


def damage(place: Checkpoints) -> None:
    content = place.read("checkpoint-0-a")
    place.write("checkpoint-0-a", content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])


def swap_seeds(place: Checkpoints) -> None:
    read = Checkpoint.from_bytes(place.read("checkpoint-0-a"))
    place.write("checkpoint-0-a", replace(read, owner=replace(read.owner, seed=5)).to_bytes())


@pytest.mark.parametrize(
    ("spoil", "epoch", "why"),
    [
        (damage, 3, "the checkpoint is damaged; another digest than it had"),
        (lambda place: place.remove(0), 3, "the checkpoint is missing"),
        (swap_seeds, 3, "the checkpoint belongs to another seed; seed 5"),
        (lambda place: None, 2, "the checkpoint is later than its study knows of; epoch 3"),
    ],
    ids=["damaged", "missing", "foreign", "later"],
)
def test_a_checkpoint_of_no_use_is_no_failure(
    make: Make, tmp_path: Path, spoil: Callable[[Checkpoints], None], epoch: int, why: str
) -> None:
    stopped, begun = make(), make()
    stopped.trials.admit(stopped.task())
    expected = stopped.epochs(3)
    stopped.retire()
    spoil(Checkpoints.at(str(tmp_path / "artifacts")))
    begun.trials.admit(begun.task(checkpoint="checkpoint-0-a", checkpoint_epoch=epoch))
    assert metrics(begun.epochs(3)) == metrics(expected)
    remark = f"begun anew instead of after epoch {epoch}: {why}"
    left = begun.retire()
    assert (left.checkpoint, left.remark) == ("checkpoint-0-b", remark)
    # Who reads the last result learns of it too.
    resumed = make()
    resumed.trials.admit(resumed.task(checkpoint="checkpoint-0-b", checkpoint_epoch=3))
    assert resumed.epochs(1)[0].epoch == 4
    assert resumed.retire().remark == remark


def test_a_trial_trains_on_when_its_checkpoint_cannot_be_written(
    slots: Slots, tmp_path: Path
) -> None:
    slots.trials.admit(slots.task())
    (tmp_path / "artifacts").write_bytes(b"in the way")
    assert names(slots.epochs(3, seconds=11.0)) == [None, None, None]
    left = slots.retire()
    assert left.checkpoint is None
    assert left.remark.startswith("no checkpoint after epoch 3: a checkpoint cannot be written")
    assert "FileExistsError" in left.remark
    assert left.remark.count("no checkpoint") == 1
    slots.trials.admit(slots.task(1))
    slots.epoch(seconds=21.0)
    (tmp_path / "artifacts").unlink()
    slots.epoch(seconds=21.0)
    assert slots.retire(1).remark == "", "there is one by now"


def test_a_place_that_answers_slowly_and_in_vain_is_not_asked_all_the_time(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty seconds in vain, once in five minutes, whatever the number of trials."""
    now, tries = 0.0, 0

    def write(self: Checkpoints, name: str, content: bytes) -> None:
        nonlocal now, tries
        tries += 1
        now += 30.0
        raise CheckpointError("a checkpoint cannot be written", received="no answer")

    monkeypatch.setattr(checkpoints, "time", SimpleNamespace(monotonic=lambda: now))
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "write", write)
        for number in range(4):
            slots.trials.admit(slots.task(number))
        slots.epoch(seconds=25.0)
        assert (tries, now) == (1, 30.0)
        now = 329.0
        slots.epoch(seconds=25.0)
        assert slots.retire(3).remark == (
            "no checkpoint after epoch 2: a checkpoint cannot be written; no answer"
        )
        assert tries == 1
    now = 331.0
    assert all(report.checkpoint is not None for report in slots.epoch(seconds=1.0))
    assert slots.retire(1).remark == ""


def test_another_kind_of_device_is_remarked_on(data: DataRef, tmp_path: Path) -> None:
    stopped = Slots(data, tmp_path, "gpu:1")
    stopped.trials.admit(stopped.task())
    stopped.epochs(2)
    stopped.retire()
    for device, remark in (
        ("cpu:0", "trained on a gpu up to epoch 2, then on a cpu"),
        ("gpu:0", ""),
    ):
        resumed = Slots(data, tmp_path, device)
        resumed.trials.admit(resumed.task(checkpoint="checkpoint-0-a", checkpoint_epoch=2))
        resumed.epochs(1)
        assert resumed.retire().remark == remark
