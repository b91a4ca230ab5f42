"""Which values each field may take once the fields before it are chosen.

Conditions and rules tell apart only the values that they name. So each field is cut into *atoms*:
one for every named value, `OTHER` for all the rest and `INACTIVE` where the field has no effect.
Over atoms every space is finite, and whether a choice can be completed to a whole configuration
is decided exactly, by depth-first search over the fields with the partial choices remembered.
A partial choice is identified by what later fields still see of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal

from sweep.errors import SpecError
from sweep.spec.model import ChoicesSpec, Conditions, Dimension, RuleSpec
from sweep.trial import FIELDS, Value

MAX_STATES: Final = 50_000


class Mark(Enum):
    """Atoms that are not a single value."""

    OTHER = "any value that no condition names"
    INACTIVE = "the field has no effect"


Atom = Value | Mark
Source = Literal["searched", "fixed", "rule", "default"]
Prefix = Mapping[str, Atom]
Test = Callable[[Value], bool]
Key = tuple[int, tuple[Atom, ...], tuple[bool | None, ...]]


@dataclass(frozen=True, slots=True)
class Domain:
    """What one field may be before conditions and rules are looked at.

    Attributes:
        name: The field.
        source: Where its value comes from: `rule` for a field that is neither fixed nor searched
            but set by rules.
        named: Its values that some condition or rule names; for the sources `fixed`, `rule` and
            `default` all of its values, the preferred one first.
        samples: Examples of its other values: all of them for choices, the ends of a range.
        others: How many other values there are, or None for infinitely many.
        dimension: What the study file searches, for the source `searched`.
    """

    name: str
    source: Source
    named: tuple[Value, ...]
    samples: tuple[Value, ...] = ()
    others: int | None = 0
    dimension: Dimension | None = None

    @property
    def atoms(self) -> tuple[Atom, ...]:
        """The named values, then `OTHER` if there are others."""
        return self.named if self.others == 0 else (*self.named, Mark.OTHER)

    def values(self, atoms: Sequence[Atom]) -> tuple[Value, ...]:
        """The values that some of this domain's atoms stand for, in the study file's order.

        For a range `OTHER` stands for its examples only.
        """
        kept = [atom for atom in atoms if not isinstance(atom, Mark)]
        if Mark.OTHER in atoms:
            kept.extend(self.samples)
        if isinstance(self.dimension, ChoicesSpec) and len(kept) > 1:
            kept.sort(key=self.dimension.choices.index)
        return tuple(kept)


def meets(prefix: Prefix, conditions: Mapping[str, tuple[Value, ...]]) -> bool:
    """Whether every condition holds for the fields chosen so far."""
    return all(
        not isinstance(atom := prefix[name], Mark) and atom in values
        for name, values in conditions.items()
    )


def is_active(prefix: Prefix, name: str) -> bool:
    """Whether the field has an effect, the fields that it depends on being chosen."""
    info = FIELDS[name]
    return meets(prefix, info.when) and not any(
        meets(prefix, {key: values}) for key, values in info.unless.items()
    )


def holds(prefix: Prefix, rule: RuleSpec) -> bool:
    """Whether a choice of all the fields that a rule names satisfies it."""
    return not meets(prefix, rule.when) or _allows(prefix, rule.then)


def _allows(prefix: Prefix, then: Conditions) -> bool:
    return all(
        prefix[name] is Mark.INACTIVE or prefix[name] in values for name, values in then.items()
    )


def _among(conditions: Conditions, known: Sequence[str]) -> Conditions:
    return {name: values for name, values in conditions.items() if name in known}


@dataclass(slots=True)
class Branches:
    """All configurations of a study as a tree: one field is chosen at each level.

    Attributes:
        domains: Every field's domain, in the order in which the fields are chosen: a field comes
            after those that decide whether it is searched or has an effect.
        rules: The rules.
        conditions: By field, when a searched field is searched; elsewhere it has its default.
    """

    domains: tuple[Domain, ...]
    rules: tuple[RuleSpec, ...]
    conditions: Mapping[str, Conditions]
    _closing: list[list[RuleSpec]] = field(init=False)
    _live: list[tuple[str, ...]] = field(init=False, default_factory=list)
    _open: list[tuple[tuple[Conditions, Conditions], ...]] = field(
        init=False, default_factory=list
    )
    _allowed: dict[Key, tuple[Atom, ...]] = field(init=False, default_factory=dict)
    _counts: dict[Key, int | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Find where each rule is decided and what each level must remember."""
        level = {domain.name: index for index, domain in enumerate(self.domains)}
        spans = [
            (rule, sorted(level[name] for name in {*rule.when, *rule.then})) for rule in self.rules
        ]
        self._closing = [
            [rule for rule, levels in spans if levels[-1] == index] for index in level.values()
        ]
        last_use = dict.fromkeys(level, -1)
        for domain in self.domains:
            info = FIELDS[domain.name]
            for name in {*info.when, *info.unless, *self.conditions.get(domain.name, {})}:
                last_use[name] = max(last_use[name], level[domain.name])
        for index in range(len(self.domains) + 1):
            known = [domain.name for domain in self.domains[:index]]
            self._live.append(tuple(name for name in known if last_use[name] >= index))
            self._open.append(
                tuple(
                    (_among(rule.when, known), _among(rule.then, known))
                    for rule, levels in spans
                    if levels[0] < index <= levels[-1]
                )
            )

    def allowed(self, index: int, prefix: Prefix) -> tuple[Atom, ...]:
        """The atoms that field number `index` may take, so that the rest can be completed.

        Args:
            index: Level in the tree.
            prefix: Atoms of all fields before it.

        Raises:
            SpecError: The rules tie too many fields together to be decided.
        """
        key = self._key(index, prefix)
        if key not in self._allowed:
            if len(self._allowed) >= MAX_STATES:
                raise SpecError(
                    "conditions and rules tie too many fields together",
                    where="rules",
                    expected=f"at most {MAX_STATES} different branches",
                    next_step="remove rules or conditions, or split the study in two",
                )
            name = self.domains[index].name
            self._allowed[key] = tuple(
                atom
                for atom in self._candidates(index, prefix)
                if self._completes(index, {**prefix, name: atom})
            )
        return self._allowed[key]

    def choices(self, index: int, prefix: Prefix) -> tuple[Atom, ...]:
        """As `allowed`, but of a field that rules set only the atom that is preferred."""
        atoms = self.allowed(index, prefix)
        return atoms[:1] if self.domains[index].source == "rule" else atoms

    def is_searched(self, index: int, prefix: Prefix) -> bool:
        """Whether the field is searched in this branch: it has an effect and its `when` holds."""
        name = self.domains[index].name
        return (
            self.domains[index].source == "searched"
            and is_active(prefix, name)
            and meets(prefix, self.conditions.get(name, {}))
        )

    def possible(self, **tests: Test) -> bool:
        """Whether some configuration has an effective value that passes, for every field named."""
        return self._possible(0, {}, tests, {})

    def reachable(self) -> Iterator[tuple[int, Prefix, tuple[Atom, ...]]]:
        """Every level with each different situation there and the choices it leaves."""
        situations: dict[Key, Prefix] = {self._key(0, {}): {}}
        for index, domain in enumerate(self.domains):
            following: dict[Key, Prefix] = {}
            for prefix in situations.values():
                atoms = self.choices(index, prefix)
                yield index, prefix, atoms
                for atom in atoms:
                    longer = {**prefix, domain.name: atom}
                    following.setdefault(self._key(index + 1, longer), longer)
            situations = following

    def combinations(self) -> int | None:
        """The number of different configurations, or None for infinitely many."""
        return self._count(0, {})

    def _key(self, index: int, prefix: Prefix) -> Key:
        """What the fields from `index` on see of those before.

        That is the values that their conditions name, and of each rule that is not yet decided
        whether it may still apply and whether what it asks for is already broken.
        """
        rules = tuple(
            None if not meets(prefix, when) else _allows(prefix, then)
            for when, then in self._open[index]
        )
        return index, tuple(map(prefix.__getitem__, self._live[index])), rules

    def _candidates(self, index: int, prefix: Prefix) -> tuple[Atom, ...]:
        domain = self.domains[index]
        if not is_active(prefix, domain.name):
            return (Mark.INACTIVE,)
        if domain.source == "searched" and not self.is_searched(index, prefix):
            return (FIELDS[domain.name].default,)
        return domain.atoms

    def _completes(self, index: int, prefix: Prefix) -> bool:
        if not all(holds(prefix, rule) for rule in self._closing[index]):
            return False
        return index + 1 == len(self.domains) or bool(self.allowed(index + 1, prefix))

    def _possible(
        self,
        index: int,
        prefix: Prefix,
        tests: Mapping[str, Test],
        known: dict[Key, bool],
    ) -> bool:
        if index == len(self.domains):
            return True
        key = self._key(index, prefix)
        if key not in known:
            domain = self.domains[index]
            test = tests.get(domain.name)
            known[key] = any(
                self._possible(index + 1, {**prefix, domain.name: atom}, tests, known)
                for atom in self.choices(index, prefix)
                if test is None or any(map(test, domain.values((atom,))))
            )
        return known[key]

    def _count(self, index: int, prefix: Prefix) -> int | None:
        if index == len(self.domains):
            return 1
        key = self._key(index, prefix)
        if key not in self._counts:
            domain = self.domains[index]
            total: int | None = 0
            for atom in self.choices(index, prefix):
                below = self._count(index + 1, {**prefix, domain.name: atom})
                weight = domain.others if atom is Mark.OTHER else 1
                if total is None or below is None or weight is None:
                    total = None
                else:
                    total += below * weight
            self._counts[key] = total
        return self._counts[key]
