"""Which study agents serve: the rules one by one, and what follows from them for many agents."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sweep.service.choice import TURN_SECONDS, Candidate, neediest, successor

LOOK_SECONDS = 100.0


def study(
    name: str, weight: float = 1.0, priority: int = 0, used_seconds: float = 0.0
) -> Candidate:
    return Candidate(name, priority, weight, used_seconds)


def name_of(candidate: Candidate | None) -> str | None:
    return candidate and candidate.name


@pytest.mark.parametrize(
    ("candidates", "serving", "expected"),
    [
        ([], {}, None),
        ([study("a"), study("b")], {}, "a"),
        ([study("a"), study("b")], {"a": 1}, "b"),
        ([study("a", used_seconds=9.0), study("b")], {}, "b"),
        ([study("a"), study("b", used_seconds=9.0)], {"a": 1}, "b"),
        ([study("a", weight=3.0), study("b")], {"a": 2, "b": 1}, "a"),
        ([study("a", weight=3.0), study("b")], {"a": 4, "b": 1}, "b"),
        ([study("a", weight=3.0, used_seconds=20.0), study("b", used_seconds=8.0)], {}, "a"),
        ([study("a"), study("b", priority=1)], {"b": 50}, "b"),
    ],
    ids=[
        "none has work",
        "the oldest",
        "the one with fewer agents",
        "the one that has had less",
        "agents count before time",
        "agents by weight",
        "agents by weight, the other way",
        "time by weight",
        "priority before all",
    ],
)
def test_a_free_agent_serves(
    candidates: Sequence[Candidate], serving: Mapping[str, int], expected: str | None
) -> None:
    assert name_of(neediest(candidates, serving)) == expected


@pytest.mark.parametrize(
    ("current", "others", "serving", "served_seconds", "expected"),
    [
        (study("a"), [], {}, 1e9, None),
        (study("a"), [study("b", priority=-1)], {}, 1e9, None),
        (study("a"), [study("b", priority=1)], {"b": 50}, 0.0, "b"),
        (study("a"), [study("b")], {"a": 1}, 0.0, "b"),
        (study("a"), [study("b")], {"a": 1, "b": 1}, 0.0, None),
        (study("a"), [study("b")], {"b": 1}, 1e9, None),
        (study("a", used_seconds=9.0), [study("b")], {}, TURN_SECONDS - 1, None),
        (study("a", used_seconds=9.0), [study("b")], {}, TURN_SECONDS, "b"),
        (study("a"), [study("b", used_seconds=9.0)], {}, 1e9, None),
        (
            study("a"),
            [study("tiny", weight=0.001), study("big", weight=10.0)],
            {"a": 8, "big": 1},
            0.0,
            "big",
        ),
        (
            study("a", used_seconds=50.0),
            [study("sated", used_seconds=90.0), study("b", weight=2.0, used_seconds=20.0)],
            {"b": 1},
            TURN_SECONDS,
            "b",
        ),
    ],
    ids=[
        "there is no other",
        "the other is less important",
        "the other is more important",
        "the other has none",
        "both would only change places",
        "its last agent stays",
        "its turn is not over",
        "its turn is over",
        "the other has had more",
        "a tiny study does not stand in the way of a big one",
        "one that has had enough does not stand in the way of one that has not",
    ],
)
def test_an_agent_changes_to(
    current: Candidate,
    others: list[Candidate],
    serving: Mapping[str, int],
    served_seconds: float,
    expected: str | None,
) -> None:
    assert name_of(successor(current, [current, *others], serving, served_seconds)) == expected


@dataclass
class Shift:
    """Agents that decide one after the other, on studies that never run out of work."""

    studies: dict[str, Candidate]
    serving: list[str]
    served: list[float] = field(default_factory=list)
    changes: int = 0

    def __post_init__(self) -> None:
        self.served = [0.0] * len(self.serving)

    def decide(self, agent: int) -> bool:
        """Let an agent look around; whether it changes its study."""
        others = Counter(s for i, s in enumerate(self.serving) if i != agent)
        current = self.studies[self.serving[agent]]
        chosen = successor(current, [*self.studies.values()], others, self.served[agent])
        if chosen is None:
            return False
        assert chosen.name != current.name
        self.serving[agent], self.served[agent] = chosen.name, 0.0
        self.changes += 1
        return True

    def settle(self, random: Random) -> None:
        """Let all look around, in any order, until nobody changes any more."""
        agents = [*range(len(self.serving))]
        for _ in range(100):
            random.shuffle(agents)
            # No shortcut: each has to look.
            if not any([self.decide(agent) for agent in agents]):
                return
        pytest.fail(f"no end of changes: {self.serving}")

    def work(self, random: Random, seconds: float) -> None:
        """Let time pass, with a look around now and then."""
        agents = [*range(len(self.serving))]
        for _ in range(int(seconds / LOOK_SECONDS)):
            for agent, name in enumerate(self.serving):
                candidate = self.studies[name]
                used = candidate.used_seconds + LOOK_SECONDS
                self.studies[name] = replace(candidate, used_seconds=used)
                self.served[agent] += LOOK_SECONDS
            random.shuffle(agents)
            for agent in agents:
                self.decide(agent)


def named(candidates: Sequence[Candidate]) -> dict[str, Candidate]:
    return {candidate.name: candidate for candidate in candidates}


WEIGHTS = st.lists(st.integers(1, 8), min_size=1, max_size=6)
RANDOM = st.randoms(use_true_random=False)


@given(
    priorities=st.lists(st.integers(-3, 3), min_size=1, max_size=6),
    weights=st.lists(st.floats(0.001, 1000.0), min_size=6, max_size=6),
    used=st.lists(st.floats(0.0, 1e7), min_size=6, max_size=6),
    serving=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 50)),
    served_seconds=st.floats(0.0, 1e7),
)
def test_priority_always_wins(
    priorities: list[int],
    weights: list[float],
    used: list[float],
    serving: dict[str, int],
    served_seconds: float,
) -> None:
    candidates = [
        Candidate(*values) for values in zip("abcdef", priorities, weights, used, strict=False)
    ]
    top = max(priorities)
    chosen = neediest(candidates, serving)
    assert chosen is not None
    assert chosen.priority == top
    for current in candidates:
        other = successor(current, candidates, serving, served_seconds)
        if current.priority < top:
            assert other is not None
        if other is not None:
            assert other.priority == top
            assert other != current


@given(weights=WEIGHTS, per_weight=st.integers(1, 4), random=RANDOM)
def test_agents_are_shared_out_by_weight_wherever_they_begin(
    weights: list[int], per_weight: int, random: Random
) -> None:
    studies = named([study(f"s{i}", float(weight)) for i, weight in enumerate(weights)])
    agents = per_weight * sum(weights)
    shift = Shift(studies, random.choices([*studies], k=agents))
    shift.settle(random)
    counts = Counter(shift.serving)
    assert [counts[name] for name in studies] == [per_weight * weight for weight in weights]
    assert shift.changes <= agents, "nobody is sent to and fro"
    shift.served = [1e9] * agents
    assert not any([shift.decide(agent) for agent in range(agents)]), "they stay when time passes"


@given(
    weights=st.lists(st.floats(0.001, 1000.0), min_size=2, max_size=6),
    agents=st.integers(1, 30),
    random=RANDOM,
)
def test_without_an_exact_share_no_one_has_too_many_while_another_has_too_few(
    weights: list[float], agents: int, random: Random
) -> None:
    studies = named([study(f"s{i}", weight) for i, weight in enumerate(weights)])
    shift = Shift(studies, random.choices([*studies], k=agents))
    shift.settle(random)
    counts = Counter(shift.serving)
    off = [counts[s.name] - agents * s.weight / sum(weights) for s in studies.values()]
    assert max(off) < 1.0 + 1e-9 or min(off) > -1.0 - 1e-9


@given(weights=WEIGHTS, random=RANDOM)
def test_free_agents_alone_reach_the_shares(weights: list[int], random: Random) -> None:
    studies = [study(f"s{i}", float(weight)) for i, weight in enumerate(weights)]
    counts: Counter[str] = Counter()
    for _ in range(sum(weights)):
        chosen = neediest(studies, counts)
        assert chosen is not None
        counts[chosen.name] += 1
    shift = Shift(named(studies), [*counts.elements()])
    shift.settle(random)
    assert [Counter(shift.serving)[s.name] for s in studies] == weights


@settings(max_examples=25, deadline=None)
@given(
    weights=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    agents=st.integers(1, 3),
    random=RANDOM,
)
@example(weights=[4, 1, 4, 1], agents=3, random=Random(0))
def test_with_few_agents_time_is_shared_by_weight_and_no_study_starves(
    weights: list[int], agents: int, random: Random
) -> None:
    studies = named([study(f"s{i}", float(weight)) for i, weight in enumerate(weights)])
    shift = Shift(studies, random.choices([*studies], k=agents))
    hours = 24 * 3600.0
    shift.work(random, hours)
    turn = TURN_SECONDS + LOOK_SECONDS
    for weight, candidate in zip(weights, studies.values(), strict=True):
        share = agents * hours * weight / sum(weights)
        assert abs(candidate.used_seconds - share) <= 2 * turn * agents * len(weights)
    # Those that begin beside each other may part at once.
    assert shift.changes <= agents * (1 + hours / TURN_SECONDS), "a turn is not cut short"
