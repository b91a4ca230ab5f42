import pandas as pd
import pytest
from report_studies import frames_of, trial_row

from sweep.report.figures import importances
from sweep.report.figures.importances import MOST_SETTINGS, importance_chart

SETTINGS = [f"setting_{n}" for n in range(MOST_SETTINGS + 3)]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """PED-ANOVA and fANOVA of many settings, the last ones weakest; fANOVA of a sample."""
    shares = pd.Series(range(len(SETTINGS), 0, -1), dtype=float)
    shares /= shares.sum()
    made = pd.concat(
        pd.DataFrame(
            {
                "method": method,
                "setting": SETTINGS,
                "importance": shares,
                "low": shares / 2,
                "high": shares * 2,
                "by_chance": 0.05,
                "clear": shares > 0.05,
                "trials": trials,
            }
        )
        for method, trials in (("ped-anova", 30), ("fanova", 20))
    )
    monkeypatch.setattr(importances, "importances_frame", lambda frames: made)
    return made


def test_both_methods_are_drawn_with_intervals(table: pd.DataFrame) -> None:
    chart = importance_chart(frames_of([trial_row(n) for n in range(30)]))
    ped, fanova = chart.figure.data
    assert (ped.name, fanova.name) == ("PED-ANOVA", "fANOVA")
    first = table.iloc[0]
    for trace in (ped, fanova):
        assert len(trace.x) == MOST_SETTINGS
        assert trace.x[0] == pytest.approx(first["importance"], rel=1e-4)
        assert trace.error_x.array[0] == pytest.approx(first["importance"], rel=1e-4)
        assert trace.error_x.arrayminus[0] == pytest.approx(first["importance"] / 2, rel=1e-4)
        hollow = [symbol.endswith("-open") for symbol in trace.marker.symbol]
        assert hollow == [not clear for clear in table["clear"][:MOST_SETTINGS].iloc[:12]]
    assert chart.figure.layout.yaxis.ticktext[0] == "setting 0"
    assert "PED-ANOVA: setting 0, 12% [6%, 25%]" in chart.text


def test_the_note_says_what_was_left_out(table: pd.DataFrame) -> None:
    title = importance_chart(frames_of([trial_row(n) for n in range(30)])).figure.layout.title
    assert "fANOVA from 20 of 30 trials drawn at random" in title.text
    assert "PED-ANOVA from" not in title.text
    assert "3 weaker settings left out" in title.text
