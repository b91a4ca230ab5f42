import re

import pytest
import report_studies
from hypothesis import given
from hypothesis import strategies as st
from report_studies import failed_row, frames_of, trial_row

from sweep.report.notes import code, config_line, fenced, study_note, text, trial_note
from sweep.trial import TrialConfig


def test_study_note_says_what_was_best_and_how_to_go_on() -> None:
    frames = frames_of(
        [
            trial_row(0, values=[0.4]),
            trial_row(7, values=[0.52], config={"activation": "swish"}),
            failed_row(8),
        ]
    )
    note = study_note(frames, report_studies.record(name="made"))
    assert "Which activation wins?" in note
    assert "Best trial: 7, validation accuracy 0.5200" in note
    assert "activation: swish" in note
    assert "2 complete, 1 failed" in note
    assert "sweep export made --format yaml" in note
    assert "FALLBACK" not in note


def test_study_note_is_loud_about_fallback_data() -> None:
    frames = frames_of([trial_row(0)], fallback=True)
    note = study_note(frames, report_studies.record(name="made", fallback=True))
    assert "> **SYNTHETIC DATA (FALLBACK).**" in note


def test_study_note_before_any_trial_completed() -> None:
    note = study_note(frames_of([]), report_studies.record(name="made"))
    assert "No trial has completed yet" in note


def test_trial_note_shows_configuration_and_reason() -> None:
    note = trial_note(trial_row(3, config={"optimizer": "sgd", "momentum": 0.9}))
    assert note.startswith("`optimizer=sgd momentum=0.9`")
    assert "stopped: completed" in note
    assert "Failed" not in note


def test_trial_note_shows_the_error_of_a_failed_trial() -> None:
    note = trial_note(failed_row(3, error="ValueError: no ``` here\n```\n<script>x</script>"))
    assert "**Failed:**" in note
    fence = re.search(r"^(`{4,})$", note, re.MULTILINE)
    assert fence is not None
    assert note.endswith(fence.group(1))


def test_the_reference_network_has_a_name() -> None:
    assert config_line(TrialConfig().to_dict()) == "the reference network"


@pytest.mark.parametrize("markup", ["<script>x</script>", "[a](javascript:b)", "**x**", "# x"])
def test_text_is_inert(markup: str) -> None:
    inert = text(markup)
    assert not re.search(r"(?<!\\)[*\[#`]|<", inert)


@given(st.text(alphabet="`ab \n"))
def test_no_text_leaves_its_code(content: str) -> None:
    assert "`" not in code(content)
    first, *_, last = fenced(content)
    assert first == last
    assert first not in content
