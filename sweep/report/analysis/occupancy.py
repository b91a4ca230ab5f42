"""Who trained what when: the slots of workers, how long each was busy, and pauses between.

Times are seconds in training: since the first trial's start, with pauses left out. A pause is a
time longer than a minute in which no trial was in training at all: the study had been stopped, or
all of its workers were lost. A worker's slots are as many as it ever used at once; they count as
idle while the worker is there and trains nothing in them, but not before it is ready. Of a trial
that was begun again the database knows the last attempt only: what earlier ones took looks idle.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sweep.report.analysis.estimate import Floats
from sweep.report.frames import StudyFrames
from sweep.store.records import RUN_ENDED

PAUSE_SECONDS = 60.0
# A trial's end may be written down after the start of the one that takes its slot.
HANDOVER_SECONDS = 2.0
HANDOVER_SHARE = 0.1

Clock = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Occupancy:
    """The slots of a study's workers over time.

    Attributes:
        stays: A row for each trial that was in a slot, by begin: `number`, `outcome`, `worker`,
            `slot` (from 0), `begin` and `end` (seconds in training).
        slots: Number of slots by worker, in the order of names.
        lives: A row for each time that a worker was there: `worker`, `begin`, `end`.
        lost: A row for each worker process that was lost: `worker`, `at`, `reason`.
        pauses: A row for each pause: `at` (seconds in training) and `seconds` (that it lasted).
    """

    stays: pd.DataFrame
    slots: pd.Series
    lives: pd.DataFrame
    lost: pd.DataFrame
    pauses: pd.DataFrame

    @property
    def seconds(self) -> float:
        """How long the study trained, pauses left out."""
        return float(self.stays["end"].max()) if len(self.stays) else 0.0

    @property
    def utilisation(self) -> float:
        """Share of the slots' time that trials used; NaN if no time has passed."""
        return float(self.busy(np.array([0.0, self.seconds]))[0])

    def busy(self, edges: Floats, worker: str | None = None) -> Floats:
        """Mean share of slots in use between each two of the times; NaN while there is none.

        Args:
            edges: Increasing times, seconds in training (time,).
            worker: Of this worker; of all if None.
        """
        stays, lives = self.stays, self.lives
        if worker is not None:
            stays = stays[stays["worker"] == worker]
            lives = lives[lives["worker"] == worker]
        used = _slot_seconds(stays, np.ones(len(stays)), edges)
        sizes = self.slots.reindex(lives["worker"]).to_numpy(dtype=float)
        there = _slot_seconds(lives, sizes, edges)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Sums of long times leave crumbs.
            share = np.where(there > 1e-6 * np.diff(edges), used / there, np.nan)
        return np.clip(share, 0.0, 1.0)


def occupancy(frames: StudyFrames) -> Occupancy:
    """Read the slots from the starts and ends of trials and workers."""
    trials = frames.trials
    is_known = trials["worker"].notna() & trials["started"].notna()
    trials = trials[is_known & (trials["outcome"] != "waiting")].sort_values("started")
    processes = frames.workers[frames.workers["worker"].isin(trials["worker"])]
    begin, end, ready, gone = _times(trials, processes, frames.epochs)
    clock, pauses = _clock(begin, end)
    facts = {name: trials[name].to_numpy() for name in ("number", "outcome", "worker")}
    stays = _in_slots(pd.DataFrame(facts | {"begin": clock(begin), "end": clock(end)}))
    slots = (stays.groupby("worker")["slot"].max() + 1).sort_index(key=lambda n: n.map(_natural))
    names = processes["worker"].to_numpy()
    lives = pd.DataFrame({"worker": names, "begin": clock(ready), "end": clock(gone)})
    reasons = processes["end_reason"].to_numpy()
    lost = pd.DataFrame({"worker": names, "at": clock(gone), "reason": reasons})
    was_lost = processes["ended"].notna() & (processes["end_reason"] != RUN_ENDED)
    return Occupancy(
        stays,
        slots,
        _merged(pd.concat([lives, stays[["worker", "begin", "end"]]])),
        lost[was_lost.to_numpy()].reset_index(drop=True),
        pauses,
    )


def _times(
    trials: pd.DataFrame, processes: pd.DataFrame, epochs: pd.DataFrame
) -> tuple[Floats, Floats, Floats, Floats]:
    """Begin and end of trials, and of processes, in seconds since the first trial's start.

    What is still there goes on to the last thing that is known of the study. A trial that waits
    for another worker, since its own is gone, was in training up to its last epoch.
    """
    seen = (trials["started"], trials["ended"], processes["ready"], epochs["reported"])
    first, last = trials["started"].min(), pd.concat(seen).max()

    def seconds(times: pd.Series) -> Floats:
        return np.asarray((times.fillna(last) - first).dt.total_seconds(), dtype=float)

    living = processes[processes["ended"].isna()].groupby("worker")["ready"].max()
    since = living.reindex(trials["worker"]).to_numpy()
    is_left = trials["ended"].isna() & ~(trials["started"].to_numpy() >= since)
    reported = epochs.groupby("number")["reported"].max().reindex(trials["number"])
    begin = seconds(trials["started"])
    end = seconds(trials["ended"])
    left_at = seconds(reported.fillna(first))
    end = np.maximum(begin, np.where(is_left, left_at, end))
    return begin, end, seconds(processes["ready"]), seconds(processes["ended"])


def _clock(begin: Floats, end: Floats) -> tuple[Clock, pd.DataFrame]:
    """From seconds since the first start to seconds in training; and the pauses.

    Args:
        begin: Starts of trials, increasing (trial,).
        end: Their ends (trial,).
    """
    until = np.maximum.accumulate(end)
    gaps = begin[1:] - until[:-1]
    places = np.flatnonzero(gaps > PAUSE_SECONDS)
    # Knots: time goes on up to a pause and stands still in it.
    knots = np.concatenate([[0.0], np.ravel([until[places], begin[places + 1]], order="F")])
    knots = np.append(knots, until[-1:])
    steps = np.diff(knots)
    steps[1::2] = 0.0
    training = np.concatenate([[0.0], np.cumsum(steps)])
    pauses = pd.DataFrame({"at": training[1:-1:2], "seconds": gaps[places]})
    return lambda times: np.interp(times, knots, training), pauses


def _in_slots(stays: pd.DataFrame) -> pd.DataFrame:
    """Give each stay the first slot of its worker that is free."""
    slots: list[int] = []
    begins: list[float] = []
    until: dict[str, list[tuple[float, float]]] = {}
    for worker, begin, end in zip(stays["worker"], stays["begin"], stays["end"], strict=True):
        mine = until.setdefault(worker, [])
        slot = _free(mine, begin, end - begin)
        if slot == len(mine):
            mine.append((0.0, 0.0))
        begin = max(begin, mine[slot][0])
        mine[slot] = (max(begin, end), end - begin)
        slots.append(slot)
        begins.append(begin)
    ends = np.maximum(stays["end"].to_numpy(dtype=float), begins)
    return stays.assign(slot=np.array(slots, dtype=int), begin=np.array(begins), end=ends)


def _free(slots: list[tuple[float, float]], begin: float, duration: float) -> int:
    """The first slot that is free, or about to be; a new one if there is none."""
    for index, (end, _) in enumerate(slots):
        if end <= begin:
            return index
    for index, (end, earlier) in enumerate(slots):
        if end - begin <= min(HANDOVER_SECONDS, HANDOVER_SHARE * min(duration, earlier)):
            return index
    return len(slots)


def _merged(spells: pd.DataFrame) -> pd.DataFrame:
    """Spells of each worker, those that overlap or touch joined."""
    spells = spells.sort_values(["worker", "begin"])
    until = spells.groupby("worker")["end"].cummax()
    before = until.groupby(spells["worker"]).shift()
    spell = (~(spells["begin"] <= before)).cumsum()
    return spells.groupby(spell).agg(
        worker=("worker", "first"), begin=("begin", "min"), end=("end", "max")
    )


def _slot_seconds(spells: pd.DataFrame, sizes: Floats, edges: Floats) -> Floats:
    """Slot seconds between each two times, of spells that take so many slots each."""
    sums = np.zeros(len(edges))
    for name, sign in (("begin", 1.0), ("end", -1.0)):
        times = spells[name].to_numpy(dtype=float)
        order = np.argsort(times)
        times, weights = times[order], sizes[order]
        # What began (or ended) before an edge: how many slots, and the sum of their times.
        count = np.concatenate([[0.0], np.cumsum(weights)])
        total = np.concatenate([[0.0], np.cumsum(weights * times)])
        before = np.searchsorted(times, edges)
        sums += sign * (count[before] * edges - total[before])
    return np.diff(sums)


def _natural(name: Any) -> tuple[str, int]:
    """So that cpu2 comes before cpu10."""
    stem = str(name).rstrip("0123456789")
    return stem, int(str(name)[len(stem) :] or 0)
