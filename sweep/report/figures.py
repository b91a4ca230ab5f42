"""Which figures stand on the report and on the dashboard's study page."""

import optuna

from sweep.report.curves import learning_curves
from sweep.report.effects import effects
from sweep.report.frames import StudyFrames
from sweep.report.heatmap import activation_by_initializer
from sweep.report.history import history, pareto
from sweep.report.layers import batch_norm, dropout
from sweep.report.momentum import momentum
from sweep.report.overview import effects_chart, importance_chart, importances
from sweep.report.parallel import parallel_coordinates
from sweep.report.style import Chart


def dashboard_charts(frames: StudyFrames) -> tuple[Chart, ...]:
    """The few small figures that Optuna's study page shows beside its own."""
    return (
        activation_by_initializer(frames),
        momentum(frames),
        dropout(frames),
        batch_norm(frames),
    )


def report_charts(frames: StudyFrames, study: optuna.Study) -> tuple[Chart, ...]:
    """All figures of the report, the most general first."""
    strongest = effects(frames)["setting"]
    first = None if strongest.empty else str(strongest.iloc[0])
    return (
        history(frames),
        *((pareto(frames),) if len(frames.directions) > 1 else ()),
        learning_curves(frames, first),
        effects_chart(frames),
        importance_chart(frames, importances(study)),
        *dashboard_charts(frames),
        parallel_coordinates(frames),
    )
