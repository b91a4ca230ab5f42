"""Real processes around one database; prints what they saw as JSON.

    python store_host.py poll URL SECONDS     one driver writes, three readers poll
    python store_host.py kill URL SEED KILLS  a driver is killed again and again while it writes

It imports once and forks; no child inherits an open database.
"""

import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import optuna
from store_samples import create, report, result, task

from sweep.errors import StoreError
from sweep.store import Store

COHORT = 4
EPOCHS = 6


def drive(url: str, say: Callable[[str], None]) -> None:
    """Train cohorts for ever, as the driver does: our tables first, Optuna's state last."""
    with Store.open(url) as store, store.driver_lock("quickstart"):
        study = create(store)
        say("driving")
        left = [
            optuna.trial.Trial(study, row["trial_id"]) for row in store.unfinished("quickstart")
        ]
        while True:
            cohort = [left.pop() if left else study.ask() for _ in range(COHORT)]
            for trial in cohort:
                trial.suggest_float("learning_rate", 1e-4, 0.1, log=True)
                store.trial_started("quickstart", task(trial.number), "cpu0")
            for epoch in range(2, EPOCHS + 1, 2):
                # Two epochs at once: a trial with an odd number of them saw half a transaction.
                reports = [report(t.number, e) for t in cohort for e in (epoch - 1, epoch)]
                store.epochs_finished("quickstart", reports)
                known = study.get_trials(deepcopy=False)
                for trial in cohort:
                    if epoch not in known[trial.number].intermediate_values:
                        trial.report(0.09 * epoch, epoch)
            for trial in cohort:
                store.trial_ended("quickstart", result(trial.number, epochs=EPOCHS), "cpu0")
                study.tell(trial, 0.09 * EPOCHS)
            say("cohort")


def read(url: str, say: Callable[[str], None]) -> None:
    """Poll as `sweep status` and a dashboard do."""
    with Store.open(url, create=False) as store:
        while True:
            store.study_rows()
            store.trial_rows("quickstart")
            store.epoch_rows("quickstart")
            store.optuna_storage.get_all_studies()
            say("read")


def spawn(role: Callable[[str, Callable[[str], None]], None], url: str) -> tuple[int, int]:
    """Fork a child in that role; its id and the pipe on which it says what it did."""
    receive, send = os.pipe()
    child = os.fork()
    if child:
        os.close(send)
        return child, receive
    try:
        role(url, lambda text: say(send, text))
    except StoreError as error:
        say(send, f"error {error}")
    finally:
        os._exit(1)


def say(pipe: int, text: str) -> None:
    os.write(pipe, f"{text}\n".encode())


def kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def said(pipe: int) -> list[str]:
    with open(pipe) as lines:
        return lines.read().splitlines()


def wait_for_word(pipe: int) -> None:
    os.read(pipe, 8)


def poll(url: str, seconds: float) -> dict[str, Any]:
    children = [spawn(drive, url)]
    wait_for_word(children[0][1])
    children += [spawn(read, url) for _ in range(3)]
    for _, pipe in children[1:]:
        wait_for_word(pipe)
    time.sleep(seconds)
    for child, _ in children:
        kill(child)
    return {"said": [said(pipe) for _, pipe in children], **check(url)}


def kill_again_and_again(url: str, seed: int, kills: int) -> dict[str, Any]:
    chance = random.Random(seed)
    checks = []
    for _ in range(kills):
        child, pipe = spawn(drive, url)
        wait_for_word(pipe)
        with Store.open(url, create=False) as store:
            held = store.driver_pid("quickstart") == child
            refused = refusal(store)
        time.sleep(chance.uniform(0.0, 0.8))
        kill(child)
        words = said(pipe)
        checks.append(
            {
                "held": held,
                "refused": f"process {child}" in refused and f"kill -INT {child}" in refused,
                "errors": [word for word in words if word.startswith("error")],
                "cohorts": words.count("cohort"),
                **check(url),
            }
        )
    return {"checks": checks}


def refusal(store: Store) -> str:
    try:
        with store.driver_lock("quickstart"):
            return "not refused"
    except StoreError as error:
        return str(error)


def check(url: str) -> dict[str, Any]:
    """Whether the database is whole: SQLite's own checks, and no transaction seen in part."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:

        def query(text: str) -> list[Any]:
            return connection.execute(text).fetchall()

        return {
            "integrity": query("PRAGMA integrity_check"),
            "foreign_keys": query("PRAGMA foreign_key_check"),
            "told_without_result": query(
                "SELECT o.number FROM trials o LEFT JOIN sweep_trials t USING (trial_id) "
                "WHERE o.state = 'COMPLETE' AND t.stop_reason IS NULL"
            ),
            "result_without_epochs": query(
                "SELECT t.number FROM sweep_trials t LEFT JOIN sweep_epochs e USING (trial_id) "
                "WHERE t.stop_reason IS NOT NULL GROUP BY t.trial_id "
                f"HAVING count(e.epoch) != {EPOCHS}"
            ),
            "half_transactions": query(
                "SELECT trial_id FROM sweep_epochs GROUP BY trial_id HAVING count(*) % 2 = 1"
            ),
            "numbers": [
                number for (number,) in query("SELECT number FROM trials ORDER BY number")
            ],
            "running": query("SELECT number FROM trials WHERE state = 'RUNNING'"),
        }


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    what, url, *numbers = sys.argv[1:]
    Store.open(url).close()
    if what == "poll":
        found = poll(url, float(numbers[0]))
    else:
        found = kill_again_and_again(url, int(numbers[0]), int(numbers[1]))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
