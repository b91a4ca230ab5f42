"""All that is kept of one trial."""

from collections.abc import Mapping
from typing import Any, Final

from sweep.errors import NotFoundError
from sweep.report import links
from sweep.report.frames import outcome_of
from sweep.report.text import label, metric
from sweep.report.web.live.terms import Terms, terms_of
from sweep.store import RETRY_OF, Store
from sweep.trial import FIELDS, TrialConfig

MOST_MESSAGES: Final = 50
FACTS: Final = (
    "started",
    "ended",
    "seconds",
    "epochs",
    "kept_epoch",
    "parameters",
    "attempt",
    "worker",
    "device",
    "engine",
    "seed",
    "stop_reason",
    "remark",
    "error",
    "traceback",
    "log",
)
CURVES: Final = ("epoch", "accuracy", "val_accuracy", "loss", "val_loss", "learning_rate")


def trial_details(store: Store, study: str, number: int) -> dict[str, Any]:
    """A trial, its learning curves and the messages about it, as JSON.

    Raises:
        NotFoundError: There is no such study or trial.
    """
    row = store.trial_row(study, number)
    record = store.record(study)
    if record is None:
        raise NotFoundError(f"there is no study {study!r} any more")
    terms = terms_of(record.spec)
    epochs = store.epoch_rows(study, number)
    return {
        "number": number,
        "outcome": outcome_of(row["state"], row["stop_reason"]),
        "values": _values(row, terms),
        "retry_of": row["user_attrs"].get(RETRY_OF),
        **{name: row[name] for name in FACTS},
        "config": _config(row["config"], terms),
        "curves": {name: [epoch[name] for epoch in epochs] for name in CURVES},
        "messages": [
            [message["logged_at"], message["level"], message["worker"], message["message"]]
            for message in store.log_rows(study, number, MOST_MESSAGES)
        ],
        "optuna": links.optuna_trial(store.study_id(study), number),
    }


def _values(row: Mapping[str, Any], terms: Terms) -> list[list[Any]]:
    """Name and value of each objective."""
    names = [metric(objective.metric) for objective in terms.spec.objectives]
    return [[name, value] for name, value in zip(names, row["values"] or (), strict=False)]


def _config(config: Mapping[str, Any], terms: Terms) -> list[list[Any]]:
    """Name, value and whether it was searched of each setting that has an effect."""
    if not config:
        return []
    known = TrialConfig(**config)
    active = [name for name in FIELDS if known.is_active(name)]
    rows = [[name, label(getattr(known, name)), name in terms.spec.search] for name in active]
    return sorted(rows, key=lambda row: not row[2])
