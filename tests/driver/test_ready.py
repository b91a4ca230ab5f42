from collections.abc import Hashable

import optuna

from sweep.driver.ready import MOST_OVERTAKEN, ReadyQueue
from sweep.driver.source import OpenTrial
from sweep.trial import TrialConfig, TrialTask


def trial(number: int, group: str = "") -> OpenTrial:
    task = TrialTask(number, TrialConfig(), seed=number)
    return OpenTrial(optuna.create_study().ask(), task, 0, group)


def queue_of(*groups: str) -> ReadyQueue:
    queue = ReadyQueue()
    for number, group in enumerate(groups):
        queue.add(trial(number, group))
    return queue


def numbers(trials: list[OpenTrial]) -> list[int]:
    return [trial.task.number for trial in trials]


def prefer(wanted: str):  # type: ignore[no-untyped-def]
    def rank(group: Hashable) -> int:
        return 0 if group == wanted else 2

    return rank


def test_trials_come_in_the_order_of_asking() -> None:
    queue = queue_of("a", "b", "a")
    assert numbers(queue.take(2, prefer("c"))) == [0, 1]
    assert len(queue) == 1
    assert numbers(queue.take(5, prefer("c"))) == [2]
    assert queue.take(1, prefer("c")) == []


def test_those_that_suit_come_first_and_keep_their_order() -> None:
    queue = queue_of("a", "b", "a", "b", "b")
    assert numbers(queue.take(3, prefer("b"))) == [1, 3, 4]
    assert numbers(queue.take(3, prefer("b"))) == [0, 2]


def test_trials_that_start_again_come_before_all_others() -> None:
    queue = queue_of("a", "b")
    queue.put_first([trial(7), trial(8)])
    assert numbers(queue.take(3, prefer(""))) == [7, 8, 0]


def test_a_trial_is_overtaken_only_so_often() -> None:
    queue = queue_of("a")
    for number in range(1, MOST_OVERTAKEN + 1):
        queue.add(trial(number, "b"))
        assert numbers(queue.take(1, prefer("b"))) == [number]
    queue.add(trial(99, "b"))
    assert numbers(queue.take(2, prefer("b"))) == [0, 99]


def test_waiting_alone_is_not_being_overtaken() -> None:
    queue = queue_of(*"ab" * MOST_OVERTAKEN)
    for _ in range(MOST_OVERTAKEN):
        queue.take(1, prefer("c"))
    # The rest was never passed over: what suits still comes first.
    assert numbers(queue.take(1, prefer("b"))) == [MOST_OVERTAKEN + 1]


def test_trials_that_are_others_now_are_forgotten() -> None:
    queue = queue_of("a", "b", "a")
    queue.drop({1, 9})
    assert numbers(queue.take_all()) == [0, 2]
    assert len(queue) == 0
