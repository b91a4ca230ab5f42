"""Real processes around one database; prints what they saw as JSON.

    python store_host.py poll URL STEPS       one driver writes, three readers poll
    python store_host.py kill URL SEED KILLS  a driver is killed again and again while it writes
    python store_host.py reserve URL BUDGET   a run asks for trials until the budget is spent
    python store_host.py hold URL SECONDS     a run whose leases are so long trains a trial for two
                                              epochs, and one more for each line that it is sent

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
from contextlib import closing, suppress
from itertools import islice
from typing import Any

import optuna
from sqlalchemy import text
from store_samples import SPLIT, driving, end, report, result, start, task, train

from sweep.errors import StoreError
from sweep.store import BudgetSpentError, Store, leases
from sweep.store.databases import database_at
from sweep.store.locks import Holder

# What the database says of itself; a server checks its keys at each write.
CHECKS = {"sqlite": ("PRAGMA integrity_check", "PRAGMA foreign_key_check"), "postgresql": ()}
COHORT = 4
EPOCHS = 6


def drive(url: str, say: Callable[[str], None]) -> None:
    """Train cohorts for ever, as the driver does: our tables first, Optuna's state last."""
    with Store.open(url) as store, driving(store) as run:
        say("driving")
        while True:
            left = run.take_over(COHORT)
            cohort = [optuna.trial.Trial(run.study, trial._trial_id) for trial in left]
            cohort += [run.study.ask() for _ in range(COHORT - len(cohort))]
            for trial in cohort:
                trial.suggest_float("learning_rate", 1e-4, 0.1, log=True)
                run.trial_started(trial._trial_id, task(trial.number), "cpu0")
                say("started")
            for epoch in range(2, EPOCHS + 1, 2):
                with run.batch():
                    # Two at once: a trial with an odd number of them saw half a transaction.
                    train(run, [report(t.number, e) for t in cohort for e in (epoch - 1, epoch)])
                    for trial in cohort:
                        known = run.storage.get_trial(trial._trial_id)
                        if epoch not in known.intermediate_values:
                            trial.report(0.09 * epoch, epoch)
                say("reported")
            for trial in cohort:
                with run.batch():
                    end(run, result(trial.number, epochs=EPOCHS))
                    run.study.tell(trial, 0.09 * EPOCHS)
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
            held = store.drivers("quickstart") == [Holder(driver.pid, socket.gethostname())]
            refused = refusal(store)
        words = driver.listen(chance.randrange(4, 20))
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
        store.delete_study("quickstart")
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
            "not_held": query(
                "SELECT o.number FROM trials o LEFT JOIN sweep_leases l USING (trial_id) "
                "WHERE (o.state = 'RUNNING') != (l.trial_id IS NOT NULL)"
            ),
            "running": query("SELECT number FROM trials WHERE state = 'RUNNING'"),
        }


def reserve(url: str, budget: int) -> None:
    numbers = []
    with Store.open(url) as store, store.driving("quickstart", SPLIT) as run:
        run.limit(budget)
        with suppress(BudgetSpentError):
            while True:
                numbers.append(run.study.ask().number)
    json.dump(numbers, sys.stdout)


def hold(url: str, seconds: float) -> None:
    leases.LEASE_SECONDS = seconds  # type: ignore[misc]
    with Store.open(url) as store, store.driving("quickstart", SPLIT) as run:
        run.worker_ready("cpu0", os.getpid(), "host", "cpu:0", "reference")
        trial = start(run, epochs=2)
        sys.stdout.write("held\n")
        sys.stdout.flush()
        for epoch, _ in enumerate(sys.stdin, start=3):
            train(run, [report(trial.number, epoch)])
            sys.stdout.write(f"lost {sorted(run.take_lost())}\n")
            sys.stdout.flush()


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    what, url, *numbers = sys.argv[1:]
    if what == "reserve":
        return reserve(url, int(numbers[0]))
    if what == "hold":
        return hold(url, float(numbers[0]))
    Store.open(url).close()
    if what == "poll":
        found = poll(url, int(numbers[0]))
    else:
        found = kill_again_and_again(url, int(numbers[0]), int(numbers[1]))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
