"""Our figures and notes on the pages of Optuna's dashboard."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from optuna_dashboard._custom_plot_data import SYSTEM_ATTR_PLOT_DATA, split_plot_data
from optuna_dashboard._note import note_str_key_prefix, note_ver_key, split_body

from sweep.report.figures.catalogue import dashboard_charts
from sweep.report.frames import StudyFrames, study_frames
from sweep.report.notes import study_note, trial_note
from sweep.store import Store

ENDED: Final = ("complete", "diverged", "pruned", "failed")
# The dashboard counts a note's version up when a person edits it, so a higher one is theirs.
OUR_NOTE_VERSION: Final = 1
MOST_NOTES: Final = 1000
"""So many trials have a note: for each of them, Optuna's page looks through all notes."""
BEST_NOTED: Final = 10
"""So many of the best trials have one in any case."""
SPARING: Final = 20.0
"""A study is published anew after so many times as long as that took."""


@dataclass(frozen=True, slots=True)
class _Published:
    """When a study's last change was that is published, and when it may be published again."""

    updated: datetime
    due: float


class Publisher:
    """Publishes studies that have changed; not to be used from several threads."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing published; `clock` gives seconds."""
        self._store = store
        self._clock = clock
        self._published: dict[str, _Published] = {}

    def refresh(self) -> None:
        """Publish every study that has changed, a large one not each time.

        Raises:
            StoreError: The database cannot be read or written.
        """
        for row in self._store.study_rows():
            name, begun = row["name"], self._clock()
            known = self._published.get(name)
            if known is None or (known.updated != row["updated"] and begun >= known.due):
                publish(self._store, name)
                ended = self._clock()
                due = ended + SPARING * (ended - begun)
                self._published[name] = _Published(row["updated"], due)


def publish(store: Store, study: str) -> None:
    """Put our figures and notes onto the study's page; only what changed is written.

    A note that a person edited on the dashboard is left alone from then on. The best trials have
    a note, and so many others that Optuna's page stays quick.

    Args:
        store: The open store.
        study: Name of the study.

    Raises:
        StoreError: There is no such study, or the database cannot be written.
    """
    frames = study_frames(store, study)
    with store.translated():
        storage = store.optuna_storage
        study_id = storage.get_study_id_from_name(study)
        known = storage.get_study_system_attrs(study_id)
    written: dict[str, object] = {}
    for trial_id, body in _trial_notes(store, frames, known).items():
        written |= _note(known, trial_id, body)
    record = store.record(study)
    if record is not None:
        written |= _note(known, None, study_note(frames, record))
    for chart in dashboard_charts(frames):
        prefix = f"{SYSTEM_ATTR_PLOT_DATA}sweep-{chart.key}:"
        written |= _parts(known, prefix, split_plot_data(chart.figure.to_json(), prefix))
    store.set_study_attributes(study, written)


def _trial_notes(store: Store, frames: StudyFrames, known: Mapping[str, Any]) -> dict[int, str]:
    """Notes of trials that have none yet and shall have one, by the trial's id."""
    trials = frames.trials
    ended = trials.loc[trials["outcome"].isin(ENDED), "number"].tolist()
    ids = store.trial_ids(frames.study) if ended else {}
    unnoted = [number for number in ended if f"{note_str_key_prefix(ids[number])}0" not in known]
    best = set(frames.best()["number"].head(BEST_NOTED))
    room = max(0, MOST_NOTES - (len(ended) - len(unnoted)))
    wanted = {*unnoted[:room], *(number for number in unnoted if number in best)}
    if not wanted:
        return {}
    rows = store.trial_rows(frames.study)
    return {ids[row["number"]]: trial_note(row) for row in rows if row["number"] in wanted}


def _note(known: Mapping[str, Any], trial_id: int | None, body: str) -> dict[str, object]:
    """Attributes that make a note; none if it is there already, or a person's."""
    if known.get(note_ver_key(trial_id), 0) > OUR_NOTE_VERSION:
        return {}
    parts = _parts(known, note_str_key_prefix(trial_id), split_body(body, trial_id))
    return {note_ver_key(trial_id): OUR_NOTE_VERSION, **parts} if parts else {}


def _parts(
    known: Mapping[str, Any], prefix: str, parts: Mapping[str, object]
) -> dict[str, object]:
    """Attributes that hold a long text in parts; none if they are there already."""
    place, emptied = len(parts), {}
    while known.get(f"{prefix}{place}"):
        emptied[f"{prefix}{place}"] = ""
        place += 1
    wanted = {**parts, **emptied}
    return wanted if any(known.get(key) != part for key, part in wanted.items()) else {}
