"""Whether the values of two studies may be compared, and what to bear in mind if so."""

from dataclasses import dataclass
from typing import Final

from sweep.report.frames import StudyFrames
from sweep.report.text import metric, plural
from sweep.spec import parse_study
from sweep.spec.model import StudySpec
from sweep.spec.tree import most_epochs

# Samplers whose choices follow what earlier trials reached.
ADAPTIVE: Final = ("tpe", "gp", "cmaes")


@dataclass(frozen=True, slots=True)
class Comparability:
    """What stands between the values of two studies.

    Attributes:
        obstacles: Reasons why the values say nothing about each other, as sentences.
        same_images: Whether both were validated on the same images, as far as is known.
        cautions: What may explain a difference besides the settings, as sentences.
    """

    obstacles: tuple[str, ...]
    same_images: bool
    cautions: tuple[str, ...]


def comparability(first: StudyFrames, other: StudyFrames) -> Comparability:
    """Judge whether two studies measured the same thing on the same data."""
    one, two = parse_study(first.spec), parse_study(other.spec)
    data, doubt = _data(first, other, one, two)
    obstacles = [*_metrics(first, other), *data]
    cautions = [*doubt, *_epochs(first, other, one, two), *_engines(first, other, one, two)]
    for frames in (first, other):
        cautions += _state(frames)
    return Comparability(tuple(obstacles), not data, tuple(cautions))


def follows_results(frames: StudyFrames) -> bool:
    """Whether the sampler chose some of a study's trials by what earlier ones had reached."""
    sampler = parse_study(frames.spec).sampler
    return sampler.name in ADAPTIVE and len(frames.valued) > sampler.startup_trials


def _metrics(first: StudyFrames, other: StudyFrames) -> list[str]:
    goals = [f"{metric(frames.metrics[0])} ({frames.directions[0]})" for frames in (first, other)]
    if goals[0] == goals[1]:
        return []
    return [f"{first.study} is judged by {goals[0]}, {other.study} by {goals[1]}."]


def _data(
    first: StudyFrames, other: StudyFrames, one: StudySpec, two: StudySpec
) -> tuple[list[str], list[str]]:
    """An obstacle if other images were validated on, a caution if fewer were trained on."""
    names = [
        f"{frames.data} data{' (fallback)' if frames.is_fallback else ''}"
        for frames in (first, other)
    ]
    if names[0] != names[1]:
        return [f"{first.study} was trained on {names[0]}, {other.study} on {names[1]}."], []
    if first.fingerprint == other.fingerprint or not (first.fingerprint and other.fingerprint):
        return [], []
    sizes = (one.data.train_images, two.data.train_images)
    if one.data.validation == two.data.validation and sizes[0] != sizes[1]:
        counts = ["all" if size is None else f"{size:,}" for size in sizes]
        return [], [
            f"{first.study} was trained on {counts[0]} images of the training split, "
            f"{other.study} on {counts[1]}."
        ]
    return [
        f"{first.study} and {other.study} were trained or validated on different images: the "
        "fingerprints of their data differ."
    ], []


def _epochs(first: StudyFrames, other: StudyFrames, one: StudySpec, two: StudySpec) -> list[str]:
    most = most_epochs(one), most_epochs(two)
    if most[0] == most[1]:
        return []
    return [
        f"Trials of {first.study} had up to {plural(most[0], 'epoch')}, those of {other.study} "
        f"up to {most[1]:,}."
    ]


def _engines(first: StudyFrames, other: StudyFrames, one: StudySpec, two: StudySpec) -> list[str]:
    """Engines round differently, and backends draw other first weights."""
    ways = [f"{spec.engine} on {spec.backend}" for spec in (one, two)]
    if ways[0] == ways[1]:
        return []
    return [f"{first.study} was trained by {ways[0]}, {other.study} by {ways[1]}."]


def _state(frames: StudyFrames) -> list[str]:
    said = []
    counts = frames.counts()
    still_open = counts["running"] + counts["waiting"]
    if still_open:
        said.append(f"{frames.study} is not finished: {plural(still_open, 'trial')} to come.")
    if len(frames.directions) > 1:
        said.append(f"{frames.study} has several objectives: only the first one is compared.")
    return said
