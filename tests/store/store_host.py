"""Real processes around one database; prints what they saw as JSON.

    python store_host.py poll URL STEPS       one driver writes, three readers poll
    python store_host.py kill URL SEED KILLS  a driver is killed again and again while it writes

It imports once and forks; no child inherits an open database.
"""

import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from typing import Any

import optuna
from sqlalchemy import text
from store_samples import create, report, result, task

from sweep.errors import StoreError
from sweep.store import Store
from sweep.store.databases import database_at
from sweep.store.locks import Holder

# What the database says of itself; a server checks its keys at each write.
CHECKS = {"sqlite": ("PRAGMA integrity_check", "PRAGMA foreign_key_check"), "postgresql": ()}
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
                say("started")
            for epoch in range(2, EPOCHS + 1, 2):
                # Two epochs at once: a trial with an odd number of them saw half a transaction.
                reports = [report(t.number, e) for t in cohort for e in (epoch - 1, epoch)]
                store.epochs_finished("quickstart", reports)
                known = study.get_trials(deepcopy=False)
                for trial in cohort:
                    if epoch not in known[trial.number].intermediate_values:
                        trial.report(0.09 * epoch, epoch)
                say("reported")
            for trial in cohort:
                store.trial_ended("quickstart", result(trial.number, epochs=EPOCHS), "cpu0")
                study.tell(trial, 0.09 * EPOCHS)
                say("told")


def read(url: str, say: Callable[[str], None]) -> None:
    """Poll as `sweep status` and a dashboard do."""
    with Store.open(url, create=False) as store:
        while True:
            store.study_rows()
            store.trial_rows("quickstart")
            store.epoch_rows("quickstart")
            store.optuna_storage.get_all_studies()
            say("read")


class Child:
    """A forked process in one of these roles."""

    def __init__(self, role: Callable[[str, Callable[[str], None]], None], url: str) -> None:
        receive, send = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(send)
            self.words = os.fdopen(receive)
            return
        try:
            role(url, lambda text: print(text, file=os.fdopen(os.dup(send), "w")))
        except StoreError as error:
            print("error", str(error).replace("\n", ";"), file=os.fdopen(os.dup(send), "w"))
        finally:
            os._exit(1)

    def listen(self, count: int) -> list[str]:
        """Its next words, fewer if it ended."""
        return [line.strip() for line in islice(self.words, count)]

    def kill(self) -> list[str]:
        """End it at once; the words that were not heard yet."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        with self.words:
            return [line.strip() for line in self.words]


def poll(url: str, steps: int) -> dict[str, Any]:
    driver = Child(drive, url)
    driver.listen(1)
    children = [driver, *(Child(read, url) for _ in range(3))]
    said = [child.listen(steps) for child in children]
    for words, child in zip(said, children, strict=True):
        words += child.kill()
    return {"said": said, **check(url)}


def kill_again_and_again(url: str, seed: int, kills: int) -> dict[str, Any]:
    chance = random.Random(seed)
    checks = []
    for _ in range(kills):
        driver = Child(drive, url)
        driver.listen(1)
        with Store.open(url, create=False) as store:
            held = store.driver("quickstart") == Holder(driver.pid, socket.gethostname())
            refused = refusal(store)
        words = driver.listen(chance.randrange(12))
        time.sleep(chance.uniform(0.0, 0.02))
        words += driver.kill()
        checks.append(
            {
                "held": held,
                "refused": f"kill -INT {driver.pid}" in refused,
                "said": words,
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
    database = database_at(url)
    kind = database.url.get_backend_name()
    with closing(database), database.reading() as connection:

        def query(words: str) -> list[Any]:
            return [tuple(row) for row in connection.execute(text(words))]

        return {
            "damage": [row for words in CHECKS[kind] for row in query(words) if row != ("ok",)],
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
        found = poll(url, int(numbers[0]))
    else:
        found = kill_again_and_again(url, int(numbers[0]), int(numbers[1]))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
