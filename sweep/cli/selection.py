"""Which study and which trial the user means."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from sweep.cli.logs import quiet_optuna
from sweep.errors import UsageError

if TYPE_CHECKING:
    from sweep.store import Store


@contextmanager
def opened(url: str, *, create: bool = False) -> "Iterator[Store]":
    """The store behind a URL, closed afterwards; made where it is missing only if `create`."""
    from sweep.store import Store

    quiet_optuna()
    with Store.open(url, create=create) as store:
        yield store


def pick_study(store: "Store", name: str | None) -> str:
    """The name of the study that is meant.

    Args:
        store: The database.
        name: What the user typed; None if nothing.

    Raises:
        UsageError: No such study, or several and none named.
    """
    names = [str(row["name"]) for row in store.study_rows()]
    if name in names and name is not None:
        return name
    if not names:
        raise UsageError(
            "the database holds no study",
            where=store.safe_url,
            next_step="sweep run FILE starts one; --storage names another database",
        )
    if name is None and len(names) == 1:
        return names[0]
    if name is None:
        raise UsageError(
            "the database holds several studies: name one",
            where=store.safe_url,
            expected="one of " + ", ".join(names),
        )
    near = get_close_matches(name, names, n=3)
    raise UsageError(
        "no such study",
        where=store.safe_url,
        expected="one of " + ", ".join(names),
        received=name,
        next_step=f"did you mean {' or '.join(near)}?" if near else "sweep studies lists them",
    )


def pick_trial(store: "Store", study: str, number: int) -> dict[str, Any]:
    """The row of one trial.

    Raises:
        UsageError: The study has no trial of that number.
    """
    numbers = {int(row["number"]) for row in store.trial_rows(study)}
    if number not in numbers:
        raise UsageError(
            "no such trial",
            where=f"study {study} in {store.safe_url}",
            expected=f"a number from {min(numbers)} to {max(numbers)}" if numbers else None,
            received=str(number),
            next_step=f"sweep trials {study} lists them",
        )
    return store.trial_row(study, number)
