"""How much each setting matters, by PED-ANOVA and by fANOVA, and how sure that is.

PED-ANOVA says what sets the best trials apart; fANOVA how the objective varies over the whole
space, by a random forest. Both come from `optuna.importance`, over trials that completed,
diverged or were pruned. The interval is 1.96 standard errors of a bootstrap over configurations
to each side (percentiles would miss the estimate: repeated configurations sharpen what both see).
It says how far an importance would move with other trials, not that it is above nothing: since an
importance is never negative, `by_chance` says what the setting gets when the values are shuffled
among the trials (the 95th percentile), and `clear` are those that get more.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
)
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.trial import FrozenTrial, create_trial

from sweep.report.analysis.design import Design, design_of, is_logarithmic
from sweep.report.analysis.estimate import Floats, Ints
from sweep.report.analysis.levels import MOST_LEVELS
from sweep.report.analysis.pruned import completed_values
from sweep.report.frames import StudyFrames, active_values
from sweep.trial import FIELDS

COLUMNS: Final = ("method", "setting", "importance", "low", "high", "by_chance", "clear", "trials")
LEAST_TRIALS: Final = 20
# Of more, so many are drawn at random: forests are slow, and these are sure enough.
MOST_TRIALS: Final[Mapping[str, int]] = {"ped-anova": 500, "fanova": 200}
RESAMPLES: Final = 20
# Standard errors to each side of an estimate.
WIDTH: Final = 1.96
TREES: Final = 8
TOP_SHARE: Final = 0.1
LEAST_TOP_TRIALS: Final = 5
_NOTHING: Final = 1e-300
_ABSENT: Final = "without effect"


def importances_frame(frames: StudyFrames) -> pd.DataFrame:
    """Importances of the settings that varied, for the first objective.

    Returns:
        `method` (`ped-anova` or `fanova`), `setting`, `importance` (those of a method add up to
        1), its interval `low`, `high`, `by_chance`, `clear` and `trials`: see the module. Empty
        with fewer than 20 trials, or if their values do not differ.
    """
    trials = frames.valued
    design = design_of(trials, frames.varied)
    values = completed_values(frames, trials, design.basis)[0].mean(axis=1)
    if len(trials) < LEAST_TRIALS or np.ptp(values) == 0.0 or not design.settings:
        return pd.DataFrame(columns=[*COLUMNS])
    chance = np.random.default_rng(0)
    # Smaller is better for PED-ANOVA.
    losses = -values if frames.maximize else values
    tables = []
    verbosity = optuna.logging.get_verbosity()
    # It would announce each study in memory.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        for name, evaluate in _EVALUATE.items():
            most = min(len(trials), MOST_TRIALS[name])
            chosen = np.sort(chance.choice(len(trials), most, replace=False))
            some = trials.iloc[chosen]
            design = design_of(some, frames.varied)
            frozen = _frozen(design, some, flat=name == "fanova")
            tables.append(_table(name, frozen, losses[chosen], design.configurations(), evaluate))
    finally:
        optuna.logging.set_verbosity(verbosity)
    return pd.concat(tables, ignore_index=True)


def _table(
    method: str, frozen: "_Made", losses: Floats, units: Ints, evaluate: "_Evaluate"
) -> pd.DataFrame:
    everyone = np.arange(len(losses))
    found = evaluate(frozen(everyone, losses))
    chance = np.random.default_rng(0)
    members = np.split(np.argsort(units, kind="stable"), np.cumsum(np.bincount(units))[:-1])
    again, shuffled = [], []
    for _ in range(RESAMPLES):
        drawn = chance.integers(len(members), size=len(members))
        rows = np.concatenate([members[unit] for unit in drawn])
        again.append(evaluate(frozen(rows, losses[rows])))
        shuffled.append(evaluate(frozen(everyone, chance.permutation(losses))))
    names = list(found)
    shares = _whole(again, names)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), _NOTHING)
    half = WIDTH * shares.std(axis=0, ddof=1)
    # Shares of nothing add up to 1 too: chance is measured in what is shared out.
    total = max(sum(found.values()), _NOTHING)
    noise = np.quantile(_whole(shuffled, names), 0.95, axis=0)
    raw = np.array([found[name] for name in names])
    table = pd.DataFrame(
        {
            "method": method,
            "setting": names,
            "importance": raw / total,
            "low": np.maximum(0.0, raw / total - half),
            "high": np.minimum(1.0, raw / total + half),
            "by_chance": noise / total,
            "clear": raw > noise,
            "trials": len(losses),
        }
    )
    return table.sort_values("importance", ascending=False, ignore_index=True)[[*COLUMNS]]


def _whole(found: Sequence[Mapping[str, float]], names: Sequence[str]) -> Floats:
    """Importances (resample, setting); a setting that did not occur has none."""
    return np.array([[some.get(name, 0.0) for name in names] for some in found])


_Made = Callable[[Ints, Floats], optuna.Study]
_Evaluate = Callable[[optuna.Study], Mapping[str, float]]


def _frozen(design: Design, trials: pd.DataFrame, *, flat: bool) -> _Made:
    """Makes a study in memory of some trials with other values.

    Args:
        design: The settings.
        trials: The trials.
        flat: Give a setting without effect a value of its own instead of leaving it out.
    """
    spaces: dict[str, BaseDistribution] = {}
    params: list[dict[str, object]] = [{} for _ in range(len(trials))]
    for name, setting in design.settings.items():
        known = active_values(trials, name)
        absent = known.isna().to_numpy()
        number = FIELDS[name].type in (int, float) and known.nunique() > MOST_LEVELS
        if number and not (flat and absent.any()):
            low, high = float(known.min()), float(known.max())
            spaces[name] = FloatDistribution(
                low, high, log=is_logarithmic(known.to_numpy(dtype=float))
            )
            chosen: list[object] = [float(value) for value in known]
        else:
            labels = list(setting.labels) + ([_ABSENT] if flat and absent.any() else [])
            spaces[name] = CategoricalDistribution(labels)
            chosen = [labels[code] if code >= 0 else _ABSENT for code in setting.level]
        for place in np.flatnonzero(~absent | flat):
            params[place][name] = chosen[place]

    def study(rows: Ints, losses: Floats) -> optuna.Study:
        made = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        made.add_trials(
            _trial(params[row], spaces, float(loss))
            for row, loss in zip(rows, losses, strict=True)
        )
        return made

    return study


def _trial(
    params: dict[str, object], spaces: dict[str, BaseDistribution], loss: float
) -> FrozenTrial:
    used = {name: spaces[name] for name in params}
    return create_trial(params=params, distributions=used, value=loss)


def _ped_anova(study: optuna.Study) -> Mapping[str, float]:
    count = len(study.get_trials(deepcopy=False))
    share = max(TOP_SHARE, LEAST_TOP_TRIALS / count)
    with warnings.catch_warnings():
        # Rare values of conditional parameters are counted as they are; of ties, as many trials
        # as possible are called good.
        warnings.filterwarnings("ignore", message="Some regimes for parameter")
        warnings.filterwarnings("ignore", message="Target and region quantiles select the same")
        return _importances(study, PedAnovaImportanceEvaluator(target_quantile=share))


def _fanova(study: optuna.Study) -> Mapping[str, float]:
    return _importances(study, FanovaImportanceEvaluator(n_trees=TREES, seed=0))


def _importances(study: optuna.Study, evaluator: BaseImportanceEvaluator) -> Mapping[str, float]:
    with warnings.catch_warnings():
        # `normalize` is marked experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return get_param_importances(study, evaluator=evaluator, normalize=False)


_EVALUATE: Final[Mapping[str, _Evaluate]] = {"ped-anova": _ped_anova, "fanova": _fanova}
