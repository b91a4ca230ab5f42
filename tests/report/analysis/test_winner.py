import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from sweep.report.analysis.winner import winner

RELU, TANH, ELU = [0.41, 0.44, 0.40, 0.45], [0.38, 0.41, 0.39], [0.2, 0.21, 0.19]


def found(groups: dict[str, list[float]]):  # type: ignore[no-untyped-def]
    names = pd.Series([name for name, values in groups.items() for _ in values])
    return winner(pd.Series(sum(groups.values(), [])), names)


def test_the_best_is_tested_against_the_second_by_welch() -> None:
    best = found({"elu": ELU, "relu": RELU, "tanh": TANH, "lucky": [0.9, 0.9]})
    assert (best.name, best.second, best.count, best.rivals) == ("relu", "tanh", 4, 2)
    assert best.mean == pytest.approx(np.mean(RELU))
    assert best.p == pytest.approx(ttest_ind(RELU, TANH, equal_var=False).pvalue)
    assert not best.is_clear
    assert found({"relu": RELU, "elu": ELU}).is_clear


def test_what_cannot_be_tested_is_not_called_clear() -> None:
    assert found({"lucky": [0.9, 0.9]}) is None
    alone = found({"relu": RELU, "lucky": [0.9, 0.9]})
    assert (alone.rivals, alone.second) == (0, "")
    even = found({"relu": [0.1] * 3, "tanh": [0.1] * 3})
    assert not alone.is_clear
    assert not even.is_clear
