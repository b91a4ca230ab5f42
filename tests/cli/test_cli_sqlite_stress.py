"""Eight studies write to one SQLite file while a dashboard is polled: none waits in vain."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import pytest
from test_cli_run import PROGRAM, STUDY, study  # noqa: F401  a fixture

STUDIES, TRIALS, EPOCHS = 8, 6, 20
DASHBOARD = [str(Path(sys.executable).with_name("sweep")), "dashboard", "--no-browser"]


class Poller(threading.Thread):
    """Asks the dashboard for everything that its pages ask for, without a pause."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address = address
        self.polls = 0
        self.trials = 0
        self.errors = []
        self.has_ended = threading.Event()

    def run(self):
        while not self.has_ended.is_set():
            try:
                for summary in self.ask("/api/studies")["study_summaries"]:
                    number = summary["study_id"]
                    self.trials = max(
                        self.trials, len(self.ask(f"/api/studies/{number}?after=0")["trials"])
                    )
            except OSError as error:
                self.errors.append(str(error))
            self.polls += 1

    def ask(self, path):
        with urlopen(self.address + path, timeout=60) as answer:
            return json.load(answer)


@pytest.fixture
def dashboard(study, workdir):  # noqa: F811
    """The dashboard of the file that the studies are going to write to."""
    first = [*PROGRAM, "run", "colours.yaml", "--workers=1", "--set", "budget.trials=1"]
    subprocess.run(first, check=True, capture_output=True)
    process = subprocess.Popen(
        [*DASHBOARD, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    address = process.stdout.readline().removeprefix("dashboard: ").strip()
    poller = Poller(address.removesuffix("/dashboard/"))
    poller.start()
    yield poller
    poller.has_ended.set()
    poller.join()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "locked" not in errors
    assert "Traceback" not in errors


def rows(workdir, query):
    with closing(sqlite3.connect(workdir / "sweep.db")) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_eight_processes_write_while_the_dashboard_polls(dashboard, workdir):
    runs = []
    for number in range(STUDIES):
        file = workdir / f"study-{number}.yaml"
        text = STUDY.replace("study: colours", f"study: study-{number}")
        file.write_text(text.replace("epochs: 3", f"epochs: {EPOCHS}"))
        words = ["run", file.name, "--workers=1", "--set", f"budget.trials={TRIALS}"]
        runs.append(
            subprocess.Popen(
                [*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    try:
        said = [process.communicate(timeout=600)[1] for process in runs]
    finally:
        for process in runs:
            process.kill()
    assert [process.returncode for process in runs] == [0] * STUDIES, said
    assert [err for err in said if "locked" in err or "a transaction is run again" in err] == []
    deadline = time.monotonic() + 60
    while dashboard.trials < TRIALS:
        assert time.monotonic() < deadline, "the dashboard does not show what was written"
        time.sleep(0.1)
    assert dashboard.errors == []
    assert dashboard.polls > 10
    expected = [
        (f"study-{number}", trial, "COMPLETE", EPOCHS, EPOCHS, EPOCHS)
        for number in range(STUDIES)
        for trial in range(TRIALS)
    ]
    found = rows(
        workdir,
        """
        SELECT study_name, number, state,
          (SELECT count(*) FROM trial_intermediate_values v WHERE v.trial_id = t.trial_id),
          (SELECT count(*) FROM sweep_epochs e WHERE e.trial_id = t.trial_id),
          (SELECT max(epoch) FROM sweep_epochs e WHERE e.trial_id = t.trial_id)
        FROM trials t JOIN studies USING (study_id)
        WHERE study_name != 'colours' ORDER BY study_name, number
        """,
    )
    assert found == expected
    assert rows(workdir, "PRAGMA integrity_check") == [("ok",)]
    assert rows(workdir, "PRAGMA foreign_key_check") == []
    assert [name for name in os.listdir(workdir) if name.endswith(".lock")] == []
