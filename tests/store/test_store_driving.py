"""The driver's storage leaves in the database what Optuna's own would have left."""

import random
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import text, update
from store_samples import SPLIT, create, driving

from sweep.errors import StoreError
from sweep.store import Store, StudyRun
from sweep.store.optuna_rows import frozen_trials
from sweep.store.schema import leases

TABLES = (
    "studies",
    "study_directions",
    "study_user_attributes",
    "study_system_attributes",
    "trials",
    "trial_params",
    "trial_values",
    "trial_intermediate_values",
    "trial_user_attributes",
    "trial_system_attributes",
)


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


def contents(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Optuna's tables without times and the keys that only number their rows."""
    found = {}
    with store._database.reading() as connection:
        for table in TABLES:
            selected = connection.execute(text(f"SELECT * FROM {table}"))
            rows = [dict(row) for row in selected.mappings()]
            kept = [
                {
                    name: value
                    for name, value in row.items()
                    if not name.startswith("datetime")
                    and name not in ("param_id", f"{table.removesuffix('s')}_id")
                }
                for row in rows
            ]
            found[table] = sorted(kept, key=repr)
    return found


def search(study: optuna.Study, batch: Any, seed: int) -> None:
    """Thirty trials, some of them at the same time, that end in every way."""
    dice = random.Random(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=8, multivariate=True, group=True, constant_liar=True
        )
    study.pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    study.enqueue_trial({"x": 0.25}, user_attrs={"note": ("from", "elsewhere")})
    steps: dict[int, int] = {}
    open_trials: list[optuna.trial.Trial] = []
    for _ in range(30):
        trial = study.ask()
        with batch():
            if trial.suggest_categorical("kind", ["a", "b", None]) == "a":
                trial.suggest_float("x", 1e-3, 1.0, log=True)
            trial.suggest_int("depth", 1, 20)
        open_trials.append(trial)
        if len(open_trials) < 4:
            continue
        with batch():
            for trial in open_trials:
                step = steps[trial.number] = steps.get(trial.number, 0) + 1
                trial.report(dice.choice([dice.random(), float("nan"), float("inf")]), step)
                trial.set_user_attr("pruned", trial.should_prune())
                trial.set_user_attr("last", {"step": [step, None]})
        trial = open_trials.pop(dice.randrange(4))
        end = dice.choice([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
        study.tell(trial, dice.random() if end == TrialState.COMPLETE else None, state=end)


def plain(trial: FrozenTrial) -> tuple[Any, ...]:
    """All but the times, which memory and database take one after the other."""
    return (
        trial.number,
        trial._trial_id,
        trial.state,
        trial.values,
        trial.params,
        trial.distributions,
        trial.user_attrs,
        trial.system_attrs,
        repr(trial.intermediate_values),
        trial.datetime_complete is None,
    )


@pytest.mark.parametrize("seed", range(3))
def test_it_leaves_what_optunas_own_storage_leaves(new_url: Callable[[], str], seed: int) -> None:
    with Store.open(new_url()) as store:
        with driving(store) as run, store.driving("quickstart", SPLIT) as other:
            search(run.study, run.batch, seed)
            with store.driving("quickstart", SPLIT) as later:
                known = [plain(trial) for trial in later.study.get_trials()]
            seen = [plain(trial) for trial in run.study.get_trials()]
            assert seen == known, "memory is what the database holds"
            with store._database.reading() as connection:
                read = frozen_trials(connection, run._share.study_id)
            of_optuna = store.load_study("quickstart").get_trials()
            assert list(map(plain, read)) == list(map(plain, of_optuna))
            times = [(trial.datetime_start, trial.datetime_complete) for trial in read]
            assert times == [(t.datetime_start, t.datetime_complete) for t in of_optuna]
            ended = other.pull()
            assert seen == [plain(trial) for trial in other.study.get_trials()], "as pulled"
            assert [t.number for t in ended] == [t[0] for t in seen if t[2].is_finished()]
            assert len({trial[2] for trial in seen}) == 4
        driven = contents(store)
    with Store.open(new_url()) as store:
        create(store)
        search(store.load_study("quickstart"), nullcontext, seed)
        assert driven == contents(store)


def test_a_batch_reaches_the_database_whole_or_not_at_all(store: Store, run: StudyRun) -> None:
    study = run.study
    trial = study.ask()

    def known() -> list[dict[int, float]]:
        return [t.intermediate_values for t in store.load_study("quickstart").get_trials()]

    with run.batch():
        trial.report(0.5, 1)
        trial.report(0.25, 2)
        assert study.get_trials()[0].intermediate_values == {1: 0.5, 2: 0.25}
        assert known() == [{}]
    assert known() == [{1: 0.5, 2: 0.25}]

    class CrashError(Exception):
        """Stands for a kill."""

    def crash() -> None:
        with run.batch():
            trial.report(0.75, 3)
            raise CrashError

    with pytest.raises(CrashError):
        crash()
    trial.set_user_attr("key", "value")
    assert known() == [{1: 0.5, 2: 0.25}]


def test_outside_a_batch_everything_is_written_at_once(store: Store, run: StudyRun) -> None:
    study = run.study
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    trial.set_user_attr("stop_reason", "pruned")
    (known,) = store.load_study("quickstart").get_trials()
    assert known.params == trial.params != {}
    assert known.user_attrs == {"stop_reason": "pruned"}


def test_the_end_of_a_trial_takes_along_what_waits_to_be_written(
    store: Store, run: StudyRun
) -> None:
    study = run.study
    trial = study.ask()
    with run.gathering():
        trial.set_user_attr("stop_reason", "completed")
    study.tell(trial, 0.5)
    (known,) = store.load_study("quickstart").get_trials()
    assert (known.state, known.value) == (TrialState.COMPLETE, 0.5)
    assert known.user_attrs == {"stop_reason": "completed"}


def test_trials_end_together_and_are_read_as_running_before(store: Store, run: StudyRun) -> None:
    study = run.study
    trials = [study.ask() for _ in range(3)]
    with run.batch():
        for value, trial in enumerate(trials):
            study.tell(trial, value)
        (mine, known) = run.study.get_trials(), store.load_study("quickstart").get_trials()
        assert {trial.state for trial in [*mine, *known]} == {TrialState.RUNNING}
        assert list(run.finished) == []
    assert [trial.value for trial in run.finished] == [0, 1, 2]
    assert store.load_study("quickstart").get_trials() == run.study.get_trials()


def test_of_trials_that_end_together_those_taken_over_do_not_end(
    store: Store, run: StudyRun
) -> None:
    trials = [run.study.ask() for _ in range(3)]
    with store.driving("quickstart", SPLIT) as other:
        lost = trials[1]._trial_id
        with store._database.engine.begin() as connection:
            mine = leases.c.trial_id == lost
            connection.execute(update(leases).where(mine).values(run_id=other._share.run_id))
        with run.batch():
            for value, trial in enumerate(trials):
                run.study.tell(trial, value)
        states = [trial.state for trial in store.load_study("quickstart").get_trials()]
        assert states == [TrialState.COMPLETE, TrialState.RUNNING, TrialState.COMPLETE]
        assert [trial.state for trial in run.study.get_trials()] == states
        assert run.take_lost() == {1}
        assert not run.holds(lost)


def test_trials_that_others_enqueue_are_asked_for_first(run: StudyRun, url: str) -> None:
    study = run.study
    study.tell(study.ask(), 0.5)
    with Store.open(url) as other:
        other.load_study("quickstart").enqueue_trial({"x": 0.125}, user_attrs={"retry_of": 0})
    run.pull()
    trial = study.ask()
    assert (trial.number, trial.user_attrs) == (1, {"retry_of": 0})
    assert trial.suggest_float("x", 0.0, 1.0) == 0.125
    assert study.ask().number == 2


def test_what_was_read_stays_as_it_was(store: Store, run: StudyRun) -> None:
    study = run.study
    trial = study.ask()
    (before,) = study.get_trials(deepcopy=False)
    trial.report(0.5, 1)
    trial.set_user_attr("key", 1)
    study.tell(trial, 0.5)
    assert (before.state, before.intermediate_values, before.user_attrs) == (
        TrialState.RUNNING,
        {},
        {},
    )


def test_a_finished_trial_cannot_be_changed(store: Store, run: StudyRun) -> None:
    study = run.study
    trial = study.ask()
    study.tell(trial, 0.5)
    with pytest.raises(UpdateFinishedTrialError):
        trial.set_user_attr("key", 1)


def test_a_name_keeps_its_distribution(store: Store, run: StudyRun) -> None:
    study = run.study
    study.ask().suggest_float("x", 0.0, 1.0)
    with store.driving("quickstart", SPLIT) as other:
        again = other.study
    for driven in (study, again):
        with pytest.raises(ValueError, match="Cannot set different distribution kind"):
            driven.ask().suggest_categorical("x", ["a", "b"])


def test_a_study_that_does_not_exist_is_not_driven(store: Store) -> None:
    driving = store.driving("unheard-of", SPLIT)
    with pytest.raises(StoreError, match="there is no study"), driving:
        pass
