"""Ending what a cancelled study has left open."""

from typing import Final

import optuna

from sweep.driver.loop import CANCELLED
from sweep.store import Store
from sweep.store.records import TimeSplit

_NOTHING: Final = TimeSplit(
    workers=0,
    seconds=0.0,
    training_seconds=0.0,
    compiling_seconds=0.0,
    idle_seconds=0.0,
    sampling_seconds=0.0,
    storage_seconds=0.0,
)
_MOST: Final = 1000


def cancel_leftovers(store: Store, study: str) -> list[int]:
    """Let those open trials of a cancelled study fail that no living run holds.

    Args:
        store: Where the study is.
        study: Its name.

    Returns:
        Their numbers.

    Raises:
        StoreError: The database cannot be used.
    """
    numbers = []
    with store.driving(study, _NOTHING) as run, store.translated():
        while taken := run.take_over(_MOST):
            for trial in taken:
                with run.batch():
                    run.trial_failed(trial._trial_id, trial.number, CANCELLED, "", "")
                    run.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                numbers.append(trial.number)
    return numbers
