"""All that is said of several studies, the first of which the others are compared with."""

from collections.abc import Sequence
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
class StudyComparison:
    """Several studies beside each other.

    Attributes:
        studies: The studies, in the order given.
        summary: See `studies_summary`.
        differences: See `spec_differences`.
        contrasts: See `study_contrasts`.
        paces: How fast each other study became as good as the first one, or the first as it, as
            sentences, where both were validated on the same images.
        cautions: What may explain a difference besides the settings, as sentences.
        effects: By place of every other study that pursues the first one's objective, its
            `effects_by_study` against the first.
    """

    studies: tuple[StudyFrames, ...]
    summary: pd.DataFrame
    differences: pd.DataFrame
    contrasts: pd.DataFrame
    paces: tuple[str, ...]
    cautions: tuple[str, ...]
    effects: dict[int, pd.DataFrame]


def compare_studies(studies: Sequence[StudyFrames]) -> StudyComparison:
    """Compare studies; see the fields of `StudyComparison`."""
    first = studies[0]
    found = [comparability(first, other) for other in studies[1:]]
    paces = [
        pace_sentence(first, other)
        for other, known in zip(studies[1:], found, strict=True)
        if known.same_images
    ]
    cautions = dict.fromkeys(said for known in found for said in known.cautions)
    return StudyComparison(
        studies=tuple(studies),
        summary=studies_summary(studies),
        differences=spec_differences(studies),
        contrasts=study_contrasts(studies),
        paces=tuple(said for said in paces if said is not None),
        cautions=tuple(cautions),
        effects={
            place: effects_by_study(first, other)
            for place, other in enumerate(studies[1:], start=1)
            if (other.metrics[0], other.directions[0]) == (first.metrics[0], first.directions[0])
        },
    )
