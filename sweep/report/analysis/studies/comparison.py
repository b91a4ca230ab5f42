"""All that is said of several studies, the first of which the others are compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from sweep.report.analysis.studies.agreement import effects_by_study
from sweep.report.analysis.studies.comparable import comparability
from sweep.report.analysis.studies.contrasts import study_contrasts
from sweep.report.analysis.studies.progress import pace_sentence
from sweep.report.analysis.studies.settings import spec_differences
from sweep.report.analysis.studies.summary import studies_summary
from sweep.report.frames import StudyFrames


@dataclass(frozen=True, slots=True)
class StudiesOverview:
    """What several studies reached, at what cost, and how they were set up.

    Attributes:
        studies: The studies, in the order given.
        summary: See `studies_summary`.
        differences: See `spec_differences`.
        paces: How fast each other study became as good as the first one, or the first as it, as
            sentences, where both were validated on the same images.
        cautions: What may explain a difference besides the settings, as sentences.
    """

    studies: tuple[StudyFrames, ...]
    summary: pd.DataFrame
    differences: pd.DataFrame
    paces: tuple[str, ...]
    cautions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StudiesVerdicts:
    """Whether the differences between studies are real.

    Attributes:
        studies: The studies, in the order given.
        contrasts: See `study_contrasts`.
        effects: By place of every other study that pursues the first one's objective, its
            `effects_by_study` against the first.
    """

    studies: tuple[StudyFrames, ...]
    contrasts: pd.DataFrame
    effects: Mapping[int, pd.DataFrame]


def overview(studies: Sequence[StudyFrames]) -> StudiesOverview:
    """What several studies are; quick, whatever their size."""
    first = studies[0]
    found = [comparability(first, other) for other in studies[1:]]
    paces = [
        pace_sentence(first, other)
        for other, known in zip(studies[1:], found, strict=True)
        if known.same_images
    ]
    cautions = dict.fromkeys(said for known in found for said in known.cautions)
    return StudiesOverview(
        studies=tuple(studies),
        summary=studies_summary(studies),
        differences=spec_differences(studies),
        paces=tuple(said for said in paces if said is not None),
        cautions=tuple(cautions),
    )


def verdicts(studies: Sequence[StudyFrames]) -> StudiesVerdicts:
    """Compare the others with the first; takes seconds for thousands of trials."""
    first = studies[0]
    return StudiesVerdicts(
        studies=tuple(studies),
        contrasts=study_contrasts(studies),
        effects={
            place: effects_by_study(first, other)
            for place, other in enumerate(studies[1:], start=1)
            if (other.metrics[0], other.directions[0]) == (first.metrics[0], first.directions[0])
        },
    )
