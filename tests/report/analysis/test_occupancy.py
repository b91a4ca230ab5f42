from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from report_studies import epoch_row, failed_row, frames_of, trial_row

from sweep.report.analysis.occupancy import Occupancy, occupancy

START = datetime.fromtimestamp(1.8e9, UTC)
Stay = tuple[str, float, float]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def process(worker: str, ready: float, ended: float | None = None, **more: Any) -> dict[str, Any]:
    row = {"worker": worker, "pid": 1, "host": "host", "device": "cpu", "engine": "fused"}
    end = {"ended_at": None if ended is None else at(ended), "end_reason": "the run ended"}
    return row | {"ready_at": at(ready)} | end | more


def found(stays: Iterable[Stay], workers: Sequence[dict[str, Any]] = ()) -> Occupancy:
    rows = [
        trial_row(number, worker=worker, started=at(begin), ended=at(end))
        for number, (worker, begin, end) in enumerate(stays)
    ]
    return occupancy(frames_of(rows, workers=workers))


def test_a_trial_takes_the_first_slot_that_is_free() -> None:
    stays = [("gpu0", 0, 10), ("gpu0", 0, 30), ("gpu0", 10, 20), ("gpu0", 25, 40), ("gpu1", 5, 9)]
    known = found(stays)
    assert dict(zip(known.stays["number"], known.stays["slot"], strict=True)) == {
        0: 0, 1: 1, 2: 0, 3: 0, 4: 0,
    }  # fmt: skip
    assert known.slots.to_dict() == {"gpu0": 2, "gpu1": 1}


def test_workers_stand_in_the_order_of_their_numbers() -> None:
    known = found([(f"cpu{number}", 0, 10) for number in (10, 2, 1)])
    assert list(known.slots.index) == ["cpu1", "cpu2", "cpu10"]


def test_a_slot_that_is_handed_over_is_not_two() -> None:
    known = found([("gpu0", 0, 100.4), ("gpu0", 100, 200), ("gpu0", 199, 230)])
    assert known.slots["gpu0"] == 1
    assert known.stays["begin"].tolist() == pytest.approx([0, 100.4, 200])
    assert found([("gpu0", 0, 100), ("gpu0", 70, 200)]).slots["gpu0"] == 2


def test_utilisation_counts_a_worker_from_when_it_was_ready_until_it_ended() -> None:
    workers = [process("cpu0", -5, 100), process("cpu1", 40, 90)]
    known = found([("cpu0", 0, 60), ("cpu0", 80, 100), ("cpu1", 50, 80)], workers)
    # 80 s of cpu0's 100 s and 30 s of cpu1's 50 s.
    assert known.utilisation == pytest.approx(110 / 150)
    share = known.busy(np.array([0.0, 40.0, 50.0, 60.0, 80.0, 90.0, 100.0]))
    assert share == pytest.approx([1.0, 0.5, 1.0, 0.5, 0.5, 1.0])
    assert known.busy(np.array([0.0, 50.0, 100.0]), "cpu1") == pytest.approx([0.0, 30 / 40])
    assert np.isnan(known.busy(np.array([0.0, 40.0]), "cpu1")[0])


def test_shares_add_up_whatever_the_bins() -> None:
    chance = np.random.default_rng(0)
    begins = np.sort(chance.uniform(0, 500, 80))
    stays = [(f"gpu{n % 3}", b, b + chance.uniform(1, 40)) for n, b in enumerate(begins)]
    known = found(stays)
    trained = sum(end - begin for _, begin, end in stays)
    slots = sum(
        known.slots[row.worker] * (row.end - row.begin) for row in known.lives.itertuples()
    )
    assert known.utilisation == pytest.approx(trained / slots)
    for bins in (1, 7, 200):
        edges = np.linspace(0, known.seconds, bins + 1)
        for worker in known.slots.index:
            mine = known.stays[known.stays["worker"] == worker]
            share = known.busy(edges, worker)
            expected = [
                (mine["end"].clip(low, high) - mine["begin"].clip(low, high)).sum()
                for low, high in zip(edges, edges[1:], strict=False)
            ]
            lives = known.lives[known.lives["worker"] == worker]
            there = [
                (lives["end"].clip(low, high) - lives["begin"].clip(low, high)).sum()
                * known.slots[worker]
                for low, high in zip(edges, edges[1:], strict=False)
            ]
            with np.errstate(invalid="ignore"):
                assert share == pytest.approx(np.divide(expected, there), nan_ok=True, abs=1e-6)


def test_a_study_that_was_resumed_later_is_not_idle_meanwhile() -> None:
    day = 86400.0
    workers = [process("cpu0", 0, 3 * day), process("cpu0", 3 * day - 10)]
    stays = [("cpu0", 0, 100), ("cpu0", 150, 200), ("cpu0", 3 * day, 3 * day + 50)]
    known = found(stays, workers)
    assert known.pauses["at"].tolist() == [200.0]
    assert known.pauses["seconds"].tolist() == [3 * day - 200]
    assert known.seconds == 250.0
    # The 50 s between the first two count as idle: the worker was there.
    assert known.utilisation == pytest.approx(200 / 250)


def test_lost_workers_are_told_from_those_whose_run_ended() -> None:
    workers = [
        process("cpu0", 0, 50, end_reason="killed by SIGKILL"),
        process("cpu0", 60, 100),
        process("cpu1", 0, None),
    ]
    known = found([("cpu0", 0, 100), ("cpu1", 0, 100)], workers)
    assert known.lost[["worker", "at", "reason"]].to_numpy().tolist() == [
        ["cpu0", 50.0, "killed by SIGKILL"]
    ]


def test_open_trials_go_on_as_far_as_is_known() -> None:
    def rows(ended: float | None) -> Occupancy:
        trials = [
            trial_row(0, worker="cpu0", started=at(0), ended=at(100)),
            failed_row(1, state="RUNNING", error=None, worker="cpu1", started=at(10)),
        ]
        epochs = [epoch_row(1, 1, 0.2, reported=1.8e9 + 40)]
        workers = [process("cpu0", 0), process("cpu1", 0, ended)]
        return occupancy(frames_of(trials, epochs, workers=workers))

    assert rows(None).stays["end"].tolist() == [100.0, 100.0]
    # Its worker is gone: it was in training up to its last epoch.
    assert rows(60.0).stays["end"].tolist() == [100.0, 40.0]


def test_trials_that_never_started_are_nowhere() -> None:
    known = occupancy(
        frames_of([failed_row(0, started=at(0), ended=at(5), worker=None), trial_row(1)])
    )
    assert known.stays.empty
    assert known.seconds == 0.0
