import optuna
import pytest
from optuna.trial import FrozenTrial

from sweep.driver.halving import HistoryHalvingPruner, HistoryHyperbandPruner
from sweep.driver.history import History
from sweep.driver.pruning import HistoryMedianPruner
from sweep.driver.sampling import (
    check_sampler,
    make_pruner,
    make_samplers,
)
from sweep.errors import UsageError
from sweep.space import SearchSpace
from sweep.spec import parse_study
from sweep.spec.model import StudySpec
from sweep.spec.tree import most_epochs

SPACE = """
search:
  activation: [relu, selu, tanh]
  optimizer: [sgd, adam]
  momentum: {low: 0.0, high: 0.99, when: {optimizer: sgd}}
  learning_rate: {low: 1.0e-4, high: 1.0, log: true}
"""


def study_spec(text: str) -> StudySpec:
    return parse_study("study: sampled\ndata: {name: synthetic}\n" + text)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tpe", optuna.samplers.TPESampler),
        ("random", optuna.samplers.RandomSampler),
        ("qmc", optuna.samplers.QMCSampler),
        ("cmaes", optuna.samplers.CmaEsSampler),
    ],
)
def test_a_study_chooses_the_same_after_a_restart(
    name: str, kind: type[optuna.samplers.BaseSampler]
) -> None:
    spec = study_spec(f"sampler: {{name: {name}, startup_trials: 4}}\n" + SPACE)
    assert isinstance(make_samplers(spec, [0], None)[0].whole, kind)
    assert isinstance(make_samplers(spec, [0], History([], maximize=True))[0].whole, kind)
    space = SearchSpace.from_spec(spec)

    def choices(restart_at: int) -> list[dict[str, object]]:
        storage = optuna.storages.InMemoryStorage()
        study = optuna.create_study(storage=storage, study_name="sampled")
        finished: list[FrozenTrial] = []
        history = History(finished, maximize=False)
        for number in range(12):
            if number == restart_at:
                study = optuna.load_study(storage=storage, study_name="sampled")
                history = History(finished, maximize=False)
            trial = study.ask()
            study.sampler = make_samplers(spec, [trial.number], history)[0]
            config = space.suggest(trial)
            finished.append(study.tell(trial, config.learning_rate + config.momentum))
        return [trial.params for trial in study.trials]

    assert choices(restart_at=7) == choices(restart_at=99)


@pytest.mark.parametrize(("name", "finished"), [("random", 0), ("tpe", 0), ("tpe", 8)])
def test_a_trial_whose_sampling_was_cut_short_goes_on_as_if_it_had_not(
    name: str, finished: int
) -> None:
    spec = study_spec(f"sampler: {{name: {name}, startup_trials: 4}}\n" + SPACE)
    space = SearchSpace.from_spec(spec)

    class CutError(Exception):
        """Stands for a kill."""

    def params(cut_after: int) -> dict[str, object]:
        study = optuna.create_study()
        ended: list[FrozenTrial] = []
        history = History(ended, maximize=False)
        for _ in range(finished):
            trial = study.ask()
            study.sampler = make_samplers(spec, [trial.number], history)[0]
            ended.append(study.tell(trial, space.suggest(trial).learning_rate))
        trial = study.ask()
        study.sampler = make_samplers(spec, [trial.number], history)[0]
        storage = study._storage
        left = cut_after

        def set_param(*arguments: object) -> None:
            nonlocal left
            if left == 0:
                raise CutError
            left -= 1
            type(storage).set_trial_param(storage, *arguments)

        storage.set_trial_param = set_param
        with pytest.raises(CutError):
            space.suggest(trial)
        del storage.set_trial_param
        study.sampler = make_samplers(spec, [trial.number], history)[0]
        again = optuna.trial.Trial(study, trial._trial_id)
        space.suggest(again)
        return again.params

    undisturbed = params(cut_after=0)
    assert len(undisturbed) >= 3
    assert params(cut_after=1) == params(cut_after=2) == undisturbed


def test_a_sampler_without_its_package_is_refused_before_any_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_sampler(study_spec(""))
    monkeypatch.setattr("sweep.spec.advice.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="gp needs torch and scipy"):
        check_sampler(study_spec("sampler: {name: gp}\n" + SPACE))


def test_another_seed_chooses_otherwise() -> None:
    def first(seed: int) -> dict[str, object]:
        spec = study_spec(f"seed: {seed}\n" + SPACE)
        study = optuna.create_study()
        trial = study.ask()
        study.sampler = make_samplers(spec, [trial.number], None)[0]
        SearchSpace.from_spec(spec).suggest(trial)
        return trial.params

    assert first(1) == first(1)
    assert first(1) != first(2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 50),
        ("fixed: {epochs: 7}", 7),
        ("fixed: {epochs: 7}\nbudget: {epochs: 3}", 3),
        ("search: {epochs: [4, 9, 2]}", 9),
        ("search: {epochs: {low: 2, high: 12}}", 12),
    ],
)
def test_most_epochs_of_a_study(text: str, expected: int) -> None:
    assert most_epochs(study_spec(text)) == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("none", optuna.pruners.NopPruner),
        ("median", HistoryMedianPruner),
        ("asha", HistoryHalvingPruner),
        ("hyperband", HistoryHyperbandPruner),
    ],
)
def test_pruners_by_name(name: str, kind: type[optuna.pruners.BasePruner]) -> None:
    assert isinstance(make_pruner(study_spec(f"pruner: {{name: {name}}}"), []), kind)
