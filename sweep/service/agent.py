"""An agent: serves one study after the other with one device, until it is told to end."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Final

from sweep.budget import Budget
from sweep.data import prepare
from sweep.driver.notify import EventKind, Notifier, Target
from sweep.driver.progress import Progress, Watcher
from sweep.driver.run import run_study
from sweep.driver.stop import StopFlag
from sweep.errors import StoreError, StudyMismatchError, SweepError
from sweep.executors.backends import check_backend
from sweep.executors.devices import Device
from sweep.executors.process import ENGINE_FACTORY, ProcessExecutor
from sweep.service.choice import Candidate, neediest, successor
from sweep.spec import parse_study
from sweep.store import QueuedStudy, Store, Wanted

IDLE_SECONDS: Final = 2.0
ALLOT_SECONDS: Final = 10.0
FIRST_REST_SECONDS: Final = 10.0
LONGEST_REST_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What an agent is told when it starts.

    Attributes:
        device: What it trains on.
        host: Name of its machine.
        artifacts: Directory or s3:// address of checkpoints and weights.
        logs: Directory of the logs of the workers.
        data_dir: Where the images lie, or None to look where they usually do.
        studies: Patterns of the names of the studies that it serves, with `*` and `?`.
        idle_exit: End when no study has work.
        targets: Who is told what happens.
        kinds: Of what they are told; everything if empty.
        factory: `module:function` that makes the engines; see `ProcessExecutor`.
    """

    device: Device
    host: str
    artifacts: str
    logs: Path
    data_dir: Path | None = None
    studies: tuple[str, ...] = ("*",)
    idle_exit: bool = False
    targets: tuple[Target, ...] = ()
    kinds: tuple[EventKind, ...] = ()
    factory: str = ENGINE_FACTORY


class Agent:
    """Serves studies with one device.

    A study that cannot be served here, for want of its data for example, is left to others for a
    while, which doubles each time; what was wrong is written to the study's messages.
    """

    def __init__(
        self,
        store: Store,
        options: AgentOptions,
        pid: int,
        stop: StopFlag,
        say: Callable[[str], None],
    ) -> None:
        """Join the agents of a database.

        Args:
            store: The database.
            options: What the agent is told.
            pid: The process that its user would signal.
            stop: Ends it: trials in training are set aside after their epoch.
            say: Is told what a person would want to read, in one line.
        """
        self._store = store
        self._options = options
        self._stop = stop
        self._say = say
        self._id = store.queue.join(options.host, pid, options.device.label)
        self._rests: dict[str, _Rest] = {}

    def serve(self) -> None:
        """Serve until told to end, or until no study has work if that is asked for.

        Raises:
            StoreError: The database cannot be used.
        """
        is_idle = False
        try:
            while not self._stop.requested:
                study = self._choose()
                if study is not None:
                    is_idle = False
                    self._run(study)
                elif self._options.idle_exit:
                    self._say("no study has work: done")
                    return
                else:
                    if not is_idle:
                        self._say("no study has work: waiting")
                    is_idle = True
                    self._stop.wait(IDLE_SECONDS)
        finally:
            self._store.queue.leave(self._id)

    def successor(self, current: str, served_seconds: float) -> str | None:
        """The study to change to, which is then this agent's; None to stay.

        Args:
            current: Name of the study that it serves.
            served_seconds: For how long it has.
        """
        candidates = self._with_work(self._store.queue.studies())
        mine = next((c for c in candidates if c.name == current), None)

        def choose(serving: Mapping[str, int]) -> str:
            other = mine and successor(mine, candidates, serving, served_seconds)
            return other.name if other else current

        chosen = self._store.queue.allot(self._id, choose)
        return None if chosen == current else chosen

    def _choose(self) -> QueuedStudy | None:
        studies = {study.name: study for study in self._store.queue.studies()}
        candidates = self._with_work(studies.values())

        def choose(serving: Mapping[str, int]) -> str | None:
            chosen = neediest(candidates, serving)
            return chosen.name if chosen else None

        name = self._store.queue.allot(self._id, choose)
        return None if name is None else studies[name]

    def _with_work(self, studies: Iterable[QueuedStudy]) -> list[Candidate]:
        """Those of the studies that this agent can do something for, now."""
        return [
            Candidate(study.name, study.priority, study.weight, study.used_seconds)
            for study in studies
            if any(fnmatchcase(study.name, pattern) for pattern in self._options.studies)
            and not self._rests.get(study.name, _NO_REST).lasts
            and has_work(study)
        ]

    def _run(self, study: QueuedStudy) -> None:
        """Take part in a study until it has no work for this agent, or another is its turn."""
        self._say(f"{study.name}: serving it")
        try:
            progress = self._drive(study)
        except StudyMismatchError as error:
            self._rest(study.name, error)
        except StoreError:
            raise
        except SweepError as error:
            self._rest(study.name, error)
        else:
            self._rests.pop(study.name, None)
            done = f"{progress.finished} of {progress.asked} trials finished"
            self._say(f"{study.name}: {progress.ending or 'left'} ({done})")

    def _drive(self, study: QueuedStudy) -> Progress:
        options = self._options
        spec = parse_study(study.spec, source=f"study {study.name}")
        check_backend(spec.backend)
        data = prepare(spec.data, data_dir=options.data_dir, progress=self._say)
        logs = options.logs / spec.study
        executor = ProcessExecutor(
            spec.engine,
            data,
            backend=spec.backend,
            devices=(options.device,),
            log_dir=logs,
            factory=options.factory,
        )
        watcher = _TurnWatcher(self, study.name, self._stop, self._say)
        with (
            closing(executor),
            Notifier(spec.study, options.targets, options.kinds, on_trouble=self._say) as notifier,
        ):
            return run_study(
                spec,
                store=self._store,
                executor=executor,
                data=data,
                watcher=watcher,
                artifacts=options.artifacts,
                stop=watcher.stop,
                notifier=notifier,
                waits=False,
            )

    def _rest(self, study: str, error: SweepError) -> None:
        """Leave a study that cannot be served here to others for a while."""
        rest = self._rests[study] = self._rests.get(study, _NO_REST).longer()
        where = f"{self._options.device.worker} on {self._options.host}"
        self._say(f"{study}: cannot be served, again in {rest.seconds:.0f} s: {error}")
        self._store.log(study, "error", f"cannot be served by {where}: {error}")


@dataclass(frozen=True, slots=True)
class _Rest:
    """A while without a study.

    Attributes:
        seconds: How long it is.
        until: When it ends, by the monotonic clock.
    """

    seconds: float
    until: float

    @property
    def lasts(self) -> bool:
        return time.monotonic() < self.until

    def longer(self) -> "_Rest":
        seconds = min(max(2 * self.seconds, FIRST_REST_SECONDS), LONGEST_REST_SECONDS)
        return _Rest(seconds, time.monotonic() + seconds)


_NO_REST: Final = _Rest(0.0, 0.0)


class _TurnWatcher(Watcher):
    """Ends the run of a study when it is another one's turn, or when the agent is to end.

    Attributes:
        stop: Ends the run.
    """

    def __init__(
        self, agent: Agent, study: str, ends: StopFlag, say: Callable[[str], None]
    ) -> None:
        self.stop = StopFlag()
        self._agent = agent
        self._study = study
        self._ends = ends
        self._say = say
        self._began = self._asked_at = time.monotonic()

    def update(self, progress: Progress) -> None:
        """Ask now and then whose turn it is."""
        now = time.monotonic()
        if self._ends.requested:
            self.stop.request()
        elif now - self._asked_at >= ALLOT_SECONDS and not self.stop.requested:
            self._asked_at = now
            other = self._agent.successor(self._study, now - self._began)
            if other is not None:
                self._say(f"{self._study}: makes way for {other}")
                self.stop.request()

    def message(self, text: str) -> None:
        """Say it, and of which study it is."""
        self._say(f"{self._study}: {text}")


def has_work(study: QueuedStudy) -> bool:
    """Whether another run of a study would have something to do."""
    if study.outlook.wanted is not Wanted.RUN:
        return False
    budget = _budget(study.spec)
    if budget.ending(study.best_value, study.outlook) is not None:
        return False
    return study.orphans > 0 or study.claimed < budget.trials


@lru_cache(maxsize=256)
def _budget(spec: str) -> Budget:
    """Of a study file that was resolved."""
    return Budget.of(parse_study(spec))
