import json
from dataclasses import replace

import pytest
from report_studies import epoch_row, failed_row, frames_of, trial_row

from sweep.report.figures import catalogue as figures
from sweep.report.figures.curves import learning_curves
from sweep.report.frames import StudyFrames, study_frames
from sweep.store import Store

DASHBOARD = ["activation-initializer", "momentum", "dropout", "batch-norm"]
REPORT = [
    *("history", "rank", "curves", "effects", "importances"),
    *DASHBOARD,
    *("layers", "cost", "gantt", "parallel"),
]


def all_failed() -> StudyFrames:
    return frames_of([failed_row(n) for n in range(3)])


def constant() -> StudyFrames:
    rows = [
        trial_row(n, values=[0.1], config={"activation": ("relu", "selu")[n % 2]})
        for n in range(12)
    ]
    return frames_of(rows, [epoch_row(n, e, 0.1) for n in range(12) for e in (1, 2)])


def several_objectives() -> StudyFrames:
    rows = [
        trial_row(n, values=[0.1 * n, 5.0 - n], config={"learning_rate": 10.0**-n})
        for n in range(1, 5)
    ]
    return frames_of(
        rows,
        [epoch_row(n, 1, 0.1 * n) for n in range(1, 5)],
        metrics=("val_accuracy", "seconds_per_epoch"),
        directions=("maximize", "minimize"),
    )


def all_diverged() -> StudyFrames:
    rows = [
        trial_row(
            n,
            values=[1e30 * (n + 1)],
            stop_reason="diverged",
            kept_epoch=0,
            config={"optimizer": "sgd", "momentum": 0.99999 - n / 10},
        )
        for n in range(2)
    ]
    epochs = [epoch_row(n, 1, None, loss=None, val_loss=None) for n in range(2)]
    return frames_of(rows, epochs, metrics=("val_loss",), directions=("minimize",))


AWKWARD = {
    "empty": lambda: frames_of([]),
    "waiting": lambda: frames_of([failed_row(0, state="WAITING", error=None) | {"config": {}}]),
    "running": lambda: frames_of(
        [failed_row(0, state="RUNNING", error=None)], [epoch_row(0, 1, 0.2)]
    ),
    "one trial": lambda: frames_of([trial_row(0)], [epoch_row(0, e, 0.2) for e in (1, 2)]),
    "one sgd trial": lambda: frames_of(
        [trial_row(0, config={"optimizer": "sgd", "momentum": 0.9})], [epoch_row(0, 1, 0.5)]
    ),
    "all failed": all_failed,
    "all diverged": all_diverged,
    "constant": constant,
    "several objectives": several_objectives,
    "without epochs": lambda: frames_of([trial_row(0), trial_row(1, config={"depth": 3})]),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_no_figure_fails_on_an_awkward_study(name: str) -> None:
    frames = AWKWARD[name]()
    charts = figures.report_charts(frames)
    for chart in charts:
        drawn = json.loads(chart.figure.to_json())
        assert drawn["data"] or drawn["layout"]["annotations"], chart.key
        assert chart.text.endswith(".")
        assert "nan" not in chart.text.lower().split()
    assert [c.key for c in charts if c.key != "pareto"] == REPORT
    assert ("pareto" in [c.key for c in charts]) == (len(frames.directions) > 1)


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("fallback", [False, True])
def test_every_title_says_which_data_it_shows(name: str, fallback: bool) -> None:
    made = AWKWARD[name]()
    frames = frames_of([], fallback=fallback)
    frames = replace(made, data=frames.data, is_fallback=fallback)
    for chart in figures.report_charts(frames):
        title = chart.figure.layout.title.text
        assert ("synthetic data (fallback)" in title) == fallback
        assert ("data: cifar10" in title) != fallback


def test_dashboard_figures_are_small_even_for_a_thousand_trials() -> None:
    rows = [
        trial_row(
            n,
            values=[0.3 + n / 1e4],
            config={
                "optimizer": "sgd",
                "momentum": (n % 10) / 10,
                "learning_rate": 10.0 ** -(1 + n % 7 / 2),
                "dropout": "dropout",
                "dropout_rate": n / 2000,
            },
        )
        for n in range(1000)
    ]
    for chart in figures.dashboard_charts(frames_of(rows)):
        assert len(chart.figure.to_json()) < 50_000, chart.key


def test_dashboard_figures(store: Store) -> None:
    charts = figures.dashboard_charts(study_frames(store, "cifar-deep"))
    assert [chart.key for chart in charts] == DASHBOARD
    for chart in charts:
        assert len(chart.figure.to_json()) < 20_000


def test_the_mean_curve_does_not_rise_because_weak_trials_end() -> None:
    epochs = [epoch_row(0, e, 0.5) for e in (1, 2, 3)] + [epoch_row(1, 1, 0.1)]
    figure = learning_curves(frames_of([trial_row(0), trial_row(1)], epochs)).figure
    line = next(trace for trace in figure.data if trace.hoverinfo != "skip")
    assert list(line.y) == pytest.approx([0.3, 0.3, 0.3])


def test_learning_curves_can_be_split_by_every_setting_that_varied(store: Store) -> None:
    frames = study_frames(store, "cifar-deep")
    figure = learning_curves(frames, "dropout").figure
    buttons = {
        button.label: button.args[0]["visible"] for button in figure.layout.updatemenus[0].buttons
    }
    assert set(buttons) == set(frames.varied)
    assert [bool(trace.visible) for trace in figure.data] == list(buttons["dropout"])
    assert all(any(visible) for visible in buttons.values())
    assert figure.layout.legend.title.text == "dropout"
    titles = {b.label: b.args[1]["legend.title"] for b in figure.layout.updatemenus[0].buttons}
    assert titles["kernel_initializer"] == {"text": "kernel initializer", "side": "top"}


def test_text_from_outside_is_not_read_as_markup() -> None:
    made = frames_of([failed_row(0, error="<script>alert(1)</script>")])
    frames = replace(made, data="<script>alert(1)</script>.npz", is_fallback=False)
    for chart in figures.report_charts(frames):
        assert "<script" not in chart.figure.to_json()
