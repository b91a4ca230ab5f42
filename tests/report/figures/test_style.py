from textwrap import wrap

import plotly.graph_objects as go
import pytest
from report_studies import frames_of

from sweep.report.figures.style import NOTE_CHARACTERS, styled, subtitle


def lines(note: str) -> list[str]:
    """The note's lines without their markup."""
    found = subtitle(frames_of([]), note)[1:]
    return [line.split(">", 1)[1].removesuffix("</span>") for line in found]


@pytest.mark.parametrize(
    "note",
    [
        "mean and interval of each; ended trials go on with their last value",
        "one word too many for the sixty characters of one line is this last",
        "short",
        "x" * 200,
        " ".join(["word"] * 40),
    ],
)
def test_a_long_note_has_as_few_lines_as_it_needs_about_equally_long(note: str) -> None:
    found = lines(note)
    assert " ".join(found).replace(" ", "") == note.replace(" ", "")
    assert len(found) == len(wrap(note, NOTE_CHARACTERS))
    assert max(map(len, found)) <= NOTE_CHARACTERS
    if " " in note and len(found) > 1:
        assert min(map(len, found)) > 0.5 * max(map(len, found))


def test_no_line_ends_between_a_number_and_its_percent_sign() -> None:
    for width in range(1, 70):
        assert not any(line.startswith("%") for line in lines("x" * width + " 95 % interval"))


def test_room_for_a_legend_is_there_only_where_one_stands_above() -> None:
    frames = frames_of([])
    named = [go.Scatter(y=[1], name=name) for name in ("a", "b")]
    above, below, alone = (
        styled(frames, named, "t"),
        styled(frames, named, "t", legend={"y": -0.2, "yanchor": "top"}),
        styled(frames, named[:1], "t"),
    )
    pixels = above.layout.meta["legend_pixels"]
    assert pixels > 0
    assert below.layout.meta["legend_pixels"] == alone.layout.meta["legend_pixels"] == 0
    assert above.layout.margin.t - pixels == below.layout.margin.t == alone.layout.margin.t
