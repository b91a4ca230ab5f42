"""Optuna's TPE for studies with many trials: same estimators, at a cost that does not grow."""

from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import default_gamma
from optuna.trial import FrozenTrial, TrialState

from sweep.driver.history import History, Table


class HistoryTpe(TPESampler):
    """Multivariate TPE over groups with a constant liar, from a `History`; for one objective.

    Up to `MOST_TRIALS` finished trials it chooses exactly as Optuna's sampler does, given that
    one's groups of parameters in the same order. Beyond, the density of the worse trials is
    estimated from a part of them. Used for one trial.
    """

    def __init__(self, history: History, seed: int, startup_trials: int) -> None:
        """Sample from what `history` knows when it is asked."""
        super().__init__(
            seed=seed,
            n_startup_trials=startup_trials,
            multivariate=True,
            group=True,
            constant_liar=True,
        )
        self._history = history
        self._tables: tuple[Table, Table] | None = None

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that occur together in the trials so far."""
        self._history.update()
        self._search_space_group = self._history.groups()
        return {
            name: distribution
            for group in self._search_space_group.search_spaces
            for name, distribution in sorted(group.items())
            if not distribution.single()
        }

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Sample one parameter alone."""
        self._history.update()
        if len(self._history) < self._n_startup_trials:
            return self._random_sampler.sample_independent(
                study, trial, param_name, param_distribution
            )
        return self._sample(study, trial, {param_name: param_distribution})[param_name]

    def _sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space or len(self._history) < self._n_startup_trials:
            return {}
        return self._sample(study, trial, search_space)

    def _sample(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if self._tables is None:
            self._tables = self._split(study, trial)
        below, above = (
            self._parzen_estimator_cls(
                table.columns(list(search_space)), search_space, self._parzen_estimator_parameters
            )
            for table in self._tables
        )
        candidates = below.sample(self._rng.rng, self._n_ei_candidates)
        chosen = TPESampler._compare(
            candidates, self._compute_acquisition_func(candidates, below, above)
        )
        return {
            name: distribution.to_external_repr(chosen[name])
            for name, distribution in search_space.items()
        }

    def _split(self, study: optuna.Study, trial: FrozenTrial) -> tuple[Table, Table]:
        """The better and the worse trials; open ones count among the worse."""
        history = self._history
        best, rest = history.split(default_gamma(len(history)))
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        others = [t for t in running if t.number != trial.number]
        return history.table(best), history.table(rest, others)
