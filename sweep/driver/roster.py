"""Who trains what: the driver's picture of the workers and their slots."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from sweep.driver.progress import SlotView, WorkerView
from sweep.driver.source import OpenTrial
from sweep.executors.base import Retirement, WorkerReady


@dataclass(slots=True)
class Seat:
    """A ready worker.

    Attributes:
        device: Its device.
        capacity: The most trials it trains at once.
        trials: Open trials in its slots by number, retiring ones included.
        waiting: Whether it waits for a directive.
        retire: What that directive will take out.
        leaving: Numbers of the trials that an earlier directive takes out, result pending.
        trained: Groups of which it has trained a trial: what they need is compiled.
    """

    device: str
    capacity: int
    trials: dict[int, OpenTrial] = field(default_factory=dict)
    waiting: bool = True
    retire: tuple[Retirement, ...] = ()
    leaving: set[int] = field(default_factory=set)
    trained: set[Hashable] = field(default_factory=set)

    @property
    def staying(self) -> int:
        """Trials that go on training after the next directive."""
        return len(self.trials) - len(self.retire) - len(self.leaving)

    @property
    def free(self) -> int:
        """Slots that the next directive may fill.

        Those that it empties are filled at once. A worker of one slot waits for the result
        instead, which costs it milliseconds: so what the sampler knows when it chooses a trial
        never depends on how fast it chose the one before.
        """
        return self.capacity - (self.staying if self.capacity > 1 else len(self.trials))

    def rank(self, group: Hashable) -> int:
        """How well a trial of this group suits the worker: 0 if it trains such a one just now."""
        gone = self.leaving | {retirement.number for retirement in self.retire}
        if any(t.group == group for number, t in self.trials.items() if number not in gone):
            return 0
        return 1 if group in self.trained else 2

    def admit(self, open_trial: OpenTrial) -> None:
        """Put a trial into a free slot."""
        self.trials[open_trial.task.number] = open_trial
        self.trained.add(open_trial.group)

    def directed(self) -> None:
        """The directive is on its way; a worker left without trials waits for the next one."""
        self.leaving.update(retirement.number for retirement in self.retire)
        self.retire = ()
        self.waiting = self.staying == 0

    def release(self, number: int) -> OpenTrial:
        """Take a trial out of its slot; a worker left without trials waits for a directive."""
        self.leaving.discard(number)
        open_trial = self.trials.pop(number)
        self.waiting = self.waiting or self.staying == 0
        return open_trial


class Roster:
    """All workers, ready or not."""

    def __init__(self, workers: tuple[str, ...]) -> None:
        """Begin with no worker ready."""
        self.seats: dict[str, Seat | None] = dict.fromkeys(workers)

    def ready(self, event: WorkerReady) -> None:
        """A worker can train."""
        self.seats[event.worker] = Seat(event.device, event.capacity)

    def lost(self, worker: str) -> None:
        """A worker is gone until it is ready again."""
        self.seats[worker] = None

    def seat(self, worker: str) -> Seat:
        """The seat of a worker that is ready."""
        seat = self.seats[worker]
        if seat is None:
            raise KeyError(worker)
        return seat

    @property
    def trials(self) -> list[OpenTrial]:
        """Those in slots; the ones whose result is pending count."""
        return [trial for seat in self.seats.values() if seat for trial in seat.trials.values()]

    def take_all(self) -> list[OpenTrial]:
        """Take all trials out of their slots."""
        taken = self.trials
        for seat in filter(None, self.seats.values()):
            seat.trials.clear()
        return taken

    @property
    def running(self) -> int:
        """Trials in slots, over all workers; those whose result is pending count."""
        return sum(len(seat.trials) for seat in self.seats.values() if seat)

    @property
    def capacity(self) -> int:
        """Slots of all workers; of one that is not ready, one."""
        return sum(seat.capacity if seat else 1 for seat in self.seats.values())

    @property
    def has_idle(self) -> bool:
        """Whether a worker that is ready trains nothing."""
        return any(seat is not None and not seat.trials for seat in self.seats.values())

    @property
    def ahead(self) -> int:
        """How many trials should be ready for the slots that become free next.

        One for each worker, a quarter of the slots of one that has many: more of them seldom end
        with the same epoch, and what is asked for earlier is chosen knowing less. All slots of
        one that trains nothing.
        """
        return sum(_ahead(seat) if seat else 1 for seat in self.seats.values())

    def views(self) -> tuple[WorkerView, ...]:
        """Every worker for people to look at."""
        return tuple(_view(name, seat) for name, seat in self.seats.items())


def _ahead(seat: Seat) -> int:
    return max(1, seat.capacity // 4) if seat.trials else seat.capacity


def _view(name: str, seat: Seat | None) -> WorkerView:
    if seat is None:
        return WorkerView(name, device="", state="starting", slots=())
    slots = tuple(
        SlotView(
            number=number,
            config=open_trial.config,
            epoch=len(open_trial.reports),
            val_accuracy=tuple(
                r.val_accuracy for r in open_trial.reports if r.val_accuracy == r.val_accuracy
            ),
        )
        for number, open_trial in seat.trials.items()
        if number not in seat.leaving
    )
    return WorkerView(name, seat.device, "training" if slots else "idle", slots)
