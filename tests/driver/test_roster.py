import optuna

from sweep.driver.roster import Roster, Seat
from sweep.driver.source import OpenTrial
from sweep.executors.base import Retirement, WorkerReady
from sweep.trial import EpochReport, StopReason, TrialConfig, TrialTask


def open_trial(number: int) -> OpenTrial:
    trial = optuna.create_study().ask()
    return OpenTrial(trial, TrialTask(number, TrialConfig(), seed=number), last_step=0)


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
