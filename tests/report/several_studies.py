"""Studies of a few trials that are made for comparing: a spec that parses, settings, values."""

from collections.abc import Mapping, Sequence
from typing import Any

from report_studies import epoch_row, frames_of, trial_row

from sweep.report.frames import StudyFrames
from sweep.spec import dump_study, parse_study

SPEC = """\
study: {name}
fixed: {{epochs: 12}}
search:
  activation: [relu, elu, selu, swish]
  optimizer: [sgd, adam]
sampler: {{name: random}}
budget: {{trials: 40}}
"""


def spec_of(name: str, *overrides: str) -> str:
    """A study file, resolved, with `--set` overrides."""
    return dump_study(parse_study(SPEC.format(name=name), overrides=overrides))


def study(
    name: str,
    trials: Sequence[tuple[Mapping[str, Any], float]] = (),
    *overrides: str,
    **about: Any,
) -> StudyFrames:
    """A study whose complete trials had these settings and reached these values."""
    rows = [
        trial_row(number, values=[value], config=dict(config))
        for number, (config, value) in enumerate(trials)
    ]
    epochs = [epoch_row(number, 1, value) for number, (_, value) in enumerate(trials)]
    return frames_of(rows, epochs, name=name, spec=spec_of(name, *overrides), **about)
