"""The processes behind `sweep worker`: one agent for each device, watched by their parent."""

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from sweep.cli.logs import logs_on_stderr, quiet_optuna
from sweep.cli.notices import notify_targets
from sweep.cli.output import note

if TYPE_CHECKING:
    from sweep.driver.notify import EventKind
    from sweep.executors.devices import Device

POLL_SECONDS: Final = 0.1
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
STEADY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """What an agent's process is told, over its standard input: the URL may hold a password.

    Attributes:
        storage: URL of the database.
        device: What it trains on.
        pid: The process that the user started.
        artifacts: Directory or s3:// address of checkpoints and weights.
        logs: Directory of the logs of the workers.
        data_dir: Where the images lie, or None.
        studies: Patterns of the names of the studies that it serves.
        idle_exit: Whether it ends when no study has work.
        webhook: URL that is told what happens, or None.
        command: Command that is told, or None.
        kinds: Of what they are told.
        debug: Whether tracebacks are wanted.
        factory: `module:function` that makes the engines, or None for the product's.
    """

    storage: str
    device: "Device"
    pid: int
    artifacts: str
    logs: Path
    data_dir: Path | None
    studies: tuple[str, ...]
    idle_exit: bool
    webhook: str | None
    command: str | None
    kinds: tuple["EventKind", ...]
    debug: bool
    factory: str | None = None


@dataclass(slots=True)
class _Child:
    """The process of one agent.

    Attributes:
        plan: What it is told.
        process: The process, or None between two.
        started_at: When it was started, monotonic.
        pause: Seconds before it is started again if it dies soon.
        due_at: When it is to be started.
        is_done: Whether it ended as it should.
    """

    plan: AgentPlan
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    due_at: float = field(default_factory=time.monotonic)
    is_done: bool = False

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sweep.cli.agents"], stdin=subprocess.PIPE
        )
        self.started_at = time.monotonic()
        assert self.process.stdin is not None  # noqa: S101 - it was asked for
        # Kept open: its end tells the child that this process is gone.
        self.process.stdin.write(pickle.dumps(self.plan))
        self.process.stdin.flush()

    def look(self, *, ending: bool) -> None:
        """Start it if it is time to; see whether it ended."""
        now = time.monotonic()
        if self.process is None:
            if not self.is_done and not ending and now >= self.due_at:
                self.start()
            self.is_done = self.is_done or ending
            return
        code = self.process.poll()
        if code is None:
            return
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process = None
        self.is_done = code == 0 or ending
        if not self.is_done:
            self.pause = (
                FIRST_PAUSE_SECONDS
                if now - self.started_at > STEADY_SECONDS
                else (min(2 * self.pause, LONGEST_PAUSE_SECONDS))
            )
            self.due_at = now + self.pause
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            worker = self.plan.device.worker
            note(f"[{worker}] its process ended with {how}; a new one in {self.pause:.0f} s")

    def signal(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()


def supervise(plans: Sequence[AgentPlan]) -> int:
    """Run an agent for each plan until all are done, and start those again that die.

    The first SIGINT or SIGTERM lets them wind down, the second one leave at once.

    Returns:
        The exit code.
    """
    children = [_Child(plan) for plan in plans]
    requests = 0

    def handle(_: int, __: FrameType | None) -> None:
        nonlocal requests
        requests += 1
        for child in children:
            child.signal()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    told = False
    while not all(child.is_done for child in children):
        for child in children:
            child.look(ending=requests > 0)
        if requests and not told:
            told = True
            note("stopping: running trials finish their epoch (again leaves at once)")
        time.sleep(POLL_SECONDS)
    return 0


def main() -> int:
    """An agent's process: it reads an `AgentPlan` and serves until it is told to end."""
    try:
        plan: AgentPlan = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by the parent
    except EOFError:
        return 1  # The parent is gone already.
    say = _speaker(plan.device.worker)
    # Ctrl-C reaches the whole group; the parent passes it on once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from sweep.cli.command import Session
    from sweep.driver.stop import StopFlag
    from sweep.errors import SweepError
    from sweep.executors.process import ENGINE_FACTORY
    from sweep.service.agent import Agent, AgentOptions
    from sweep.store import Store

    quiet_optuna()
    stop = StopFlag()

    def handle(_: int, __: FrameType | None) -> None:
        if stop.requested:
            os._exit(1)
        stop.request()

    signal.signal(signal.SIGTERM, handle)
    options = AgentOptions(
        device=plan.device,
        host=socket.gethostname(),
        artifacts=plan.artifacts,
        logs=plan.logs,
        data_dir=plan.data_dir,
        studies=plan.studies,
        idle_exit=plan.idle_exit,
        targets=tuple(notify_targets(plan.webhook, plan.command)),
        kinds=plan.kinds,
        factory=plan.factory or ENGINE_FACTORY,
    )
    try:
        with logs_on_stderr(Session(plan.debug)), Store.open(plan.storage) as store:
            Agent(store, options, plan.pid, stop, say).serve()
    except SweepError as error:
        say(f"error: {error}")
        return 1
    return 0


def _speaker(worker: str) -> Callable[[str], None]:
    prefix = f"[{worker}] "

    def say(text: str) -> None:
        click.echo("\n".join(prefix + line for line in text.splitlines()), err=True)

    return say


def _end_with_parent() -> None:
    """Leave when the other end of standard input is closed: the parent is gone, however it ended.

    The workers find out the same way; the leases of the trials end with this process's lock.
    """
    # Not through `sys.stdin`: its lock would be held when the interpreter ends.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
