"""Which figures stand where several studies are compared."""

from sweep.report.analysis.studies.comparison import StudyComparison
from sweep.report.analysis.studies.goals import goals
from sweep.report.figures.agreement import agreement
from sweep.report.figures.distribution import distribution
from sweep.report.figures.forest import differences_chart, studies_chart
from sweep.report.figures.incumbents import best_so_far
from sweep.report.figures.quality import quality
from sweep.report.figures.style import Chart


def comparison_charts(found: StudyComparison) -> tuple[Chart, ...]:
    """All figures of a comparison, the most general first; those of values once per objective."""
    studies = found.studies
    by_goal = [
        chart
        for goal in goals(studies)
        for chart in (
            studies_chart(studies, found.summary, goal),
            best_so_far(studies, goal),
            distribution(studies, goal),
        )
    ]
    return (
        quality(studies),
        *by_goal,
        differences_chart(studies, found.contrasts),
        *(agreement(studies, (0, place), effects) for place, effects in found.effects.items()),
    )
