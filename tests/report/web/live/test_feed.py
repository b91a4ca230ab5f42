"""A visitor who merges what he is sent has what there is."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sweep.report.web.live import feed
from sweep.report.web.live.feed import Feed

NAMES = st.sampled_from("abc")
STATES = st.tuples(
    st.dictionaries(NAMES, st.integers(0, 2)),
    st.dictionaries(NAMES, st.lists(st.integers(0, 2), max_size=4)),
)


class Visitor:
    """Does what the page's script does."""

    def __init__(self) -> None:
        self.token = ""
        self.values: dict[str, Any] = {}
        self.lists: dict[str, list[Any]] = {}

    def take(self, news: dict[str, Any]) -> None:
        if news["all"]:
            self.values, self.lists = {}, {}
        for name in news["gone"]:
            self.values.pop(name, None)
            self.lists.pop(name, None)
        self.values |= news["values"]
        for name, (place, items) in news["lists"].items():
            self.lists[name] = self.lists.get(name, [])[:place] + items
        self.token = news["token"]


@given(st.lists(st.tuples(STATES, st.booleans(), st.booleans()), max_size=12), st.integers(0, 3))
def test_visitors_have_what_there_is(
    steps: list[tuple[tuple[dict[str, int], dict[str, list[int]]], bool, bool]], most_gone: int
) -> None:
    feed.MOST_GONE, before = most_gone, feed.MOST_GONE
    try:
        served, visitors = Feed(), [Visitor(), Visitor()]
        for (values, lists), *come in steps:
            named = {f"list {name}": items for name, items in lists.items()}
            served.update(values, named)
            for visitor, comes in zip(visitors, come, strict=True):
                if comes:
                    visitor.take(served.since(visitor.token))
                    assert (visitor.values, visitor.lists) == (values, named)
    finally:
        feed.MOST_GONE = before


def test_only_what_changed_is_sent() -> None:
    served, visitor = Feed(), Visitor()
    served.update({"a": 1, "b": 2}, {"c": [1, 2, 3], "d": []})
    visitor.take(served.since(""))
    served.update({"a": 1, "b": 3}, {"c": [1, 2, 3, 4]})
    news = served.since(visitor.token)
    assert news["values"] == {"b": 3}
    assert news["lists"] == {"c": [3, [4]]}
    assert news["gone"] == ["d"]
    assert not news["all"]
    visitor.take(news)
    served.update({"a": 1, "b": 3}, {"c": [1, 2, 3, 4]})
    news = served.since(visitor.token)
    assert (news["values"], news["lists"], news["gone"]) == ({}, {}, [])


def test_foreign_tokens_are_answered_with_everything() -> None:
    served, other = Feed(), Feed()
    for one in (served, other):
        one.update({"a": 1}, {})
    own = served.since("")["token"]
    key = own.partition(".")[0]
    foreign = other.since("")["token"]
    for token in (
        "",
        foreign,
        "x",
        ".",
        f"{key}.",
        f"{key}.99",
        f"{key}.-1",
        f"{key}.{'9' * 5000}",
    ):
        news = served.since(token)
        assert (news["all"], news["values"]) == (True, {"a": 1})
    assert not served.since(own)["all"]
