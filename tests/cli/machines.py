"""Machines for tests of the service: directories, and networks of their own where possible."""

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from processes import is_gone, wait_until

HERE = Path(__file__).parent
MARKER = "SWEEP_MACHINE_TEST"
AGENT, TRAINING = "sweep.cli.agents", "sweep.executors.worker"


@dataclass
class Machine:
    """A working directory with processes that are known by a mark in their environment."""

    directory: Path
    storage: str
    prefix: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    worker: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)

    @property
    def log(self) -> str:
        """What its workers have said so far."""
        return (self.directory / "worker.log").read_text()

    def sweep(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run `sweep` to its end."""
        return subprocess.run(
            self._command(words),
            cwd=self.directory,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, *options: str) -> None:
        """Start `sweep worker` with one agent; one that was started before must have ended."""
        if self.worker is not None:
            self.worker.wait(10)
        with (self.directory / "worker.log").open("a") as log:
            self.worker = subprocess.Popen(
                self._command(("worker", "--count", "1", *options)),
                cwd=self.directory,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    def _command(self, words: tuple[str, ...]) -> list[str]:
        return [*self.prefix, sys.executable, str(HERE / "service_program.py"), *words]

    def _environment(self) -> dict[str, str]:
        tests = HERE.parent
        paths = [str(tests / "chaos"), str(tests / "executors"), *filter(None, sys.path)]
        return os.environ | {
            MARKER: self.token,
            "PYTHONPATH": os.pathsep.join(paths),
            "SWEEP_STORAGE": self.storage,
            "COLUMNS": "80",
        }

    def signal(self, number: int) -> None:
        assert self.worker is not None
        os.kill(self.worker.pid, number)

    def terminate(self, seconds: float = 60.0) -> int:
        """Send SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        assert self.worker is not None
        return self.worker.wait(seconds)

    def members(self, program: str = "") -> list[int]:
        """Its processes, or those of a program."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                is_mine = process.environ().get(MARKER) == self.token
                if is_mine and (not program or program in process.cmdline()):
                    found.append(process.pid)
        return [pid for pid in found if not is_gone(pid)]

    def command_lines(self) -> list[str]:
        lines = []
        for pid in self.members():
            with contextlib.suppress(psutil.Error):
                lines.append(" ".join(psutil.Process(pid).cmdline()))
        return lines

    def vanishes(self, seconds: float = 10.0) -> bool:
        """Whether nothing of it is left soon."""
        return wait_until(lambda: not self.members(), seconds)

    def clear(self) -> None:
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.worker is not None:
            self.worker.wait()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextlib.contextmanager
def namespaces(count: int) -> Iterator[list[tuple[str, str]]]:
    """Network namespaces, each joined to this one by a pair of virtual cables.

    Yields:
        Their names and the addresses at which each reaches this one; nothing if the kernel or the
        user's rights do not allow them.
    """
    token = uuid.uuid4().hex[:6]
    made: list[tuple[str, str]] = []
    try:
        with contextlib.suppress(subprocess.CalledProcessError, FileNotFoundError):
            for number in range(count):
                name, outer, inner = (
                    f"sweep-{token}-{number}",
                    f"sw{token}{number}o",
                    f"sw{token}{number}i",
                )
                subnet = f"10.203.{int(token[:2], 16)}.{4 * number}"
                here, there = (f"{subnet.rpartition('.')[0]}.{4 * number + k}" for k in (1, 2))
                _ip("netns", "add", name)
                made.append((name, here))
                _ip("link", "add", outer, "type", "veth", "peer", "name", inner)
                _ip("link", "set", inner, "netns", name)
                _ip("addr", "add", f"{here}/30", "dev", outer)
                _ip("link", "set", outer, "up")
                _ip("-n", name, "addr", "add", f"{there}/30", "dev", inner)
                _ip("-n", name, "link", "set", inner, "up")
                _ip("-n", name, "link", "set", "lo", "up")
        yield made if len(made) == count and _is_joined(made) else []
    finally:
        for name, _ in made:
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns", "del", name)


def _is_joined(made: list[tuple[str, str]]) -> bool:
    """Whether each has a route to this namespace."""
    routes = [
        subprocess.run(
            ["ip", "-n", name, "route", "get", here], capture_output=True, check=False
        ).returncode
        for name, here in made
    ]
    return not any(routes)
