"""The resolved search space as rows for `sweep check`."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from sweep.spec.branches import Branches, Domain, Source
from sweep.spec.document import shown
from sweep.spec.fields import conditions_text
from sweep.spec.model import RangeSpec
from sweep.trial import FIELDS


class SpaceRow(TypedDict):
    """One field of `TrialConfig` in a study.

    Attributes:
        name: The field.
        source: `searched`, `fixed`, `rule` if rules set it, or `default`.
        values: What it may be, for people.
        when: When it is searched or has an effect; empty for always.
        parameters: Names of the Optuna parameters that it may be sampled as; several if rules
            leave different choices in different branches, none if there is no choice.
        description: What the field means.
    """

    name: str
    source: Source
    values: str
    when: str
    parameters: list[str]
    description: str


def describe(branches: Branches, parameters: Mapping[str, Sequence[str]]) -> list[SpaceRow]:
    """The rows.

    Args:
        branches: The tree of the study.
        parameters: Names of Optuna's parameters by field.
    """
    return [
        SpaceRow(
            name=domain.name,
            source=domain.source,
            values=_values(domain),
            when=_when(branches, domain),
            parameters=list(parameters.get(domain.name, ())),
            description=FIELDS[domain.name].description,
        )
        for domain in branches.domains
    ]


def _values(domain: Domain) -> str:
    dimension = domain.dimension
    if not isinstance(dimension, RangeSpec):
        return ", ".join(shown(v, quoted=False) for v in domain.values(domain.atoms))
    text = f"{dimension.low:g} to {dimension.high:g}"
    if dimension.step is not None:
        text += f", step {dimension.step:g}"
    return text + (", log" if dimension.log else "")


def _when(branches: Branches, domain: Domain) -> str:
    info = FIELDS[domain.name]
    asked = branches.conditions.get(domain.name, {})
    needed = {name: values for name, values in info.when.items() if name not in asked}
    parts = [conditions_text({**needed, **asked}), conditions_text(info.unless)]
    return " unless ".join(part for part in parts if part)
