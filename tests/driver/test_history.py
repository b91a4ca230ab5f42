"""What the sampler and the pruner with a history decide is what Optuna's own decide."""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import SimpleNamespace

import optuna
import pytest
from optuna.pruners import BasePruner, HyperbandPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from sweep.driver.halving import HistoryHalvingPruner, HistoryHyperbandPruner
from sweep.driver.history import MOST_TRIALS, History
from sweep.driver.pruning import HistoryMedianPruner
from sweep.driver.tpe import HistoryTpe

DIRECTIONS = ("maximize", "minimize")
ENDS = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, None)
STARTUP = 10

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def suggest(trial: optuna.trial.Trial) -> dict[str, object]:
    """A conditional space, whose parameters form several groups."""
    if trial.suggest_categorical("kind", ["a", "b", None]) == "a":
        trial.suggest_float("x", 1e-3, 1.0, log=True)
    trial.suggest_int("depth", 1, 20)
    trial.suggest_float("y", 0.0, 1.0)
    return trial.params


def random_study(trials: int, seed: int, direction: str) -> optuna.Study:
    """Trials that ended in every way or run still; values tie, intermediate ones may be NaN."""
    dice = random.Random(seed)
    sampler = optuna.samplers.RandomSampler(seed=seed)
    study = optuna.create_study(direction=direction, sampler=sampler)
    for _ in range(trials):
        trial = study.ask()
        suggest(trial)
        for step in range(1, dice.randrange(1, 5)):
            trial.report(float("nan") if dice.random() < 0.1 else round(dice.random(), 2), step)
        if (end := dice.choice(ENDS)) is not None:
            value = round(dice.random(), 1) if end is TrialState.COMPLETE else None
            study.tell(trial, value, state=end)
    return study


def finished(study: optuna.Study) -> list[FrozenTrial]:
    return [trial for trial in study.trials if trial.state.is_finished()]


def history_of(study: optuna.Study) -> History:
    history = History(finished(study), maximize=study.direction.name == "MAXIMIZE")
    history.update()
    return history


def next_params(study: optuna.Study, sampler: BaseSampler) -> dict[str, object]:
    again = optuna.create_study(direction=study.direction, sampler=sampler)
    again.add_trials(study.trials)
    return suggest(again.ask())


def optunas_own(history: History, seed: int) -> TPESampler:
    """Optuna's sampler with its groups in our order, which for Optuna is that of a set."""
    sampler = TPESampler(
        seed=seed, n_startup_trials=STARTUP, multivariate=True, group=True, constant_liar=True
    )
    groups = SimpleNamespace(calculate=lambda *_: history.groups())
    sampler._group_decomposed_search_space = groups  # type: ignore[assignment]
    return sampler


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("seed", range(8))
def test_it_chooses_what_optunas_sampler_chooses(seed: int, direction: str) -> None:
    study = random_study(5 + 20 * seed, seed, direction)
    history = history_of(study)
    ours = next_params(study, HistoryTpe(history, seed, STARTUP, [len(study.trials)]))
    assert ours == next_params(study, optunas_own(history, seed))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_it_prunes_what_optunas_pruner_prunes(direction: str) -> None:
    verdicts = []
    for seed in range(5):
        study = random_study(150, seed, direction)
        own = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=2)
        ours = HistoryMedianPruner(finished(study), startup_trials=3, warmup_steps=2)
        for trial in study.trials:
            if trial.state is TrialState.RUNNING:
                verdicts.append(ours.prune(study, trial))
                assert verdicts[-1] == own.prune(study, trial)
    assert len(set(verdicts)) == 2


HALVING = {"min_resource": 1, "reduction_factor": 2}
BANDS = HALVING | {"max_resource": 4}


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("make_own", "make"),
    [
        (lambda: SuccessiveHalvingPruner(**HALVING), partial(HistoryHalvingPruner, **HALVING)),
        (lambda: HyperbandPruner(**BANDS), partial(HistoryHyperbandPruner, **BANDS)),
    ],
    ids=["asha", "hyperband"],
)
def test_it_halves_as_optuna_does(
    make_own: Callable[[], BasePruner],
    make: Callable[[Sequence[FrozenTrial]], BasePruner],
    seed: int,
    direction: str,
) -> None:
    """Trials that run beside each other, step by step, in two studies with the same values."""
    dice = random.Random(seed)
    ended: list[FrozenTrial] = []
    pairs = []
    for make_pruner in (make_own, lambda: make(ended)):
        study = optuna.create_study(direction=direction, study_name="halved")
        pairs.append((study, make_pruner()))
    verdicts = []
    running: list[list[optuna.trial.Trial]] = []
    for _ in range(120):
        running.append([study.ask() for study, _ in pairs])
        trials = dice.choice(running)
        step = _steps(trials[0]) + 1
        value = float("nan") if dice.random() < 0.05 else round(dice.random(), 1)
        for trial in trials:
            trial.report(value, step)
        found = [
            pruner.prune(study, study._storage.get_trial(trial._trial_id))
            for (study, pruner), trial in zip(pairs, trials, strict=True)
        ]
        assert found[0] == found[1]
        verdicts.append(found[0])
        if found[0] or step == 4:
            running.remove(trials)
            state = TrialState.PRUNED if found[0] else TrialState.COMPLETE
            values = None if found[0] else 0.5
            told = [
                study.tell(t, values, state=state)
                for (study, _), t in zip(pairs, trials, strict=True)
            ]
            assert told[0].system_attrs == told[1].system_attrs
            ended.append(told[1])
    assert len(set(verdicts)) == 2


def _steps(trial: optuna.trial.Trial) -> int:
    return len(trial.study._storage.get_trial(trial._trial_id).intermediate_values)


def test_trials_that_are_asked_for_at_once_share_the_densities() -> None:
    study = random_study(80, 5, "maximize")
    history = history_of(study)
    first = len(study.trials)
    sampler = HistoryTpe(history, 7, STARTUP, range(first, first + 6))
    again = optuna.create_study(direction=study.direction, sampler=sampler)
    again.add_trials(study.trials)
    built = count_calls(sampler, "_parzen_estimator_cls")
    chosen = [suggest(again.ask()) for _ in range(6)]
    # Of the better and of the worse trials, for each group of parameters.
    assert len(built) == 2 * len(history.groups().search_spaces)
    assert len({repr(params) for params in chosen}) == 6
    assert all(set(params) <= {"kind", "x", "depth", "y"} for params in chosen)


def count_calls(sampler: HistoryTpe, name: str) -> list[int]:
    """Count the calls of a method of a sampler."""
    calls: list[int] = []
    method = getattr(sampler, name)

    def counted(*arguments: object) -> object:
        calls.append(1)
        return method(*arguments)

    setattr(sampler, name, counted)
    return calls


def test_no_verdict_before_enough_trials_are_complete() -> None:
    study = optuna.create_study()
    seen: list[FrozenTrial] = []
    pruner = HistoryMedianPruner(seen, startup_trials=2, warmup_steps=0)
    poor = study.ask()
    poor.report(9.0, 1)
    for expected in (False, False, True):
        (trial, *_) = [t for t in study.trials if t.number == poor.number]
        assert pruner.prune(study, trial) is expected
        good = study.ask()
        good.report(1.0, 1)
        seen.append(study.tell(good, 1.0))


def test_of_many_trials_the_best_and_a_part_of_the_others_are_looked_at() -> None:
    study = random_study(4 * MOST_TRIALS, 1, "maximize")
    history = history_of(study)
    best, rest = history.split(25)
    assert (len(best), len(best) + len(rest)) == (25, MOST_TRIALS)
    assert not set(best) & set(rest)
    assert [best, rest] == [sorted(best), sorted(set(rest))]
    worst_of_best = min(study.trials[number].value or 0.0 for number in best)
    assert all(
        trial.value <= worst_of_best
        for trial in study.get_trials(states=(TrialState.COMPLETE,))
        if trial.number not in best and trial.value is not None
    )
    quarters = [sum(n // MOST_TRIALS == quarter for n in rest) for quarter in range(4)]
    assert min(quarters) > len(rest) / 5
    assert suggest_from(study, history)


def suggest_from(study: optuna.Study, history: History) -> dict[str, object]:
    return next_params(study, HistoryTpe(history, 3, STARTUP, [len(study.trials)]))


def test_what_finishes_later_counts_and_what_failed_does_not() -> None:
    study = random_study(60, 2, "minimize")
    seen = finished(study)[:10]
    history = History(seen, maximize=False)
    history.update()
    before = len(history)
    seen.extend(finished(study)[10:])
    history.update()
    ended = [t for t in seen if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert before < len(history) == len(ended) < len(seen)
