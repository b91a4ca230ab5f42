import json
from itertools import pairwise

import numpy as np
import pytest
import report_studies
from report_studies import epoch_row, failed_row, frames_of, run_row, trial_row
from several_studies import spec_of, study

from sweep.report.analysis.studies.comparison import overview, verdicts
from sweep.report.figures.comparison import overview_charts, verdict_charts
from sweep.report.figures.style import Chart
from sweep.report.frames import StudyFrames, study_frames
from sweep.store import Store


def waiting(name: str) -> StudyFrames:
    return frames_of([failed_row(0, state="WAITING")], name=name, spec=spec_of(name))


def failed(name: str) -> StudyFrames:
    return frames_of([failed_row(n) for n in range(3)], name=name, spec=spec_of(name))


def running(name: str) -> StudyFrames:
    rows = [failed_row(0, state="RUNNING", error=None)]
    runs = [run_row(0, None)]
    return frames_of(rows, [epoch_row(0, 1, 0.2)], name=name, spec=spec_of(name), runs=runs)


def diverged(name: str) -> StudyFrames:
    rows = [trial_row(n, values=[1e30 * (n + 1)], stop_reason="diverged") for n in range(3)]
    goal = {"metrics": ("val_loss",), "directions": ("minimize",)}
    return frames_of(rows, [epoch_row(0, 1, None)], name=name, spec=spec_of(name), **goal)


def constant(name: str) -> StudyFrames:
    return study(name, [({"activation": ("relu", "selu")[n % 2]}, 0.1) for n in range(12)])


def several_objectives(name: str) -> StudyFrames:
    rows = [trial_row(n, values=[0.1 * n, 5.0 - n]) for n in range(1, 5)]
    epochs = [epoch_row(n, 1, 0.1 * n) for n in range(1, 5)]
    goal = {
        "metrics": ("val_accuracy", "seconds_per_epoch"),
        "directions": ("maximize", "minimize"),
    }
    return frames_of(rows, epochs, name=name, spec=spec_of(name), **goal)


AWKWARD = {
    "empty": study,
    "waiting": waiting,
    "failed": failed,
    "running": running,
    "one trial": lambda name: study(name, [({}, 0.4)]),
    "diverged": diverged,
    "constant": constant,
    "several objectives": several_objectives,
    "fallback": lambda name: study(name, [({}, 0.4)] * 3, fallback=True),
}


def checked(studies: list[StudyFrames]) -> tuple[Chart, ...]:
    charts = (*overview_charts(overview(studies)), *verdict_charts(verdicts(studies)))
    for chart in charts:
        drawn = json.loads(chart.figure.to_json())
        assert drawn["data"] or drawn["layout"]["annotations"], chart.key
        assert chart.text.endswith("."), chart.text
        assert "nan" not in chart.text.lower().split()
    keys = [chart.key for chart in charts]
    assert len(set(keys)) == len(keys)
    return charts


@pytest.mark.parametrize(("first", "other"), [*pairwise([*AWKWARD, "empty"])])
def test_awkward_studies_are_compared(first: str, other: str) -> None:
    checked([AWKWARD[first]("a"), AWKWARD[other]("b"), constant("c")])


def test_one_study_works_too() -> None:
    checked([constant("a")])


def test_values_that_say_nothing_about_each_other_share_no_figure() -> None:
    trials = [({}, 0.1 * n) for n in range(1, 5)]
    charts = checked([study("a", trials), study("b", trials, fallback=True), study("c", trials)])
    for kind in ("quality", "studies", "best-so-far", "distribution"):
        named = [
            {trace.name for trace in chart.figure.data if trace.name}
            for chart in charts
            if chart.key.startswith(f"{kind}-")
        ]
        assert len(named) == 2, kind
    alone = next(chart for chart in charts if chart.key == "quality-1")
    assert {trace.name for trace in alone.figure.data} == {"b"}
    assert "synthetic data (fallback)" in alone.figure.layout.title.text


def test_studies_differ_in_colour_and_dash() -> None:
    studies = [study(f"s{n}", [({}, 0.1), ({}, 0.2)]) for n in range(20)]
    figure = checked(studies)[0].figure
    lines = {(trace.line.color, trace.line.dash) for trace in figure.data}
    assert len(lines) == 20


def test_text_from_outside_is_not_read_as_markup() -> None:
    evil = frames_of([trial_row(0)], name="<script>alert(1)</script>", spec=spec_of("a"))
    for chart in checked([evil, study("b", [({}, 0.3)])]):
        assert "<script" not in chart.figure.to_json()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("both") / "sweep.db"
    with Store.open(f"sqlite:///{path}") as store:
        report_studies.fill(store, 18, name="one")
        report_studies.fill(store, 12, name="two")
        yield store


def test_figures_show_the_numbers_of_the_database(both: Store) -> None:
    charts = {c.key: c.figure for c in checked([study_frames(both, n) for n in ("one", "two")])}
    for place, name in enumerate(("one", "two")):
        rows = both.trial_rows(name)
        epochs = both.epoch_rows(name)
        times = sorted(epochs, key=lambda row: (row["reported_at"], row["number"], row["epoch"]))
        best = np.fmax.accumulate([row["val_accuracy"] for row in times])
        by_epochs = charts["quality-0"].data[2 * place + 1]
        assert list(by_epochs.y) == pytest.approx([best[x - 1] for x in by_epochs.x], rel=1e-4)
        assert by_epochs.x[-1] == len(epochs)
        assert by_epochs.y[-1] == pytest.approx(max(best), rel=1e-4)
        complete = [r for r in rows if r["state"] == "COMPLETE" and r["stop_reason"] != "diverged"]
        steps = charts["best-so-far-0"].data[place]
        for x, y in zip(steps.x, steps.y, strict=True):
            so_far = max(row["values"][0] for row in complete if row["number"] <= x)
            assert y == pytest.approx(so_far, rel=1e-4)
        values = sorted(row["values"][0] for row in rows if row["values"])
        curve = charts["distribution-0"].data[place]
        assert curve.name == f"{name} ({len(values)})"
        assert list(curve.x)[1:] == pytest.approx(values, rel=1e-4)
        shares = [count / len(values) for count in range(1, len(values) + 1)]
        assert list(curve.y)[1:] == pytest.approx(shares, rel=1e-4)
        median, winner = charts["studies-0"].data[2 * place + 1].x
        assert median == pytest.approx(np.median(values), rel=1e-4)
        assert winner == pytest.approx(max(row["values"][0] for row in complete), rel=1e-4)


def test_figures_of_large_studies_are_small() -> None:
    chance = np.random.default_rng(0)
    trials = [
        ({"learning_rate": float(r)}, float(v)) for r, v in chance.uniform(0.1, 1, (3000, 2))
    ]
    for chart in checked([study("a", trials), study("b", trials[:2000])]):
        assert len(chart.figure.to_json()) < 25_000, chart.key
