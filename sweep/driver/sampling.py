"""Optuna's samplers and pruners as a study file asks for them."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from sweep.driver.halving import HistoryHalvingPruner, HistoryHyperbandPruner
from sweep.driver.history import History
from sweep.driver.pruning import HistoryMedianPruner
from sweep.driver.tpe import HistoryTpe
from sweep.errors import UsageError
from sweep.spec.advice import missing_packages
from sweep.spec.model import StudySpec
from sweep.spec.tree import most_epochs
from sweep.trial import stream_seed

MOST_AT_ONCE = 8


class TrialSampler(BaseSampler):
    """Samples one trial; each parameter that is sampled alone has a stream of its own.

    So what such a parameter becomes does not depend on how many were sampled before it: a trial
    whose sampling was cut short by a kill goes on as if it had not been.
    """

    def __init__(self, whole: BaseSampler, make: Callable[[int], BaseSampler], seed: int) -> None:
        """Sample with these.

        Args:
            whole: Samples the parameters that are sampled together.
            make: Gives, for a seed, a sampler for a parameter that is sampled alone.
            seed: The trial's.
        """
        self.whole = whole
        self._make = make
        self._seed = seed

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that are sampled together."""
        return self.whole.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Sample those parameters."""
        return self.whole.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Sample one parameter alone."""
        sampler = self._make(stream_seed(self._seed, param_name))
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Let the sampler prepare."""
        self.whole.before_trial(study, trial)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Let the sampler take note of a result."""
        self.whole.after_trial(study, trial, state, values)


def make_samplers(
    spec: StudySpec, numbers: Sequence[int], history: History | None
) -> list[TrialSampler]:
    """The samplers for trials that are asked for at once, one for each.

    Fresh samplers, seeded by study and trial number, make each choice a function of the other
    trials alone: a study that was killed and resumed chooses as one that never stopped. `qmc` and
    `cmaes` keep their state in the study itself and take the study's seed.

    Args:
        spec: The study.
        numbers: Numbers of the trials.
        history: The study's finished trials, if it has one objective.
    """
    seeds = [stream_seed(spec.seed, "sampler", number) for number in numbers]
    shared = None
    if spec.sampler.name == "tpe" and history is not None:
        shared = _make_sampler(spec, seeds[0], history, numbers)

    def make(number: int, seed: int) -> TrialSampler:
        def of_seed(seed: int) -> BaseSampler:
            return _make_sampler(spec, seed, history, [number])

        return TrialSampler(shared or of_seed(seed), of_seed, seed)

    return list(map(make, numbers, seeds))


def most_at_once(spec: StudySpec) -> int:
    """How many trials are asked for at once: more than one where that makes them cheaper."""
    return 1 if spec.sampler.name in ("gp", "cmaes") else MOST_AT_ONCE


def _make_sampler(
    spec: StudySpec, seed: int, history: History | None, numbers: Sequence[int]
) -> BaseSampler:
    name, startup = spec.sampler.name, spec.sampler.startup_trials
    with warnings.catch_warnings():
        # `group` and QMC are marked experimental; conditional spaces need the first.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "tpe" and history is not None:
            return HistoryTpe(history, seed, startup, numbers)
        if name == "tpe":
            return optuna.samplers.TPESampler(
                seed=seed,
                n_startup_trials=startup,
                multivariate=True,
                group=True,
                constant_liar=True,
            )
        if name == "qmc":
            return optuna.samplers.QMCSampler(
                seed=spec.seed,
                scramble=True,
                independent_sampler=optuna.samplers.RandomSampler(seed=seed),
                warn_asynchronous_seeding=False,
                warn_independent_sampling=False,
            )
        if name == "gp":
            return optuna.samplers.GPSampler(
                seed=seed, n_startup_trials=startup, warn_independent_sampling=False
            )
        if name == "cmaes":
            return optuna.samplers.CmaEsSampler(
                seed=stream_seed(spec.seed, "sampler"),
                n_startup_trials=startup,
                independent_sampler=optuna.samplers.RandomSampler(seed=seed),
                warn_independent_sampling=False,
            )
    # A grid is enumerated by the driver: what is left to the sampler is nothing.
    return optuna.samplers.RandomSampler(seed=seed)


def check_sampler(spec: StudySpec) -> None:
    """Find out before any trial is asked for whether the sampler can work here.

    Raises:
        UsageError: A package that it needs is not installed.
    """
    name = spec.sampler.name
    if missing := missing_packages(name):
        raise UsageError(
            f"the sampler {name} needs {' and '.join(missing)}, which is not installed",
            where=f"study {spec.study}, sampler.name",
            next_step="install it, or take another sampler: --set sampler.name=tpe",
        )


def make_pruner(spec: StudySpec, finished: Sequence[FrozenTrial]) -> optuna.pruners.BasePruner:
    """The pruner of a study; steps are absolute epochs.

    Args:
        spec: The study.
        finished: Its finished trials in the order in which they became known; it may grow.
    """
    pruner = spec.pruner
    if pruner.name == "median":
        return HistoryMedianPruner(
            finished, startup_trials=pruner.startup_trials, warmup_steps=pruner.min_epochs
        )
    if pruner.name == "asha":
        return HistoryHalvingPruner(
            finished, min_resource=pruner.min_epochs, reduction_factor=pruner.reduction_factor
        )
    if pruner.name == "hyperband":
        return HistoryHyperbandPruner(
            finished,
            min_resource=pruner.min_epochs,
            max_resource=most_epochs(spec),
            reduction_factor=pruner.reduction_factor,
        )
    return optuna.pruners.NopPruner()
