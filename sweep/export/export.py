"""From trials in the database to texts and files."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

from sweep.errors import SweepError, UsageError
from sweep.executors.places import content_of, kept_file
from sweep.export.config import render_json, render_yaml
from sweep.export.files import write_file
from sweep.export.script import render_script
from sweep.export.subject import Subject, subjects
from sweep.spec.names import file_name
from sweep.store import Store

Format = Literal["yaml", "json", "python", "keras"]

FORMATS: Final[Mapping[Format, str]] = {
    "yaml": "yaml",
    "json": "json",
    "python": "py",
    "keras": "keras",
}
RENDERERS: Final[Mapping[Format, Callable[[Subject], str]]] = {
    "yaml": render_yaml,
    "json": render_json,
    "python": render_script,
}


def export_trials(
    store: Store,
    study: str,
    *,
    trial: int | None = None,
    top: int | None = None,
    format: Format = "yaml",
    output: Path | None = None,
    force: bool = False,
) -> list[tuple[int, str | Path]]:
    """Write the best trial, or others, in a form that runs without the study.

    Of a study with several objectives the best trials are those of the Pareto front, ordered by
    the first objective. A file is complete or absent, never partial.

    Args:
        store: The database.
        study: Name of the study.
        trial: Number of one trial; the best ones if None.
        top: How many of the best; 1 if None.
        format: `yaml` or `json`, a config for `sweep train`; `python`, a script for Keras alone;
            `keras`, the trained network.
        output: File to write. A directory, made if missing, if `top` is given: its files are
            named `STUDY-trial-N`. If None, texts are returned and networks are written to such a
            name in the working directory.
        force: Overwrite files that hold something else.

    Returns:
        Trial number and text or file of each trial, best first.

    Raises:
        UsageError: No such study or trial, the weights were not kept, or a file is in the way.
        SweepError: A file cannot be written.
    """
    chosen = subjects(store, study, trial=trial, top=top)
    if output is None and format != "keras":
        return [(subject.number, RENDERERS[format](subject)) for subject in chosen]
    exported: list[tuple[int, str | Path]] = []
    for subject in chosen:
        content = (
            _kept_weights(subject) if format == "keras" else RENDERERS[format](subject).encode()
        )
        path = _path(subject, format, output, several=top is not None)
        write_file(path, content, force=force)
        exported.append((subject.number, path))
    return exported


def _path(subject: Subject, format: Format, output: Path | None, *, several: bool) -> Path:
    name = f"{file_name(subject.record.name)}-trial-{subject.number}.{FORMATS[format]}"
    if output is None:
        return Path(name)
    if several and output.is_file():
        raise UsageError(
            "several trials need a directory",
            where=str(output),
            received="a file",
            next_step="name a directory, or leave --top out",
        )
    return output / name if several or output.is_dir() else output


def _kept_weights(subject: Subject) -> bytes:
    """The file of a trial's kept weights, which the study's engine wrote."""
    address = subject.row["weights"]
    study, number = subject.record.name, subject.number
    where = f"trial {number} of {study}"
    retrain = (
        f"sweep export {study} --trial {number} --format yaml -o trial-{number}.yaml, then "
        f"sweep train trial-{number}.yaml makes them again"
    )
    if address is None:
        raise UsageError(
            "the trained weights of the trial were not kept",
            where=where,
            expected=f"one of the best {subject.spec.keep_weights} complete trials (keep_weights)",
            received=subject.outcome,
            next_step=retrain,
        )
    file = kept_file(address, study, number)
    if file is None:
        raise SweepError(
            "the database names a file that holds no kept weights",
            where=where,
            expected=f"a path that ends in {study}/trial-{number}.keras",
            received=str(address),
            next_step=retrain,
        )
    content = content_of(file)
    if content is None:
        raise SweepError(
            "the file of the trained weights is not there",
            where=where,
            expected=str(file),
            next_step=f"go to the directory in which the study ran, or: {retrain}"
            if isinstance(file, Path)
            else retrain,
        )
    return content
