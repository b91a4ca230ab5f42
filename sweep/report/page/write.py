"""Reports: of one study, or of several compared."""

from collections.abc import Sequence
from pathlib import Path

from sweep.report.analysis.studies.comparison import overview, verdicts
from sweep.report.figures.catalogue import report_charts
from sweep.report.files import write_file
from sweep.report.frames import StudyFrames, study_frames
from sweep.report.page.comparison import comparison_body
from sweep.report.page.elements import warning
from sweep.report.page.shell import Shell, document, filled, self_contained
from sweep.report.page.study import study_body
from sweep.report.text import escaped
from sweep.store import Store
from sweep.store.records import StudyRecord


def write_report(store: Store, study: str, path: Path) -> None:
    """Write the report of a study, complete or not at all.

    Args:
        store: The open store.
        study: Name of the study.
        path: The HTML file; an older one is replaced.

    Raises:
        StoreError: There is no such study.
        UsageError: The file cannot be written.
    """
    page = study_page(study_frames(store, study), store.record(study), self_contained())
    write_file(path, page.encode(), what="the report")


def write_comparison(store: Store, studies: Sequence[str], path: Path) -> None:
    """Write the report of several studies, complete or not at all.

    Args:
        store: The open store.
        studies: Their names; the others are compared with the first one.
        path: The HTML file; an older one is replaced.

    Raises:
        StoreError: There is no such study.
        UsageError: The file cannot be written.
    """
    write_file(path, studies_page(store, studies, self_contained()).encode(), what="the report")


def study_page(frames: StudyFrames, record: StudyRecord | None, shell: Shell) -> str:
    """The HTML of the report of a study.

    Args:
        frames: The study.
        record: What it was started with, if that is known.
        shell: What the page stands in.
    """
    head = {
        "heading": escaped(frames.study),
        "warning": warning(frames.data) if frames.is_fallback else "",
        "body": study_body(frames, record, report_charts(frames)),
    }
    return document(f"{frames.study} · sweep report", filled("head.html", head), shell)


def studies_page(store: Store, studies: Sequence[str], shell: Shell) -> str:
    """The HTML of the report of several studies: compared, then each by itself.

    Raises:
        StoreError: There is no such study.
    """
    read = [study_frames(store, study) for study in studies]
    sections = [
        study_body(frames, store.record(frames.study), report_charts(frames), f"study-{place}-")
        for place, frames in enumerate(read)
    ]
    head = {
        "heading": " · ".join(escaped(frames.study) for frames in read),
        "warning": "".join(warning(f.data, f.study) for f in read if f.is_fallback),
        "body": comparison_body(overview(read), verdicts(read), sections),
    }
    return document("Studies compared · sweep report", filled("head.html", head), shell)
