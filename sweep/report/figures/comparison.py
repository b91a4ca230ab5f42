"""Which figures stand where several studies are compared."""

from sweep.report.analysis.studies.comparison import StudiesOverview, StudiesVerdicts
from sweep.report.analysis.studies.groups import comparable_groups, groups_of_images
from sweep.report.figures.agreement import agreement
from sweep.report.figures.distribution import distribution
from sweep.report.figures.forest import differences_chart, studies_chart
from sweep.report.figures.incumbents import best_so_far
from sweep.report.figures.quality import quality
from sweep.report.figures.style import Chart


def overview_charts(found: StudiesOverview) -> tuple[Chart, ...]:
    """What each study reached and when; values that say nothing about each other apart."""
    studies = found.studies
    return (
        *(quality(studies, places) for places in groups_of_images(studies)),
        *(
            chart
            for places in comparable_groups(studies)
            for chart in (
                studies_chart(studies, places, found.summary),
                best_so_far(studies, places),
                distribution(studies, places),
            )
        ),
    )


def verdict_charts(found: StudiesVerdicts) -> tuple[Chart, ...]:
    """How studies differ from the first one, and whether settings do the same in both."""
    studies = found.studies
    return (
        differences_chart(studies, found.contrasts),
        *(agreement(studies, (0, place), effects) for place, effects in found.effects.items()),
    )
