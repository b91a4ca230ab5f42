"""Enqueueing failed trials again."""

from collections.abc import Iterable, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweep.errors import UsageError
from sweep.store import RETRY_OF, Store


def retried_numbers(trials: Iterable[FrozenTrial]) -> frozenset[int]:
    """Numbers of the trials that another trial repeats; they no longer count.

    The link lives on the repeating trial, which Optuna creates in one transaction: there is no
    moment at which a trial is repeated twice or counted twice.
    """
    return frozenset(t.user_attrs[RETRY_OF] for t in trials if RETRY_OF in t.user_attrs)


def retry_failed(store: Store, study: str, numbers: Sequence[int] = ()) -> list[int]:
    """Enqueue failed trials again; the next run trains them under new numbers.

    Args:
        store: Where the study is.
        study: Its name.
        numbers: Which trials; all failed ones that were not retried yet if empty.

    Returns:
        The numbers of the trials that were enqueued again.

    Raises:
        UsageError: A named trial does not exist, did not fail or was retried before.
    """
    optuna_study = store.load_study(study)
    trials = optuna_study.get_trials(deepcopy=False)
    retried = retried_numbers(trials)
    open_failures = {
        t.number: t for t in trials if t.state == TrialState.FAIL and t.number not in retried
    }
    for number in numbers:
        if number not in open_failures:
            raise UsageError(
                f"trial {number} cannot be retried",
                where=f"study {study}",
                expected="a failed trial that was not retried yet: "
                + (", ".join(map(str, open_failures)) or "there is none"),
                received=_describe(trials, number, retried),
            )
    chosen = list(numbers or open_failures)
    for number in chosen:
        _enqueue(optuna_study, open_failures[number])
    return chosen


def _enqueue(study: optuna.Study, trial: FrozenTrial) -> None:
    study.enqueue_trial(trial.params, user_attrs={RETRY_OF: trial.number})


def _describe(trials: Sequence[FrozenTrial], number: int, retried: frozenset[int]) -> str:
    if not 0 <= number < len(trials):
        return f"the study has no trial {number}"
    state = trials[number].state.name
    return f"state {state}" + (", retried before" if number in retried else "")
