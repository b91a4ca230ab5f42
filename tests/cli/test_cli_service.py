"""The commands of the service, where no agent is at work."""

import json
import re
import threading
import time
from pathlib import Path

import pytest
from store_samples import SPLIT, complete, end, fail, report, result, start, train

from sweep.executors.devices import Device
from sweep.store import Store, Wanted

URL = "sqlite:///sweep.db"
STUDY = """
study: {name}
data: {{name: synthetic}}
fixed: {{epochs: 4}}
search:
  learning_rate: {{low: 1.0e-4, high: 0.1, log: true}}
budget: {{trials: 8}}
"""


@pytest.fixture
def submitted(cli, workdir):
    """`sweep submit` of a study of this name."""

    def submit(name, *options):
        file = workdir / f"{name}.yaml"
        file.write_text(STUDY.format(name=name))
        return cli("submit", file.name, *options)

    return submit


@pytest.fixture
def driven(submitted):
    """A run of the study `one`, which is submitted."""
    assert submitted("one").code == 0
    with Store.open(URL) as store, store.driving("one", SPLIT) as run:
        yield run


def said(outcome):
    return f"exit code {outcome.code}\n{outcome.out}--- standard error\n{outcome.err}"


def test_submitting_a_study(submitted, golden):
    golden("submit", said(submitted("one")))
    with Store.open(URL) as store:
        store.queue.join("host", 4321, "cpu:0")
    golden("submit-again", said(submitted("one", "--priority", "2", "--weight", "0.5")))
    document = json.loads(submitted("two", "--json").out)
    expected = {"study": "two", "trials": 8, "agents": 1, "priority": 0, "weight": 1.0}
    assert document == expected
    with Store.open(URL) as store:
        one, two = sorted(store.queue.studies(), key=lambda study: study.name)
    assert (one.priority, one.weight, two.priority, two.weight) == (2, 0.5, 0, 1.0)


def test_submitting_again_with_a_larger_budget(submitted, cli):
    submitted("one")
    assert json.loads(cli("status", "--json").out)["trials"]["asked"] == 8
    with Store.open(URL) as store:
        store.queue.want("one", Wanted.STOP)
    again = submitted("one", "--set", "budget.trials=20")
    assert again.code == 0, again.err
    document = json.loads(cli("status", "--json").out)
    assert (document["trials"]["asked"], document["state"]) == (20, "not running")
    assert len(json.loads(cli("studies", "--json").out)) == 1


def test_another_space_under_the_same_name_is_refused(submitted, golden):
    submitted("one")
    golden("error-submit-other", said(submitted("one", "--set", "fixed.depth=3")))


def test_a_study_that_makes_no_sense_is_not_submitted(submitted):
    outcome = submitted("one", "--set", "budget.trials=0")
    assert (outcome.code, outcome.out) == (2, "")
    assert not Path("sweep.db").exists()


@pytest.mark.parametrize(
    ("command", "state"),
    [("pause", "paused"), ("stop", "stopped"), ("cancel", "cancelled"), ("resume", "not running")],
)
def test_what_is_to_become_of_a_study_that_nobody_drives(submitted, cli, golden, command, state):
    submitted("one")
    golden(command, said(cli(command, "one")))
    assert json.loads(cli("status", "--json").out)["state"] == state
    document = json.loads(cli(command, "one", "--json").out)
    wanted = "run" if command == "resume" else command
    assert (document["study"], document["wanted"], document["drivers"]) == ("one", wanted, [])


@pytest.mark.parametrize("command", ["pause", "stop", "cancel", "resume"])
def test_a_study_that_is_not_there(submitted, cli, command):
    submitted("one")
    outcome = cli(command, "onw")
    assert (outcome.code, outcome.out) == (2, "")
    assert "no such study" in outcome.err
    assert "did you mean one?" in outcome.err
    assert cli(command).code == 2


@pytest.mark.parametrize("command", ["pause", "stop", "cancel", "resume"])
def test_a_database_that_is_not_there(cli, command):
    outcome = cli(command, "one")
    assert (outcome.code, outcome.out) == (1, "")
    assert not Path("sweep.db").exists()


def test_who_does_not_answer_is_named(driven, cli, monkeypatch):
    monkeypatch.setattr("sweep.cli.control.WAIT_SECONDS", 0.5)
    outcome = cli("pause", "one")
    assert outcome.code == 0
    assert re.fullmatch(
        r"one is being paused: these finish an epoch: process \d+ on \S+\n", outcome.out
    )
    assert json.loads(cli("status", "--json").out)["state"] == "pausing"
    (driver,) = json.loads(cli("stop", "one", "--json").out)["drivers"]
    assert set(driver) == {"pid", "host"}
    assert json.loads(cli("status", "--json").out)["state"] == "stopping"


def test_cancelling_ends_what_a_dead_run_left_open(submitted, cli):
    submitted("one")
    with Store.open(URL) as store, store.driving("one", SPLIT) as run:
        complete(run, 0.5)
        start(run)
        start(run)
    outcome = cli("cancel", "one")
    assert outcome.out == "one is cancelled, 2 trials broken off\n"
    assert json.loads(cli("cancel", "one", "--json").out)["cancelled"] == [1, 2]
    states = [trial["state"] for trial in json.loads(cli("trials", "--json").out)]
    assert sorted(states) == ["complete", "failed", "failed"]
    assert cli("retry").code == 0
    assert cli("resume", "one").out == "one may go on\n"


# What happens, and what has happened


def overview(text):
    """Without what differs from machine to machine and second to second."""
    return re.sub(r" +", " ", re.sub(r"-{2,}", "--", text))


def test_the_overview_of_studies_and_agents(submitted, cli, golden):
    submitted("one")
    submitted("two")
    golden("status-overview-idle", overview(cli("status").out))
    with Store.open(URL) as store:
        with store.driving("one", SPLIT) as run:
            complete(run, 0.4312)
            fail(run)
        store.queue.want("two", Wanted.PAUSE)
        for device, study in (("cpu:0", "one"), ("gpu:1", None)):
            agent = store.queue.join("host", 4321, device)
            store.queue.allot(agent, lambda serving, study=study: study)
    golden("status-overview", overview(cli("status").out))
    document = json.loads(cli("status", "--json").out)
    assert [study["study"] for study in document["studies"]] == ["one", "two"]
    assert [(a["device"], a["study"]) for a in document["agents"]] == [
        ("cpu:0", "one"),
        ("gpu:1", None),
    ]


def test_the_log_of_a_trial(driven, cli, golden):
    complete(driven, 0.5)
    fail(driven)
    start(driven)
    for number, name in enumerate(("complete", "failed", "running")):
        golden(f"logs-{name}", said(cli("logs", str(number))))


def test_the_log_of_a_study(driven, cli, golden):
    with Store.open(URL) as store:
        store.log("one", "warning", "the disk is nearly full")
    golden("logs-study", said(cli("logs", "--study", "one")))
    assert cli("logs", "7").code == 2


def test_following_a_trial_until_it_ends(driven, cli, monkeypatch):
    monkeypatch.setattr("sweep.cli.commands.logs.POLL_SECONDS", 0.1)
    trial = start(driven, epochs=1)
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(cli("logs", "0", "-f")))
    thread.start()
    for epoch in (2, 3):
        time.sleep(0.5)
        train(driven, [report(0, epoch)])
    assert thread.is_alive()
    end(driven, result(0, epochs=3))
    driven.study.tell(trial, 0.27)
    thread.join(20)
    (outcome,) = outcomes
    lines = [line.partition("  ")[2] for line in outcome.out.splitlines()]
    assert [line.partition(":")[0] for line in lines] == [
        "in training on cpu0",
        "epoch 1",
        "epoch 2",
        "epoch 3",
        "completed after epoch 3",
    ]


# Agents


def test_a_device_that_is_not_there(cli, golden, monkeypatch):
    devices = tuple(Device(f"cpu{i}", f"cpu:{i}", None, "-1") for i in range(2))
    monkeypatch.setattr("sweep.executors.devices.find_devices", lambda count=None: devices)
    golden("error-worker-device", said(cli("worker", "--devices", "cpu:1,gpu:7")))
    golden("error-worker-devices", said(cli("worker", "--devices", " , ")))
    assert not Path("sweep.db").exists()


def test_agents_get_devices_in_turn_and_names_of_their_own(cli, monkeypatch):
    devices = tuple(Device(f"cpu{i}", f"cpu:{i}", None, "-1") for i in range(4))
    monkeypatch.setattr("sweep.executors.devices.find_devices", lambda count=None: devices)
    plans = []
    monkeypatch.setattr("sweep.cli.agents.supervise", lambda p: plans.extend(p) or 0)
    outcome = cli("worker", "--devices", "cpu:3, cpu:1", "--count", "3", "--studies", "a-*")
    assert outcome.code == 0, outcome.err
    assert [(p.device.label, p.device.worker) for p in plans] == [
        ("cpu:3", "cpu0"),
        ("cpu:1", "cpu1"),
        ("cpu:3", "cpu2"),
    ]
    assert {p.studies for p in plans} == {("a-*",)}
    assert {p.artifacts for p in plans} == {str(Path("sweep-artifacts").absolute())}
    assert Path("sweep.db").exists()


def test_a_password_is_in_no_message(cli):
    url = "postgresql://ann:hunter2@127.0.0.1:1/sweeps"
    for words in (("worker",), ("status",), ("pause", "one")):
        outcome = cli(*words, "--storage", url)
        assert outcome.code == 1
        assert "hunter2" not in outcome.out + outcome.err
