r"""Whether one study's trials reached more than another's, asked in three ways.

**all**: the means over all trials that ended, configurations being the unit (their seeds are no
further witnesses): Welch's test. It says what the searches reached, whatever made them so:
settings, sampler, pruner. Where a sampler followed what earlier trials had reached, all of its
trials are one witness of what it finds: of 95 % intervals 62 in 100 would hold, so there is none.

**matched**: over the configurations that both studies trained, apart from what sets the studies
apart, the mean of the difference inside each: Student's interval over the configurations.

**adjusted**: a linear model of the trials within what both studies tried, which holds all settings
fixed that are not apart: see `sweep.report.analysis.compare`.

Pruned trials count with what they might have reached, diverged ones with their worst value, failed
ones not at all. Intervals are 95 % each; `clear` is a difference that passes Holm's correction
over the studies compared in that way.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.report.analysis.compare import Comparison, compare
from sweep.report.analysis.effects import explained_by, records
from sweep.report.analysis.estimate import Estimates, Floats, contrasts, holm
from sweep.report.analysis.levels import CONFIDENCE
from sweep.report.analysis.studies.comparable import comparability, follows_results
from sweep.report.analysis.studies.pool import STUDY, Pool, pooled
from sweep.report.analysis.studies.words import contrast_sentence
from sweep.report.frames import StudyFrames

LEAST_TRIALS: Final = 3
FEW_UNITS: Final = 5
MOST_RECKONED: Final = 0.3
MOST_INFLATION: Final = 5.0
COLUMNS: Final = (
    "first",
    "other",
    "method",
    "difference",
    "low",
    "high",
    "p",
    "clear",
    "first_count",
    "other_count",
    "units",
    "better",
    "apart",
    "caution",
    "sentence",
)


def study_contrasts(studies: Sequence[StudyFrames]) -> pd.DataFrame:
    """Every further study against the first one; see the module.

    Returns:
        A row for each other study and method: `first`, `other`, `method` (`all`, `matched`,
        `adjusted`, or `refused` where values must not be compared); `difference` (other minus
        first, in units of the first objective) and its 95 % interval `low`, `high` (NaN where the
        data cannot say); `p` (Holm's correction); `clear`; `first_count`, `other_count` (how many
        trials count); `units` (how many configurations); `better` (in what share of pairs the
        other's trial is the better one, ties being halves); `apart` (settings without a common
        value); `caution`; `sentence`.
    """
    first = studies[0]
    rows = [row for other in studies[1:] for row in _pair(first, other)]
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "sentence"])
    for _, some in table.groupby("method").groups.items():
        table.loc[some, "p"] = holm(table.loc[some, "p"].to_numpy(dtype=float))
    table["clear"] = table["p"].astype(float) < 1.0 - CONFIDENCE
    said = [contrast_sentence(first.metrics[0], first.maximize, row) for row in records(table)]
    return table.assign(sentence=pd.Series(said, dtype=object))[[*COLUMNS]]


def _pair(first: StudyFrames, other: StudyFrames) -> list[dict[str, Any]]:
    names = {"first": first.study, "other": other.study}
    obstacles = comparability(first, other).obstacles
    if obstacles:
        empty = Estimates(*(np.full(1, np.nan) for _ in range(3)))
        refused = _row("refused", empty, None, first.maximize, 0, " ".join(obstacles))
        return [names | refused]
    pool = pooled(first, other)
    estimates, units = _all(pool)
    followed = [frames.study for frames in (first, other) if follows_results(frames)]
    if followed:
        estimates = Estimates(estimates.value, *(np.full(1, np.nan) for _ in range(2)))
    doubts = [_thin(pool), *_reckoned(pool), *_one_search(followed)]
    said = "; ".join(filter(None, doubts))
    rows = [_row("all", estimates, pool, first.maximize, units, said)]
    held_fixed = []
    matched = _matched(pool)
    if matched is not None:
        held_fixed.append((matched, _compared(matched)))
    common = pool.common()
    if not _thin(common) and len(common.design().settings) > 1:
        held_fixed.append((common, _compared(common)))
    for some, found in held_fixed:
        # Where most trials are matched, both ways are the same.
        if found.method != "unknown" and found.method not in {row["method"] for row in rows}:
            estimates = _last(found.estimates)
            said = "; ".join(_doubts(some, found))
            rows.append(_row(found.method, estimates, some, first.maximize, found.units, said))
    return [names | row for row in rows]


def _row(
    method: str,
    estimates: Estimates,
    pool: Pool | None,
    maximize: bool,
    units: int,
    caution: str,
) -> dict[str, Any]:
    low, high = estimates.interval(CONFIDENCE)
    row: dict[str, Any] = {
        "method": method,
        "difference": estimates.value[0],
        "low": low[0],
        "high": high[0],
        "p": estimates.p_values()[0],
        "clear": False,
        "units": units,
        "caution": caution,
        "apart": () if pool is None else pool.apart,
        "better": np.nan if pool is None else _better(pool, maximize),
    }
    counts = (0, 0) if pool is None else pool.sizes
    return row | {"first_count": counts[0], "other_count": counts[1]}


def _all(pool: Pool) -> tuple[Estimates, int]:
    """Welch's test over configurations, each the mean of its seeds; and their number."""
    if _thin(pool):
        return Estimates(*(np.full(1, np.nan) for _ in range(3))), 0
    units = pool.design(with_apart=True).configurations()
    first = np.unique(units, return_index=True)[1]
    sizes = np.bincount(units).astype(float)
    sums = [np.bincount(units, column, len(sizes)) for column in pool.values.T]
    means = np.stack(sums, axis=1) / sizes[:, None]
    study = pool.study[first]
    x = np.asarray(study[:, None] == np.arange(2), dtype=float)
    return contrasts(x, means, np.ones(len(x)), study, np.array([[-1.0, 1.0]])), len(x)


def _matched(pool: Pool) -> Pool | None:
    """The trials of configurations that both studies trained; None if there are too few."""
    blocks = pool.design().configurations((STUDY,))
    both: NDArray[np.bool_] = np.isin(blocks, blocks[pool.study == 0])
    both &= np.isin(blocks, blocks[pool.study == 1])
    some = pool.of(both)
    return None if _thin(some) or len(np.unique(blocks[both])) < 2 else some


def _compared(pool: Pool) -> Comparison:
    design = pool.design()
    middle = pool.values.mean(axis=1)
    explained = {name: explained_by(middle, s) for name, s in design.settings.items()}
    return compare(design, design.settings[STUDY], pool.values, explained)


def _last(estimates: Estimates) -> Estimates:
    """Of both studies' contrasts the other one's, which is the other minus the first."""
    return Estimates(estimates.value[1:], estimates.error[1:], estimates.freedom[1:])


def _better(pool: Pool, maximize: bool) -> float:
    if not all(pool.sizes):
        return np.nan
    signed: Floats = pool.values if maximize else -pool.values
    first, other = np.sort(signed[pool.study == 0], axis=0), signed[pool.study == 1]
    beaten = [
        np.searchsorted(first[:, draw], other[:, draw], side)
        for draw in range(signed.shape[1])
        for side in ("left", "right")
    ]
    return float(np.mean(beaten)) / len(first)


def _thin(pool: Pool) -> str:
    return "too few trials to compare" if min(pool.sizes) < LEAST_TRIALS else ""


def _one_search(studies: Sequence[str]) -> list[str]:
    if not studies:
        return []
    names = " and ".join(studies)
    return [f"{names} followed earlier results: one search, which could have gone otherwise"]


def _reckoned(pool: Pool) -> list[str]:
    counts = zip(
        (pool.reckoned[pool.study == side].sum() for side in (0, 1)), pool.sizes, strict=True
    )
    shares = [float(reckoned) / max(1, size) for reckoned, size in counts]
    if max(shares) <= MOST_RECKONED:
        return []
    said = " and ".join(f"{share:.0%}" for share in shares)
    return [f"{said} of the values reckoned on from pruned trials"]


def _doubts(pool: Pool, found: Comparison) -> list[str]:
    """Reasons not to take a comparison at equal settings at its word."""
    doubts = _reckoned(pool)
    if found.units < FEW_UNITS:
        doubts.append(f"only {found.units} configurations")
    if found.left_out:
        names = ", ".join(name.replace("_", " ") for name in found.left_out[:3])
        more = f" and {len(found.left_out) - 3} more" if len(found.left_out) > 3 else ""
        doubts.append(f"too few trials to hold {names}{more} fixed")
    if found.inflation[1] > MOST_INFLATION:
        doubts.append("the studies seldom tried the same settings")
    return doubts
