"""The YAML dialect: what is a number, what is text, and what is refused."""

import pytest

from sweep.errors import SpecError
from sweep.spec.document import Document, dump_document, parse_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-3", -3),
        ("0x10", 16),
        ("0o17", 15),
        ("017", 17),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("off", "off"),
        ("no", "no"),
        ("n", "n"),
        ("~", None),
        ("null", None),
        ("none", "none"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("[1, two, [3.0]]", (1, "two", (3.0,))),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("on: 1", {"on": 1}),
        ("1: a", {"1": "a"}),
        ("a: &x [1, 2]\nb: *x", {"a": (1, 2), "b": (1, 2)}),
    ],
)
def test_values(text: str, value: object) -> None:
    found = parse_document(text, "file").value
    assert found == value
    assert type(found) is type(value)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "what", "place"),
    [
        ("a: 1\nb: 2\na: 3", "`a` appears twice", "file:3, a"),
        ("x:\n  a: 1\n  a: 3", "`a` appears twice", "file:3, x.a"),
        ("a: [1, 2", "not valid YAML", "file:1:9"),
        ("a: b: c", "not valid YAML", "file:1:5"),
        ("\tb: 1", "not valid YAML", "file:1:1"),
        ('a: "\\UFFFFFFFF"', "not valid YAML", "file"),
        ('a: "\\ud800"', "half a character", "file:1"),
        ("a:\n \x01", "not valid YAML", "file:2"),
        ("", "is empty", "file"),
        ("# nothing", "is empty", "file"),
        ("a: 1\n---\nb: 2", "more than one document", "file:2"),
        ("a: !!python/object:os.system x", "tags are not allowed", "file:1"),
        ("a: !!str 1", "tags are not allowed", "file:1"),
        ("[a]: 1", "key is not a plain word", "file:1"),
        ("a: *b", "*b has nothing to stand for", "file:1"),
        ("a: &b [*b]", "*b has nothing to stand for", "file:1"),
        ("a: 1e999", "too large", "file:1"),
        ("a: " + "9" * 5000, "too large", "file:1"),
        ("a: 9223372036854775808", "too large", "file:1"),
        ("[" * 5000, "nested too deeply", "file:1"),
        ("a:\n" + "".join(" " * n + "- \n" for n in range(1, 200)), "", "file"),
        (BOMB, "too many values", "file:"),
        ("x" * 300_000, "too long", "file"),
    ],
)
def test_refusals(text: str, what: str, place: str) -> None:
    with pytest.raises(SpecError) as error:
        parse_document(text, "file")
    assert what in error.value.what
    assert (error.value.where or "").startswith(place)


def test_places_are_those_of_the_longest_known_path() -> None:
    document = parse_document("a:\n  b: [1,\n    2]\nc: &x\n  d: 1\ne: *x", "file")
    assert document.where(("a", "b", 1)) == "file:3, a.b.1"
    assert document.where(("a", "b", 1, "deeper")) == "file:3, a.b.1.deeper"
    assert document.where(("e", "d")) == "file:6, e.d"
    assert document.where(()) == "file:1"
    assert Document("source", None).where(()) == "source"


@pytest.mark.parametrize(
    "value",
    ["1e-4", "off", "true", "null", "~", "", " a", "1", "a: b", "#", "é\u2028", "\x85\t", "0x1"],
)
def test_text_is_quoted_where_it_would_be_read_as_something_else(value: str) -> None:
    assert parse_document(dump_document({"a": value}), "file").value == {"a": value}
