"""Names of files cannot leave their directory."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import SpecError
from sweep.spec import parse_study
from sweep.spec.names import file_name, is_kept_weights

EVIL = ["", ".", "..", "../x", "/etc/x", "a/b", "a\0b", "a\nb", "x" * 101, "-rf", ".x", "ä", "a\n"]


@pytest.mark.parametrize("name", EVIL)
def test_no_study_file_has_such_a_name(name: str) -> None:
    with pytest.raises(SpecError):
        parse_study(f"study: {name!r}\n".replace("'", '"').replace("\\x00", "\\0"))


@pytest.mark.parametrize("name", ["a", "9.b_c-D", "x" * 100])
def test_good_names_are_kept(name: str) -> None:
    assert file_name(name) == name


@given(st.one_of(st.sampled_from(EVIL), st.text()))
def test_every_name_becomes_one_file_s(name: str) -> None:
    made = file_name(name)
    assert made == file_name(made)
    assert Path(f"/here/{made}").resolve() == Path("/here") / made
    assert "/" not in made
    assert "\0" not in made
    assert made[0].isalnum()
    assert len(made.encode()) <= 100


def test_names_do_not_collide() -> None:
    assert len({file_name(name) for name in EVIL}) == len(EVIL)


def test_kept_weights() -> None:
    assert is_kept_weights(Path("/x/small/trial-3.keras"), "small", 3)
    for path in ("/x/small/trial-4.keras", "/x/other/trial-3.keras", "trial-3.keras", "/etc/pwd"):
        assert not is_kept_weights(Path(path), "small", 3)
