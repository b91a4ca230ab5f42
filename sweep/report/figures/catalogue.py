"""Which figures stand on the report and on the dashboard's study page."""

from sweep.report.analysis.effects import effects
from sweep.report.figures.batch_norm import batch_norm
from sweep.report.figures.curves import learning_curves
from sweep.report.figures.dropout import dropout
from sweep.report.figures.effects import effects_chart
from sweep.report.figures.gantt import gantt
from sweep.report.figures.heatmap import activation_by_initializer
from sweep.report.figures.history import history
from sweep.report.figures.importances import importance_chart
from sweep.report.figures.layers import layer_statistics
from sweep.report.figures.momentum import momentum
from sweep.report.figures.parallel import parallel_coordinates
from sweep.report.figures.pareto import accuracy_cost, pareto
from sweep.report.figures.rank import rank
from sweep.report.figures.style import Chart
from sweep.report.frames import StudyFrames


def dashboard_charts(frames: StudyFrames) -> tuple[Chart, ...]:
    """The few small figures that Optuna's study page shows beside its own."""
    return (
        activation_by_initializer(frames),
        momentum(frames),
        dropout(frames),
        batch_norm(frames),
    )


def report_charts(frames: StudyFrames) -> tuple[Chart, ...]:
    """All figures of the report, the most general first."""
    settings = list(dict.fromkeys(effects(frames)["setting"]))
    first = settings[0] if settings else None
    return (
        history(frames),
        *((pareto(frames),) if len(frames.directions) > 1 else ()),
        rank(frames, settings),
        learning_curves(frames, first),
        effects_chart(frames),
        importance_chart(frames),
        *dashboard_charts(frames),
        layer_statistics(frames, first),
        accuracy_cost(frames),
        gantt(frames),
        parallel_coordinates(frames),
    )
