"""Optuna's TPE for studies with many trials: same estimators, at a cost that does not grow."""

from collections import deque
from collections.abc import Collection
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
    estimated from a part of them. Used for one trial, or for several that are asked for at once:
    those share the densities, which know of none of them, and differ by chance.
    """

    def __init__(
        self, history: History, seed: int, startup_trials: int, numbers: Collection[int]
    ) -> None:
        """Sample from what `history` knows when it is first asked.

        Args:
            history: The study's finished trials.
            seed: Of all that is drawn.
            startup_trials: Finished trials before it uses what it knows.
            numbers: Numbers of the trials that it is used for.
        """
        super().__init__(
            seed=seed,
            n_startup_trials=startup_trials,
            multivariate=True,
            constant_liar=True,
        )
        # Not as an argument, which warns each time that it is experimental, in any thread.
        self._group = True
        self._history = history
        self._numbers = frozenset(numbers)
        self._tables: tuple[Table, Table] | None = None
        self._chosen: dict[frozenset[str], deque[dict[str, Any]]] = {}

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
        return self._next_choice(study, {param_name: param_distribution})[param_name]

    def _sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space or len(self._history) < self._n_startup_trials:
            return {}
        return self._next_choice(study, search_space)

    def _next_choice(
        self, study: optuna.Study, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        names = frozenset(search_space)
        if not self._chosen.get(names):
            self._chosen[names] = deque(self._choose(study, search_space))
        chosen = self._chosen[names].popleft()
        return {
            name: distribution.to_external_repr(chosen[name])
            for name, distribution in search_space.items()
        }

    def _choose(
        self, study: optuna.Study, search_space: dict[str, BaseDistribution]
    ) -> list[dict[str, Any]]:
        """The best of a number of candidates, for each of the trials."""
        if self._tables is None:
            self._tables = self._split(study)
        below, above = (
            self._parzen_estimator_cls(
                table.columns(list(search_space)), search_space, self._parzen_estimator_parameters
            )
            for table in self._tables
        )
        each = self._n_ei_candidates
        candidates = below.sample(self._rng.rng, each * len(self._numbers))
        gains = self._compute_acquisition_func(candidates, below, above)
        parts = (slice(start, start + each) for start in range(0, len(gains), each))
        return [
            TPESampler._compare({n: c[part] for n, c in candidates.items()}, gains[part])
            for part in parts
        ]

    def _split(self, study: optuna.Study) -> tuple[Table, Table]:
        """The better and the worse trials; open ones count among the worse."""
        history = self._history
        best, rest = history.split(default_gamma(len(history)))
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        others = [t for t in running if t.number not in self._numbers]
        return history.table(best), history.table(rest, others)
