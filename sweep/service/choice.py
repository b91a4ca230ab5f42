"""Which study an agent serves: the rules, apart from the database and from the clock.

Every agent serves one study with one device. Of the studies that have work, those of the highest
priority are served; among them, agents are shared out in proportion to the weights. Where there
are fewer agents than studies, they take turns: workers' time is shared out in that proportion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

TURN_SECONDS: Final = 300.0
"""How long an agent stays with a study, at least, before another one of its priority has a turn.

Leaving one costs the start of a worker, ten seconds or more."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A study that has trials to train.

    Attributes:
        name: Its name.
        priority: The highest is served first.
        weight: Its share, above 0.
        used_seconds: Workers' time that it has had lately.
    """

    name: str
    priority: int
    weight: float
    used_seconds: float


def neediest(candidates: Sequence[Candidate], serving: Mapping[str, int]) -> Candidate | None:
    """The study that a free agent should serve.

    Args:
        candidates: Studies that have work, oldest first.
        serving: How many other agents serve each, by name.

    Returns:
        Of those of the highest priority the one that has the fewest agents for its weight, then
        the least time for its weight, then the oldest; None if there is none.
    """
    top = max((candidate.priority for candidate in candidates), default=None)

    def need(candidate: Candidate) -> tuple[float, float]:
        return (
            serving.get(candidate.name, 0) / candidate.weight,
            candidate.used_seconds / candidate.weight,
        )

    return min((c for c in candidates if c.priority == top), key=need, default=None)


def successor(
    current: Candidate,
    candidates: Sequence[Candidate],
    serving: Mapping[str, int],
    served_seconds: float,
) -> Candidate | None:
    """The study to which an agent should change from the one that it serves.

    Args:
        current: The study that it serves.
        candidates: Studies that have work, oldest first.
        serving: How many other agents serve each, by name.
        served_seconds: How long the agent has served `current` without a break.

    Returns:
        Another study, or None if the agent should stay.
    """
    others = [c for c in candidates if c.name != current.name and c.priority >= current.priority]
    other = neediest(others, serving)
    if other is None or other.priority > current.priority:
        return other

    def agents(candidate: Candidate, more: int) -> float:
        return (serving.get(candidate.name, 0) + more) / candidate.weight

    # By the share it would have with one more: what is neediest now may be too small for that.
    emptiest = min(others, key=lambda candidate: agents(candidate, 1))
    if agents(current, 0) >= agents(emptiest, 1):
        return emptiest
    if served_seconds < TURN_SECONDS:
        return None

    def used(candidate: Candidate) -> float:
        return candidate.used_seconds / candidate.weight

    def has_room(candidate: Candidate) -> bool:
        """Whether an agent that goes there may stay: no other would rather have it."""
        rivals = (c for c in (*others, current) if c.name != candidate.name)
        return agents(candidate, 0) < min(agents(rival, 1) for rival in rivals)

    behind = [c for c in others if used(c) < used(current) and has_room(c)]
    # Not by agents: two small studies would hand one to each other, and large ones get none more.
    return min(behind, key=used, default=None)
