"""Passwords are planted, everything is used, and then everything written is searched for them."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPBasicAuthHandler, HTTPPasswordMgrWithDefaultRealm, build_opener

import numpy as np
import psutil
import pytest

from sweep.cli.command import Session
from sweep.cli.logs import logs_on_stderr
from sweep.driver.notify import DeliveryError, Notification
from sweep.driver.targets import Webhook
from sweep.executors.process import ProcessExecutor

HERE = Path(__file__).parent
STORAGE, OWNER, GUEST, WRONG = "hunter2-storage", "hunter2-owner", "hunter2-guest", "hunter2-wrong"
SECRET = "hunter2"
HOOK = f"http://127.0.0.1:1/{SECRET}-hook"
TRAINS = {"sweep.executors.worker", "sweep.train.evaluation"}

STUDY = """
study: planted
data: {name: colours.npz}
fixed: {epochs: 3, batch_size: 32}
search: {depth: [3, 102]}           # a trial of depth 102 fails with a traceback
budget: {trials: 2}
sampler: {name: grid}
"""


class Processes(threading.Thread):
    """Looks at the command lines of all processes, and at what those that train inherited."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.command_lines: set[str] = set()
        self.environments: set[str] = set()
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.02):
            for process in psutil.process_iter():
                try:
                    words = process.cmdline()
                    self.command_lines.add(" ".join(words))
                    if words[:1] == [sys.executable] and {*words} & TRAINS:
                        self.environments.add(str(process.environ()))
                except psutil.Error:
                    continue

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            self._ended.set()
            self.join()


@pytest.fixture
def url(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database whose URL holds a password, a study file and its data."""
    random = np.random.default_rng(20)
    images = random.integers(0, 200, (200, 32, 32, 3), dtype=np.uint8)
    np.savez(workdir / "colours.npz", x_train=images, y_train=np.arange(200) % 10)
    (workdir / "planted.yaml").write_text(STUDY)
    monkeypatch.setenv("SWEEP_CACHE_DIR", str(workdir / "cache"))
    url = f"sqlite:///file:{workdir}/sweep.db?uri=true&password={STORAGE}"
    monkeypatch.setenv("SWEEP_STORAGE", url)
    monkeypatch.setenv("SWEEP_NOTIFY_ON", "finish")
    monkeypatch.setenv("SWEEP_WEBHOOK_SECRET", f"{SECRET}-signature")
    monkeypatch.setenv("SWEEP_DASHBOARD_PASSWORD", OWNER)
    monkeypatch.setenv("SWEEP_DASHBOARD_GUEST_PASSWORD", GUEST)
    return url


@pytest.fixture
def sweep(cli, url, monkeypatch):
    for directory in (HERE, HERE.parent / "executors"):
        monkeypatch.syspath_prepend(directory)
    quick = partial(ProcessExecutor, factory="quick_engine:make_engine")
    monkeypatch.setattr("sweep.executors.process.ProcessExecutor", quick)
    return cli


def written(directory: Path) -> dict[str, str]:
    """Everything in a directory, files' names included, and what the database dumps."""
    found = {
        str(path): f"{path}\n{path.read_bytes().decode('latin-1')}"
        for path in directory.rglob("*")
        if path.is_file()
    }
    with sqlite3.connect(directory / "sweep.db") as connection:
        found["dump"] = "\n".join(connection.iterdump())
    return found


@pytest.mark.slow
def test_no_command_writes_a_password(sweep, workdir, caplog) -> None:
    processes = Processes()
    said = ""
    with processes.watching():
        for words in (
            ("run", "planted.yaml", "--workers", "1", "--notify-webhook", HOOK),
            ("run", "planted.yaml"),
            ("status",),
            ("status", "--json"),
            ("trials", "--failed"),
            ("show", "0"),
            ("show", "1"),
            ("studies",),
            ("retry",),
            ("run", "planted.yaml", "--set", "budget.wall_seconds=0.1"),
            ("report", "-o", "report.html"),
            ("export", "-o", "best.yaml"),
            ("export", "--format", "json", "-o", "best.json"),
            ("export", "--format", "python", "-o", "best.py"),
            ("train", "best.yaml"),
            ("storage", "upgrade"),
            ("doctor",),
            ("dashboard", "--help"),
            # What goes wrong.
            ("show", "99"),
            ("status", "nowhere"),
            ("delete", "planted"),
            ("status", "--storage", f"postgresql://ann:{WRONG}@127.0.0.1:1/none"),
            ("status", "--storage", f"postgresql:///none?password={WRONG}"),
            ("status", "--storage", f"mysql://ann:x@{WRONG}@127.0.0.1/none"),
            ("status", "--storage", f"ann:{WRONG}@127.0.0.1/none"),
            ("status", "--storage", f"none.db?password={WRONG}"),
            ("dashboard", "--host", "127.0.0.1", "--port", "1", "--password-file", "none"),
        ):
            outcome = sweep(*words, "--debug")
            said += f"\n$ {words[0]}\n{outcome.out}{outcome.err}"
    assert "winner" in said
    assert '--storage "$SWEEP_STORAGE"' in said
    assert "Traceback" in said
    assert "the webhook at http://127.0.0.1 was not told" in said
    assert SECRET not in said
    # What urllib3 says of the webhook, its path included, is shown nowhere.
    ours = [record for record in caplog.records if not record.name.startswith("urllib3")]
    assert SECRET not in " ".join(record.getMessage() for record in ours)
    for name, text in written(workdir).items():
        assert SECRET not in text, name
    workers = [line for line in processes.command_lines if "sweep.executors.worker" in line]
    assert workers
    assert [line for line in processes.command_lines if SECRET in line] == []
    assert processes.environments
    assert [e for e in processes.environments if SECRET in e] == []


def test_the_path_of_a_webhook_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for debug in (False, True):
        with logs_on_stderr(Session(debug)), pytest.raises(DeliveryError) as caught:
            Webhook(HOOK, None, backoff_seconds=0.01).deliver(Notification("finish", "s", "t", {}))
        assert SECRET not in f"{caught.value}{capsys.readouterr()}"


def ask(address: str, password: str) -> int:
    passwords = HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, address, "owner", password)
    try:
        with build_opener(HTTPBasicAuthHandler(passwords)).open(address, timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


@pytest.mark.slow
def test_the_dashboard_s_process_shows_no_password(sweep, workdir) -> None:
    assert sweep("run", "planted.yaml", "--workers", "1").code == 0
    (workdir / "owner").write_text(OWNER + "\n")
    environment = {k: v for k, v in os.environ.items() if "PASSWORD" not in k}
    with (workdir / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("sweep")), "dashboard", "--host", "0.0.0.0"]
            + ["--port", "0", "--no-browser", "--debug", "--password-file", "owner"],
            env=environment | {"SWEEP_DASHBOARD_GUEST_PASSWORD": GUEST},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("dashboard: ").strip()
        try:
            assert ask(address, OWNER) == 200
            assert ask(address, WRONG) == 401
            assert SECRET not in " ".join(psutil.Process(process.pid).cmdline())
        finally:
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
    (workdir / "owner").unlink()
    assert process.returncode == 0
    assert "a login to the dashboard from 127.0.0.1 failed" in (workdir / "errors").read_text()
    assert SECRET not in output
    for name, text in written(workdir).items():
        assert SECRET not in text, name
