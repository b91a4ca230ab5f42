"""StudySpec -> `Branches`, and the contradictions that show on the way."""

from collections import defaultdict
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from sweep.errors import SpecError
from sweep.spec.branches import Branches, Domain, Test
from sweep.spec.document import Path, dotted
from sweep.spec.fields import Where, conditions_text, grid_size, in_range
from sweep.spec.model import (
    ChoicesSpec,
    Conditions,
    Dimension,
    RangeSpec,
    RuleSpec,
    StudySpec,
)
from sweep.trial import FIELDS, FieldInfo, Value

Named = Mapping[str, tuple[Value, ...]]


def study_branches(spec: StudySpec, where: Where = dotted) -> Branches:
    """The tree of a study's configurations.

    Raises:
        SpecError: Conditions form a circle.
    """
    conditions = {name: dimension.when for name, dimension in spec.search.items()}
    named = _named(spec)
    settable = _values([rule.then for rule in spec.rules])
    fixed = fixed_values(spec)
    domains = {
        name: _domain(info, spec.search.get(name), fixed.get(name), named, settable)
        for name, info in FIELDS.items()
    }
    return Branches(
        domains=tuple(domains[name] for name in _order(domains, conditions, where)),
        rules=spec.rules,
        conditions=conditions,
    )


def fixed_values(spec: StudySpec) -> dict[str, Value]:
    """The fixed settings with `budget.epochs`, which overrides `fixed.epochs`."""
    epochs = spec.budget.epochs
    return dict(spec.fixed) if epochs is None else {**spec.fixed, "epochs": epochs}


def most_epochs(spec: StudySpec) -> int:
    """The most epochs that any trial of a study may train."""
    searched = spec.search.get("epochs")
    if isinstance(searched, RangeSpec):
        return int(searched.high)
    if isinstance(searched, ChoicesSpec):
        return max(int(value) for value in searched.choices)
    return int(fixed_values(spec).get("epochs", FIELDS["epochs"].default))


def check_branches(spec: StudySpec, where: Where = dotted) -> Branches:
    """The tree of a study, once it is known to make sense.

    Raises:
        SpecError: A condition can hold in no study, rules contradict each other, or nothing is
            left to choose.
    """
    branches = study_branches(spec, where)
    free = _free_branches(spec, spec.rules)
    for name, dimension in spec.search.items():
        _check_condition(free, dimension.when, ("search", name, "when"), where)
    for index, rule in enumerate(spec.rules):
        rest = free
        if forbids(rule):
            rest = _free_branches(spec, (*spec.rules[:index], *spec.rules[index + 1 :]))
        _check_condition(rest, rule.when, ("rules", index, "when"), where)
    if not branches.possible():
        needed = _needed_rules(spec)
        raise SpecError(
            "no configuration satisfies every rule",
            where=where(("rules", needed[0])),
            expected="at least one configuration that the rules, fixed and search allow together",
            received="a contradiction in " + ", ".join(f"rules.{index}" for index in needed),
            next_step="add a choice under search, change fixed, or remove one of these rules",
        )
    return branches


def forbids(rule: RuleSpec) -> bool:
    """Whether a rule says that its own condition must never hold."""
    return any(
        name in rule.then and not set(rule.then[name]) & set(values)
        for name, values in rule.when.items()
    )


def tests(conditions: Named) -> dict[str, Test]:
    """Conditions as the tests that `Branches.possible` takes."""
    return {name: values.__contains__ for name, values in conditions.items()}


def _domain(
    info: FieldInfo,
    dimension: Dimension | None,
    fixed: Value | None,
    named: Named,
    settable: Named,
) -> Domain:
    if dimension is None:
        if fixed is not None:
            return Domain(info.name, "fixed", (fixed,))
        values = tuple(dict.fromkeys((info.default, *settable.get(info.name, ()))))
        return Domain(info.name, "rule" if len(values) > 1 else "default", values)
    mentioned = named.get(info.name, ())
    if isinstance(dimension, ChoicesSpec):
        rest = tuple(value for value in dimension.choices if value not in mentioned)
        inside = tuple(value for value in dimension.choices if value in mentioned)
        return Domain(info.name, "searched", inside, rest, len(rest), dimension)
    whole = info.type is int
    inside = tuple(value for value in mentioned if in_range(dimension, value, whole=whole))
    size = grid_size(dimension, whole=whole)
    others = None if size is None else size - len(inside)
    ends = tuple(value for value in (dimension.low, dimension.high) if value not in inside)
    return Domain(info.name, "searched", inside, ends, others, dimension)


def _check_condition(free: Branches, conditions: Conditions, path: Path, where: Where) -> None:
    if not free.possible(**tests(conditions)):
        raise SpecError(
            f"{dotted(path)} can never hold",
            where=where(path),
            expected="values that occur together and that the rules leave possible",
            received=conditions_text(conditions),
            next_step="mend the condition, or the rules that contradict each other about it",
        )


def _free_branches(spec: StudySpec, rules: tuple[RuleSpec, ...]) -> Branches:
    """The tree of a study that searches every field over all it may ever be."""
    named = _named(spec)
    domains = []
    for name in _order({}, {}, dotted):
        info, mentioned = FIELDS[name], named.get(name, ())
        known = info.choices or ((False, True) if info.type is bool else None)
        others = None if known is None else len(set(known) - set(mentioned))
        domains.append(Domain(name, "searched", mentioned, (), others))
    return Branches(domains=tuple(domains), rules=rules, conditions={})


def _named(spec: StudySpec) -> Named:
    """Every value that some condition or rule tells apart from others, by field."""
    groups: list[Mapping[str, tuple[Value, ...]]] = []
    for info in FIELDS.values():
        groups += [info.when, info.unless]
    groups += [dimension.when for dimension in spec.search.values()]
    for rule in spec.rules:
        groups += [rule.when, rule.then]
    return _values(groups)


def _values(groups: list[Mapping[str, tuple[Value, ...]]]) -> Named:
    found: defaultdict[str, dict[Value, None]] = defaultdict(dict)
    for group in groups:
        for name, values in group.items():
            found[name].update(dict.fromkeys(values))
    return {name: tuple(values) for name, values in found.items()}


def _order(
    domains: Mapping[str, Domain], conditions: Mapping[str, Conditions], where: Where
) -> list[str]:
    """The fields, each after those it depends on; those that rules set as late as possible."""
    graph = {
        name: {*info.when, *info.unless, *conditions.get(name, {})}
        for name, info in FIELDS.items()
    }
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        name = next(name for name in circle if conditions.get(name))
        raise SpecError(
            "conditions form a circle",
            where=where(("search", name, "when")),
            expected="fields of which one can be chosen first",
            received=" depends on ".join(reversed(circle)),
        ) from None
    position = {name: index for index, name in enumerate(FIELDS)}
    ready: set[str] = set()
    order: list[str] = []
    while sorter.is_active():
        ready.update(sorter.get_ready())
        name = min(
            ready,
            key=lambda n: (n in domains and domains[n].source == "rule", position[n]),
        )
        ready.remove(name)
        order.append(name)
        sorter.done(name)
    return order


def _needed_rules(spec: StudySpec) -> list[int]:
    """Indices of rules that cannot all be kept; without any one of them they could."""
    kept: dict[int, RuleSpec] = dict(enumerate(spec.rules))
    for index in list(kept):
        fewer = {key: rule for key, rule in kept.items() if key != index}
        trial = spec.model_copy(update={"rules": tuple(fewer.values())})
        if not study_branches(trial).possible():
            kept = fewer
    return list(kept)
