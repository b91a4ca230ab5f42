"""Warnings of what a study file asks for and a person may not have meant."""

from typing import TYPE_CHECKING

from sweep.cli.output import warn

if TYPE_CHECKING:
    from sweep.spec.model import StudySpec


def warn_of(spec: "StudySpec") -> None:
    """Print what `sweep.spec.advice` has to say."""
    from sweep.spec.advice import warnings

    for text in warnings(spec):
        warn(text)
