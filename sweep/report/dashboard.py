"""Our figures and notes on the pages of Optuna's dashboard."""

from collections.abc import Mapping
from typing import Any

import optuna
import optuna_dashboard
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from optuna_dashboard._note import (
    note_str_key_prefix,
    note_ver_key,
    save_note_with_version,
)

from sweep.report.figures.catalogue import dashboard_charts
from sweep.report.frames import StudyFrames, study_frames
from sweep.report.notes import study_note, trial_note
from sweep.store import Store

ENDED = ("COMPLETE", "PRUNED", "FAIL")
# The dashboard counts a note's version up when a person edits it, so a higher one is theirs.
OUR_NOTE_VERSION = 1


def publish(store: Store, study: str) -> None:
    """Put our figures and notes onto the study's page; only what changed is written.

    A note that a person edited on the dashboard is left alone from then on.

    Args:
        store: The open store.
        study: Name of the study.

    Raises:
        StoreError: There is no such study, or the database cannot be written.
    """
    rows = store.trial_rows(study)
    frames = study_frames(store, study)
    with store.translated():
        storage = store.optuna_storage
        study_id = storage.get_study_id_from_name(study)
        attributes = storage.get_study_system_attrs(study_id)

        def note(trial_id: int | None, body: str) -> None:
            version = attributes.get(note_ver_key(trial_id), 0)
            if version <= OUR_NOTE_VERSION and _stored_note(attributes, trial_id) != body:
                save_note_with_version(storage, study_id, trial_id, OUR_NOTE_VERSION, body)

        for row in rows:
            if row["state"] in ENDED:
                trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, row["number"])
                note(trial_id, trial_note(row))
        record = store.record(study)
        if record is not None:
            note(None, study_note(frames, record))
        _publish_figures(store.load_study(study), frames, get_plotly_graph_objects(attributes))


def _stored_note(attributes: Mapping[str, Any], trial_id: int | None) -> str:
    """The body of a note; Optuna's own reader looks at every attribute of the study for each."""
    prefix = note_str_key_prefix(trial_id)
    parts: list[str] = []
    while (part := attributes.get(f"{prefix}{len(parts)}")) is not None:
        parts.append(part)
    return "".join(parts)


def _publish_figures(study: optuna.Study, frames: StudyFrames, old: dict[str, str]) -> None:
    for chart in dashboard_charts(frames):
        key = f"sweep-{chart.key}"
        if old.get(key) != chart.figure.to_json():
            optuna_dashboard.save_plotly_graph_object(study, chart.figure, graph_object_id=key)
