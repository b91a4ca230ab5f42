"""How the objective follows one setting, the others held fixed: partial dependence.

The surrogate is the linear model of `sweep.report.analysis.compare` with a cubic in the number (of
its logarithm, if it spans enough) or an indicator for each choice. It has no interactions, so its
partial dependence is the same whatever the other settings are.
"""

from typing import Final

import numpy as np
import pandas as pd

from sweep.errors import UsageError
from sweep.report.analysis.compare import model_of
from sweep.report.analysis.design import curve, design_of, is_logarithmic
from sweep.report.analysis.effects import explained_by
from sweep.report.analysis.estimate import contrasts
from sweep.report.analysis.levels import CONFIDENCE
from sweep.report.analysis.pruned import completed_values
from sweep.report.frames import StudyFrames, active_values
from sweep.trial import FIELDS

POINTS: Final = 25


def partial_dependence(frames: StudyFrames, setting: str) -> pd.DataFrame:
    """The objective along a setting, as difference from its mean over the trials.

    Args:
        frames: The study.
        setting: Name of a setting that varies.

    Returns:
        `value` (of the setting: 25 places between the smallest and the largest of a number that
        has many values, otherwise each value), `effect`, `low`, `high` (95 %, at each place by
        itself); NaN where the trials cannot tell.

    Raises:
        UsageError: The setting does not vary among the trials that have a value.
    """
    trials = frames.valued
    design = design_of(trials, frames.varied)
    if setting not in design.settings:
        raise UsageError(
            "the setting does not vary in this study",
            where=f"study {frames.study}",
            expected="one of " + ", ".join(design.settings) if design.settings else None,
            received=setting,
        )
    chosen = design.settings[setting]
    values = completed_values(frames, trials, design.basis)[0]
    counted = chosen.level >= 0
    known = active_values(trials, setting)[counted]
    if FIELDS[setting].type in (int, float) and known.nunique() > chosen.basis.shape[1] + 1:
        numbers = known.to_numpy(dtype=float)
        space = np.geomspace if is_logarithmic(numbers) else np.linspace
        places = space(numbers.min(), numbers.max(), POINTS)
        leading, wanted = chosen.basis[counted], curve(numbers, places)
    else:
        places = np.array(sorted(known.unique()), dtype=object)
        leading = (known.to_numpy()[:, None] == places).astype(float)[:, 1:]
        wanted = np.eye(len(places))[:, 1:]
    middle = leading.mean(axis=0)
    leading, wanted = leading - middle, wanted - middle
    leading = np.concatenate([leading, np.ones((len(leading), 1))], axis=1)
    shares = {s.name: explained_by(values.mean(axis=1), s) for s in design.settings.values()}
    model = model_of(design, setting, counted, leading, values[counted], shares)
    whole = np.zeros((len(places), model.design.shape[1]))
    whole[:, : wanted.shape[1]] = wanted
    one_group = np.zeros(len(model.first), dtype=np.int64)
    found = contrasts(model.design, model.means, model.weights, one_group, whole)
    low, high = found.interval(CONFIDENCE)
    return pd.DataFrame({"value": places, "effect": found.value, "low": low, "high": high})
