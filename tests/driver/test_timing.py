from types import SimpleNamespace

import pytest

from sweep.driver.timing import TimeKeeper


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("sweep.driver.timing.time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def test_what_a_worker_neither_trains_nor_compiles_is_idle(clock: Clock) -> None:
    times = TimeKeeper(workers=1)
    clock.now += 10.0
    times.ready("cpu0")
    clock.now += 1.0
    times.directed("cpu0", trains=True)
    clock.now += 5.0
    times.reported("cpu0", train_seconds=3.0, compile_seconds=1.5)
    clock.now += 2.0
    split = times.split()
    assert split.seconds == 18.0
    assert (split.training_seconds, split.compiling_seconds) == (3.0, 1.5)
    assert split.idle_seconds == 3.5
    assert split.worker_seconds == 8.0, "the start of the worker is left out"


def test_an_epoch_counts_when_it_is_reported(clock: Clock) -> None:
    times = TimeKeeper(workers=2)
    times.ready("cpu0")
    times.ready("cpu1")
    times.directed("cpu0", trains=True)
    clock.now += 4.0
    assert times.split().idle_seconds == 4.0, "of the other worker"
    times.reported("cpu0", train_seconds=4.0, compile_seconds=0.0)
    assert times.split().training_seconds == 4.0
    assert times.split().idle_seconds == 4.0


def test_an_epoch_lost_with_its_worker_counts_nowhere(clock: Clock) -> None:
    times = TimeKeeper(workers=1)
    times.lost("cpu0")
    times.ready("cpu0")
    clock.now += 1.0
    times.directed("cpu0", trains=True)
    clock.now += 100.0
    times.lost("cpu0")
    clock.now += 20.0
    times.ready("cpu0")
    clock.now += 0.5
    assert times.split().idle_seconds == 1.5


def test_a_worker_told_to_retire_alone_waits(clock: Clock) -> None:
    times = TimeKeeper(workers=1)
    times.ready("cpu0")
    times.directed("cpu0", trains=False)
    clock.now += 1.0
    assert times.split().idle_seconds == 1.0
    times.directed("cpu0", trains=True)
    clock.now += 1.0
    times.waits("cpu0")
    clock.now += 1.0
    assert times.split().idle_seconds == 3.0, "whatever failed trained nothing"


def test_the_driver_is_timed_by_what_it_does(clock: Clock) -> None:
    times = TimeKeeper(workers=1)
    for _ in range(2):
        with times.sampling:
            clock.now += 2.0
        with times.storage:
            clock.now += 1.5
    assert (times.split().sampling_seconds, times.split().storage_seconds) == (4.0, 3.0)
