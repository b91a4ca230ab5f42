"""With dropout, the fused engine's trials end as the reference engine's do, in distribution.

Both train the same twenty seeds, which have the same weights and batches but other masks. A rank
test compares each metric; the chance that one of the four differs by accident is below 0.5 %, and
the seeds are fixed. The same test tells a dropout rate of 0.3 from one of 0.45.
"""

import numpy as np
import numpy.typing as npt
import pytest
from keras_fit import METRICS
from scipy import stats

from sweep.data import DataRef
from sweep.engines import Engine
from sweep.engines.fused.engine import FusedEngine
from sweep.engines.reference import ReferenceEngine
from sweep.trial import StopReason, TrialConfig, TrialTask

SEEDS = range(20)
NAMES = METRICS[:4]
P_VALUE = 0.001

Figures = dict[str, npt.NDArray[np.float64]]


def last_epochs(engine: Engine, kind: str, rate: float) -> Figures:
    """The metrics of the last epoch by name, one number for each seed."""
    waiting = [
        TrialTask(
            seed,
            TrialConfig(
                depth=2, width=16, dropout=kind, dropout_rate=rate, batch_size=32, epochs=1,
                learning_rate=0.001,
            ),
            seed,
        )
        for seed in SEEDS
    ]  # fmt: skip
    figures: dict[int, list[float]] = {}
    while waiting or engine.active:
        while waiting and len(engine.active) < engine.capacity:
            engine.admit(waiting.pop(0))
        for report in engine.run_epoch():
            if report.finished is not None:
                figures[report.number] = [getattr(report, name) for name in NAMES]
                engine.retire(report.number, StopReason.COMPLETED, None)
    columns = np.asarray([figures[seed] for seed in SEEDS]).T
    return dict(zip(NAMES, columns, strict=True))


def p_values(first: Figures, second: Figures) -> dict[str, float]:
    return {n: float(stats.mannwhitneyu(first[n], second[n]).pvalue) for n in NAMES}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dropout", "alpha_dropout"])
def test_distributions_of_twenty_seeds_do_not_differ(kind: str, small_data: DataRef) -> None:
    reference = last_epochs(ReferenceEngine(small_data, "cpu:0"), kind, 0.3)
    engine = FusedEngine(small_data, "cpu:0", capacity=len(SEEDS))
    p = p_values(last_epochs(engine, kind, 0.3), reference)
    assert min(p.values()) > P_VALUE, p
    other = p_values(last_epochs(engine, kind, 0.45), reference)
    assert min(other.values()) < P_VALUE / 10, other
    # Where all are right or none is, accuracies cannot differ.
    assert 0.2 < reference["val_accuracy"].mean() < 0.95
