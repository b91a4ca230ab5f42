"""What is told, to whom, and that nobody is waited for."""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import softmax_engine as faults
from study_host import STUDY, Host, Listener, study_of

from sweep.driver import run_study
from sweep.driver.notify import EVENT_KINDS, DeliveryError, Notification, Notifier
from sweep.errors import ExecutorError
from sweep.executors.process import ProcessExecutor
from sweep.store import Store


@dataclass
class Someone:
    told: list[Notification] = field(default_factory=list)

    def deliver(self, notification: Notification) -> None:
        self.told.append(notification)

    @property
    def kinds(self) -> list[str]:
        return [notification.kind for notification in self.told]


class Deaf:
    def __str__(self) -> str:
        return "someone deaf"

    def deliver(self, notification: Notification) -> None:
        raise DeliveryError("cannot hear")


def test_everybody_is_told_in_order_before_the_end() -> None:
    first, second = Someone(), Someone()
    with Notifier("s", [first, second]) as notifier:
        for number in range(20):
            notifier.tell("new_best", f"{number}", {"trial": number})
    assert [n.facts["trial"] for n in first.told] == list(range(20))
    assert first.told == second.told
    assert len({n.id for n in first.told}) == 20


def test_who_cannot_be_told_is_named_and_the_others_are_told() -> None:
    trouble: list[str] = []
    someone = Someone()
    with Notifier("s", [Deaf(), someone], on_trouble=trouble.append) as notifier:
        notifier.tell("finish", "done", {})
    assert trouble == ["someone deaf was not told of finish, after 0 seconds: cannot hear"]
    assert someone.kinds == ["finish"]


def test_only_what_was_asked_for_is_told() -> None:
    someone = Someone()
    with Notifier("s", [someone], ["failure"]) as notifier:
        for kind in EVENT_KINDS:
            notifier.tell(kind, "x", {})
    assert someone.kinds == ["failure"]


def test_an_error_that_ends_the_run_is_told_by_its_first_line() -> None:
    someone = Someone()
    with pytest.raises(ExecutorError), Notifier("s", [someone]):
        raise ExecutorError("no worker is left", received="a\nb")
    assert [n.text for n in someone.told] == ["the run broke off: no worker is left"]


def test_a_slow_target_holds_nobody_up() -> None:
    trouble: list[str] = []
    release = threading.Event()

    class Slow:
        def deliver(self, notification: Notification) -> None:
            release.wait(30)

    started = time.monotonic()
    with Notifier("s", [Slow()], on_trouble=trouble.append, close_seconds=0.2) as notifier:
        notifier.tell("finish", "done", {})
        assert time.monotonic() - started < 0.15
    assert time.monotonic() - started < 5
    assert trouble == ["notifications are still undelivered; leaving without them"]
    release.set()


def run(host: Host, text: str, someone: Someone) -> Listener:
    spec, listener, data = study_of(text), Listener(), host.data()
    executor = ProcessExecutor(
        "faulty", data, workers=1, log_dir=host.directory / "logs", factory=host.factory
    )
    with Store.open(host.url) as store, Notifier(spec.study, [someone]) as notifier:
        run_study(
            spec,
            store=store,
            executor=executor,
            data=data,
            watcher=listener,
            artifacts=host.artifacts,
            stop=listener.stop,
            notifier=notifier,
        )
    return listener


def test_a_study_tells_of_every_new_best_and_of_its_end(tmp_path: Path) -> None:
    someone = Someone()
    listener = run(Host(tmp_path), STUDY, someone)
    announced = [line for line in listener.messages if line.endswith("the best so far")]
    assert someone.kinds == ["new_best"] * len(announced) + ["finish"]
    last, end = someone.told[-2:]
    assert end.facts["best"] == {"trial": last.facts["trial"], "values": last.facts["values"]}
    assert end.facts["trials"]["finished"] == end.facts["trials"]["asked"] == 12
    assert end.text.startswith("12 of 12 trials finished: ")
    score = f"val_accuracy {last.facts['values']['val_accuracy']:.4g}"
    assert end.text.endswith(f"the best is trial {last.facts['trial']}: {score}")
    assert set(last.facts["params"]) >= {"activation", "learning_rate"}


def test_a_study_tells_of_failures(tmp_path: Path) -> None:
    someone = Someone()
    text = """
study: failing
data: {name: synthetic}
fixed: {epochs: 1, batch_size: 32}
search: {depth: [%d, 20]}
budget: {trials: 2}
sampler: {name: grid}
"""
    run(Host(tmp_path), text % faults.RAISES_WHILE_TRAINING, someone)
    (failed,) = [n for n in someone.told if n.kind == "failure"]
    assert failed.facts["error"] == "FloatingPointError: training broke in the second line"
    assert failed.text == f"trial {failed.facts['trial']} failed: {failed.facts['error']}"
    assert someone.kinds[-1] == "finish"
