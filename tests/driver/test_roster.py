import optuna

from sweep.driver.roster import Roster, Seat
from sweep.driver.source import OpenTrial
from sweep.executors.base import Retirement, WorkerReady
from sweep.trial import EpochReport, StopReason, TrialConfig, TrialTask


def open_trial(number: int, group: str = "") -> OpenTrial:
    trial = optuna.create_study().ask()
    return OpenTrial(trial, TrialTask(number, TrialConfig(), seed=number), 0, group)


def seated(capacity: int, *numbers: int) -> Seat:
    seat = Seat("cpu:0", capacity)
    for number in numbers:
        seat.admit(open_trial(number))
    seat.directed()
    return seat


def test_an_idle_worker_waits_for_a_directive_and_a_training_one_does_not() -> None:
    assert seated(1).waiting
    assert not seated(1, 0).waiting


def test_a_worker_of_one_slot_is_filled_only_after_the_result_is_known() -> None:
    seat = seated(1, 0)
    seat.retire = (Retirement(0, StopReason.COMPLETED),)
    assert seat.free == 0
    seat.directed()
    assert seat.waiting
    assert seat.free == 0
    seat.release(0)
    assert seat.free == 1


def test_a_slot_beside_neighbours_that_go_on_is_filled_at_once() -> None:
    seat = seated(3, 0, 1, 2)
    seat.retire = (Retirement(1, StopReason.PRUNED),)
    assert seat.free == 1
    seat.admit(open_trial(3))
    seat.directed()
    assert not seat.waiting
    seat.release(1)
    assert sorted(seat.trials) == [0, 2, 3]
    assert seat.free == 0


def test_slots_are_filled_at_once_where_all_trials_end_together() -> None:
    seat = seated(2, 0, 1)
    seat.retire = (Retirement(0, StopReason.COMPLETED), Retirement(1, StopReason.COMPLETED))
    assert seat.free == 2
    seat.admit(open_trial(2))
    seat.directed()
    assert (seat.waiting, seat.free) == (False, 1)
    seat.release(0)
    seat.release(1)
    assert (seat.waiting, seat.free) == (False, 1)


def test_a_worker_suits_what_it_trains_best_and_what_it_has_compiled_second() -> None:
    seat = Seat("gpu:0", 3)
    for number, group in enumerate("abc"):
        seat.admit(open_trial(number, group))
    seat.directed()
    seat.retire = (Retirement(1, StopReason.PRUNED),)
    assert [seat.rank(group) for group in "abcd"] == [0, 1, 0, 2]
    seat.directed()
    assert [seat.rank(group) for group in "abcd"] == [0, 1, 0, 2]


def test_more_trials_are_wanted_ahead_for_more_slots() -> None:
    roster = Roster(("gpu0", "gpu1"))
    assert roster.ahead == 2, "one for each worker that starts"
    roster.ready(WorkerReady("gpu0", 1, "host", "gpu0", "fused", 64))
    assert roster.ahead == 64 + 1, "all slots of a worker that trains nothing"
    roster.seat("gpu0").admit(open_trial(0))
    assert roster.ahead == 16 + 1
    roster.ready(WorkerReady("gpu1", 1, "host", "gpu1", "fused", 1))
    roster.seat("gpu1").admit(open_trial(1))
    assert roster.ahead == 16 + 1


def test_a_trial_that_leaves_is_no_longer_in_view() -> None:
    roster = Roster(("gpu0",))
    roster.ready(WorkerReady("gpu0", 1, "host", "gpu0", "fused", 2))
    seat = roster.seat("gpu0")
    seat.admit(open_trial(0))
    seat.admit(open_trial(1))
    seat.directed()
    seat.retire = (Retirement(0, StopReason.PRUNED),)
    seat.directed()
    (view,) = roster.views()
    assert [slot.number for slot in view.slots] == [1]
    assert roster.running == 2


def test_views_show_every_worker() -> None:
    roster = Roster(("cpu0", "cpu1", "cpu2"))
    for worker in ("cpu0", "cpu1"):
        roster.ready(WorkerReady(worker, 1, "host", worker, "reference", 1))
    trial = open_trial(7)
    for epoch, accuracy in enumerate((0.1, float("nan"), 0.3), start=1):
        trial.reports.append(EpochReport(7, epoch, 1.0, 0.5, 1.0, accuracy, 0.001, 1.0))
    roster.seat("cpu1").admit(trial)
    assert roster.running == 1
    idle, training, starting = roster.views()
    assert (idle.state, training.state, starting.state) == ("idle", "training", "starting")
    assert training.slots[0].number == 7
    assert training.slots[0].epoch == 3
    assert training.slots[0].val_accuracy == (0.1, 0.3)
    roster.lost("cpu1")
    assert roster.running == 0
