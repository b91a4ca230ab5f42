"""Making a study, finding it again, and refusing it when it changed meanwhile."""

import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import optuna
import yaml
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from sqlalchemy import Connection, insert, select, update

from sweep.errors import NotFoundError, StudyMismatchError
from sweep.store import writers
from sweep.store.database import Database
from sweep.store.records import UNKNOWN_DATA, StudyRecord
from sweep.store.schema import optuna_studies, studies

# Sections of a study file that may change from one run of a study to the next.
_FREE = frozenset({"study", "description", "budget", "sampler", "pruner", "keep_weights"})


def find(connection: Connection, name: str) -> StudyRecord | None:
    """The record of a study, or None."""
    row = connection.execute(select(studies).where(studies.c.name == name)).one_or_none()
    if row is None:
        return None
    return StudyRecord(
        name=row.name,
        spec=row.spec,
        space_hash=row.space_hash,
        data_name=row.data_name,
        data_is_fallback=row.data_is_fallback,
        data_fingerprint=row.data_fingerprint,
        seed=row.seed,
        versions=row.versions,
        git_revision=row.git_revision,
        created_at=row.created_at,
    )


def find_id(connection: Connection, name: str, *, lock: bool = False) -> int | None:
    """Optuna's id of a study that has a record, or None.

    Args:
        connection: Inside a transaction, if it is to lock.
        name: Name of the study.
        lock: As `lock_study` does.
    """
    query = select(studies.c.study_id).where(studies.c.name == name)
    if lock:
        same = optuna_studies.c.study_id == studies.c.study_id
        query = query.join(optuna_studies, same).with_for_update(of=optuna_studies)
    return connection.execute(query).scalar()


def lock_study(connection: Connection, study_id: int) -> None:
    """Until the transaction ends, keep others from writing about the study, Optuna included.

    SQLite leaves `FOR UPDATE` out: there, a transaction of ours has locked the whole file.
    """
    query = select(optuna_studies.c.study_id).where(optuna_studies.c.study_id == study_id)
    connection.execute(query.with_for_update())


def names(connection: Connection) -> list[str]:
    """Names of all studies that have a record."""
    return list(connection.execute(select(studies.c.name).order_by(studies.c.name)).scalars())


def create_or_resume(
    database: Database,
    storage: BaseStorage,
    record: StudyRecord,
    directions: Sequence[str],
    metric_names: Sequence[str],
) -> optuna.Study:
    """Make a study, or find it as it was left.

    A kill between Optuna's row and ours leaves a study without record; it is taken over. Of the
    processes that make the same study at once, one does, and the others find it.

    Raises:
        StudyMismatchError: A study of this name has another space, direction or data.
    """
    try:
        study = optuna.load_study(study_name=record.name, storage=storage)
    except KeyError:
        study = optuna.create_study(
            study_name=record.name,
            storage=storage,
            directions=[StudyDirection[direction.upper()] for direction in directions],
            load_if_exists=True,
        )
    study_id = study_id_of(storage, record.name)
    objectives = [
        {"metric": metric, "direction": direction}
        for metric, direction in zip(metric_names, directions, strict=True)
    ]

    def write(connection: Connection) -> None:
        lock_study(connection, study_id)
        known = find(connection, record.name)
        _refuse_foreign(study, known)
        _refuse_changed(study, known or record, record, directions)
        if known is None:
            _insert(connection, study_id, record, objectives)
        else:
            _update(connection, known, record)

    database.write(write)
    _set_metric_names(study, metric_names)
    return study


def study_id_of(storage: BaseStorage, name: str) -> int:
    """Optuna's id of a study that exists."""
    return storage.get_study_id_from_name(name)


def _set_metric_names(study: optuna.Study, metric_names: Sequence[str]) -> None:
    if study.metric_names != list(metric_names):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(metric_names))


def _refuse_foreign(study: optuna.Study, known: StudyRecord | None) -> None:
    if known is None and study.get_trials(deepcopy=False):
        raise StudyMismatchError(
            "a study of this name exists that sweep did not make",
            where=f"study {study.study_name}",
            next_step="give the study another name: --set study=NAME",
        )


def _refuse_changed(
    study: optuna.Study, known: StudyRecord, record: StudyRecord, directions: Sequence[str]
) -> None:
    expected, received = [], []
    old_directions = [direction.name.lower() for direction in study.directions]
    if old_directions != list(directions):
        expected.append(f"directions {', '.join(old_directions)}")
        received.append(f"directions {', '.join(directions)}")
    if known.space_hash != record.space_hash:
        old, new = differences(known.spec, record.spec)
        expected.append(old)
        received.append(new)
    fingerprints = {known.data_fingerprint, record.data_fingerprint}
    if len(fingerprints) > 1 and UNKNOWN_DATA not in fingerprints:
        expected.append(f"data {_data(known)}")
        received.append(f"data {_data(record)}")
    if expected:
        raise StudyMismatchError(
            "the study exists, and what its trials have in common has changed",
            where=f"study {record.name}",
            expected="; ".join(expected),
            received="; ".join(received),
            next_step="give the new study another name (--set study=NAME), "
            f"or delete the old one with its trials (sweep delete {record.name})",
        )


def _data(record: StudyRecord) -> str:
    fallback = ", a fallback" if record.data_is_fallback else ""
    return f"{record.data_name}{fallback} (fingerprint {record.data_fingerprint[:12]})"


def differences(old_spec: str, new_spec: str) -> tuple[str, str]:
    """The settings in which two study files differ that must not, as text for each."""
    old, new = _flat(yaml.safe_load(old_spec)), _flat(yaml.safe_load(new_spec))
    paths = [path for path in {**old, **new} if old.get(path) != new.get(path)]
    if not paths:
        return "the search space of the first run", "another search space"
    return _settings(old, paths), _settings(new, paths)


def _settings(values: Mapping[str, Any], paths: Sequence[str]) -> str:
    return ", ".join(f"{path}: {values.get(path, 'not set')}" for path in paths)


def _flat(spec: Any) -> dict[str, Any]:
    """Values by key path, two levels deep, without the sections that may change."""
    flat: dict[str, Any] = {}
    for section, content in (spec if isinstance(spec, Mapping) else {}).items():
        if section in _FREE:
            continue
        if isinstance(content, Mapping):
            flat |= {f"{section}.{key}": value for key, value in content.items()}
        else:
            flat[section] = content
    return flat


def _insert(
    connection: Connection,
    study_id: int,
    record: StudyRecord,
    objectives: Sequence[Mapping[str, str]],
) -> None:
    now = datetime.now(UTC)
    connection.execute(
        insert(studies),
        {
            "study_id": study_id,
            "name": record.name,
            "spec": record.spec,
            "space_hash": record.space_hash,
            "objectives": list(objectives),
            "data_name": record.data_name,
            "data_is_fallback": record.data_is_fallback,
            "data_fingerprint": record.data_fingerprint,
            "seed": record.seed,
            "versions": dict(record.versions),
            "git_revision": record.git_revision,
            "created_at": record.created_at or now,
            "updated_at": now,
        },
    )


def _update(connection: Connection, known: StudyRecord, record: StudyRecord) -> None:
    """Take over what may differ from run to run, and leave a message where results may mix."""
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "spec": record.spec,
        "versions": dict(record.versions),
        "git_revision": record.git_revision,
        "updated_at": now,
    }
    if known.data_fingerprint == UNKNOWN_DATA:
        values |= {
            "data_name": record.data_name,
            "data_is_fallback": record.data_is_fallback,
            "data_fingerprint": record.data_fingerprint,
        }
    connection.execute(update(studies).where(studies.c.name == record.name).values(values))
    study_id = find_id(connection, record.name)
    changes = [
        f"{package} {known.versions.get(package)} -> {version}"
        for package, version in record.versions.items()
        if known.versions.get(package) != version
    ]
    if known.git_revision != record.git_revision:
        changes.append(f"git {known.git_revision} -> {record.git_revision}")
    if changes and study_id is not None:
        message = "resumed with other versions: " + ", ".join(changes)
        row = {"level": "warning", "message": message}
        writers.log(connection, study_id, row, now)


def unknown_study(name: str, known: Sequence[str], where: str) -> NotFoundError:
    """The error for a name that no study has."""
    return NotFoundError(
        f"there is no study {name!r}",
        where=where,
        expected="one of " + ", ".join(known) if known else "a study; there is none yet",
        next_step="`sweep studies` lists them",
    )
